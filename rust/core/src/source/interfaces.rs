//! The interfaces of all inputs of one source, each listed once however many sections and files repeat it.

use crate::frame::{InterfaceInfo, Interfaces};
use std::collections::HashMap;
use std::sync::Arc;

/// More than any real capture has; a hostile file stops here.
const MAX_INTERFACES: usize = 65_536;
/// Bytes of names, descriptions and filters kept in all.
const MAX_TEXT: usize = 64 << 20;

/// Interfaces by what is known of them, so that the second file of a rotated capture gets the indices of the first.
#[derive(Debug, Default)]
pub(super) struct InterfaceTable {
    list: Interfaces,
    /// The second number tells apart interfaces of one section of which nothing different is known.
    known: HashMap<(Arc<InterfaceInfo>, u32), u32>,
    text: usize,
}

impl InterfaceTable {
    /// Index of the interface, which is the `nth` (from 0) in its section with exactly this description.
    /// `None` when there are too many.
    pub fn register(&mut self, info: InterfaceInfo, nth: u32) -> Option<u32> {
        let info = Arc::new(info);
        if let Some(&index) = self.known.get(&(Arc::clone(&info), nth)) {
            return Some(index);
        }
        let text: usize = [&info.name, &info.netns, &info.description, &info.filter]
            .into_iter()
            .map(|option| option.as_ref().map_or(0, String::len))
            .sum();
        if self.list.len() >= MAX_INTERFACES || self.text + text > MAX_TEXT {
            return None;
        }
        self.text += text;
        let index = u32::try_from(self.list.len()).ok()?;
        // Copies the pointers only when a batch still holds the shorter list.
        Arc::make_mut(&mut self.list).push(Arc::clone(&info));
        self.known.insert((info, nth), index);
        Some(index)
    }

    /// The list as batches carry it.
    pub fn list(&self) -> &Interfaces {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::LinkType;

    #[test]
    fn equal_interfaces_share_an_index_across_sections_but_not_within_one() {
        let mut table = InterfaceTable::default();
        let eth = || InterfaceInfo::anonymous(LinkType::ETHERNET, 0);
        assert_eq!(table.register(eth(), 0), Some(0));
        assert_eq!(table.register(eth(), 1), Some(1));
        assert_eq!(table.register(eth(), 0), Some(0));
        assert_eq!(table.register(InterfaceInfo::anonymous(LinkType::RAW, 0), 0), Some(2));
        assert_eq!(table.list().len(), 3);
    }

    #[test]
    fn the_number_of_interfaces_is_bounded() {
        let mut table = InterfaceTable::default();
        for snap_len in 0..MAX_INTERFACES as u32 {
            assert!(table.register(InterfaceInfo::anonymous(LinkType::ETHERNET, snap_len), 0).is_some());
        }
        assert_eq!(table.register(InterfaceInfo::anonymous(LinkType::RAW, 0), 0), None);
        assert_eq!(table.register(InterfaceInfo::anonymous(LinkType::ETHERNET, 7), 0), Some(7));
    }

    #[test]
    fn the_text_kept_is_bounded() {
        let mut table = InterfaceTable::default();
        let described = |n: u32| InterfaceInfo {
            description: Some("x".repeat(1 << 20)),
            ..InterfaceInfo::anonymous(LinkType::ETHERNET, n)
        };
        assert_eq!((0..100).take_while(|&n| table.register(described(n), 0).is_some()).count(), 64);
    }
}
