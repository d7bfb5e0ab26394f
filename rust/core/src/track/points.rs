//! Capture points: which interfaces of a session are the same place.

use super::uid::{self, POINT};
use crate::frame::InterfaceInfo;
use ahash::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Interfaces by place: equal namespace and name are one point, in whatever file or section they stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Points {
    /// Not kept: another source numbers its interfaces anew.
    #[serde(skip)]
    of_interface: Vec<u32>,
    points: Vec<Point>,
    /// The points by their names, made from them.
    #[serde(skip)]
    by_name: HashMap<(Option<String>, Option<String>), u32, RandomState>,
}

/// One place where frames were captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Namespace, when known.
    pub netns: Option<String>,
    /// Interface name, when known.
    pub interface: Option<String>,
    /// What stands for it in uids.
    named: [u8; POINT],
}

impl Point {
    fn new(netns: Option<String>, interface: Option<String>) -> Self {
        let named = uid::point(netns.as_deref(), interface.as_deref());
        Self { netns, interface, named }
    }
}

impl Points {
    /// Learns the interfaces of a batch; those known already are skipped.
    pub fn learn(&mut self, interfaces: &[Arc<InterfaceInfo>]) {
        for info in interfaces.iter().skip(self.of_interface.len()) {
            for (at, point) in self.points.iter().enumerate().skip(self.by_name.len()) {
                self.by_name.insert((point.netns.clone(), point.interface.clone()), at as u32);
            }
            let at = *self.by_name.entry((info.netns.clone(), info.name.clone())).or_insert_with(|| {
                self.points.push(Point::new(info.netns.clone(), info.name.clone()));
                self.points.len() as u32 - 1
            });
            self.of_interface.push(at);
        }
    }

    /// The point of an interface by its index in the batch.
    #[must_use]
    #[inline]
    pub fn of(&self, interface: u32) -> u32 {
        self.of_interface.get(interface as usize).copied().unwrap_or(0)
    }

    /// A point by number.
    #[must_use]
    pub fn get(&self, point: u32) -> Option<&Point> {
        self.points.get(point as usize)
    }

    /// What stands for a point in uids.
    #[must_use]
    pub(super) fn named(&self, point: u32) -> &[u8; POINT] {
        self.get(point).map_or(&[0; POINT], |point| &point.named)
    }

    /// All points.
    #[must_use]
    pub fn all(&self) -> &[Point] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::LinkType;

    #[test]
    fn interfaces_of_one_name_are_one_point_also_beyond_a_saved_state() {
        let named = |name: &str| {
            Arc::new(InterfaceInfo { name: Some(name.to_owned()), ..InterfaceInfo::anonymous(LinkType::RAW, 0) })
        };
        let mut points = Points::default();
        points.learn(&[named("a"), named("b"), named("a")]);
        assert_eq!([0, 1, 2].map(|at| points.of(at)), [0, 1, 0]);
        let saved = postcard::to_stdvec(&points).expect("plain data");
        let mut points: Points = postcard::from_bytes(&saved).expect("as written");
        let many: Vec<_> =
            ["c", "b"].into_iter().map(named).chain((0..50_000).map(|at| named(&at.to_string()))).collect();
        points.learn(&many);
        assert_eq!([0, 1, 2, 50_001].map(|at| points.of(at)), [2, 1, 3, 50_002]);
        assert_eq!(points.all().len(), 50_003);
    }
}
