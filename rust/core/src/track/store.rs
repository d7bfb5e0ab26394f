//! Where flows are kept, and room for more that another thread has made: memory that was never touched takes a quarter of
//! the time of a new flow, and to fill it much of the rest.

use super::flow::Flow;
use super::key::FlowKey;
use std::ops::{Index, IndexMut};

/// Flows that stand in one piece of memory.
const PART: usize = 256;

/// Pieces that wait for flows, once there are many.
const AHEAD: usize = 4;

/// A piece of memory for flows: so many blank ones. A flow that begins in place is not copied.
pub type Room = Vec<Flow>;

/// Makes room.
pub fn room() -> Room {
    let mut room = Vec::with_capacity(PART);
    room.resize_with(PART, || Flow::new(FlowKey::default()));
    room
}

/// Flows by number.
#[derive(Default)]
pub struct Store {
    /// The last one's blank flows are not among the `len`.
    parts: Vec<Room>,
    len: usize,
    spare: Vec<Room>,
}

impl Store {
    /// Begins a flow; returns its number.
    pub fn begin(&mut self, key: &FlowKey) -> u32 {
        let at = self.len;
        if at == self.parts.len() * PART {
            self.parts.push(self.spare.pop().unwrap_or_else(room));
        }
        self.len += 1;
        self[at].key = *key;
        at as u32
    }

    /// Keeps a flow that began elsewhere; returns its number.
    pub fn push(&mut self, flow: Flow) -> u32 {
        let at = self.begin(&flow.key);
        self[at as usize] = flow;
        at
    }

    /// A flow, if there is one of this number.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Flow> {
        if at < self.len { self.parts.get(at / PART)?.get(at % PART) } else { None }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.parts.iter().flatten().take(self.len)
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.parts.iter_mut().flatten().take(self.len)
    }

    /// Takes room that [`room`] has made. Whether more is wanted: not for captures of few flows.
    pub fn take(&mut self, room: Option<Room>) -> bool {
        self.spare.extend(room);
        self.spare.len() < AHEAD && self.len >= PART
    }
}

impl Index<usize> for Store {
    type Output = Flow;
    #[inline]
    fn index(&self, at: usize) -> &Flow {
        &self.parts[at / PART][at % PART]
    }
}

impl IndexMut<usize> for Store {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut Flow {
        &mut self.parts[at / PART][at % PART]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::side::Side;
    use std::mem::offset_of;

    #[test]
    fn a_flow_is_small() {
        // Bringing flows from memory, and memory for new ones, is what following them costs.
        assert!(size_of::<Flow>() <= 512, "{}", size_of::<Flow>());
        // The key, what is common, and two lines of either side, as far as every packet changes it.
        let line = |at: usize| at / 64;
        let (common, sides) = (offset_of!(Flow, watch), offset_of!(Flow, sides));
        assert_eq!((line(size_of::<FlowKey>() - 1), line(common)), (0, 1));
        for side in [sides, sides + size_of::<Side>()] {
            let last = side + offset_of!(Side, l2) - 1;
            assert_eq!(line(last) - line(side).max(2), 1, "{side}..{last}");
            // `look_ahead` reads a word of each.
            let read = [offset_of!(Side, len), offset_of!(Side, letters)].map(|at| line(side + at));
            assert_eq!(read, [line(last) - 1, line(last)]);
        }
    }

    #[test]
    fn flows_keep_their_numbers_wherever_they_stand() {
        let mut store = Store::default();
        assert!(!store.take(None), "few flows need no room ahead");
        let flow = |vni: usize| Flow::new(FlowKey { vni: vni as u32, ..FlowKey::default() });
        let many = 3 * PART + 1;
        for at in 0..many {
            assert_eq!(store.iter().count(), at);
            assert!(store.get(at).is_none());
            if store.take(None) {
                store.take(Some(room()));
            }
            let began = if at % 3 == 0 { store.push(flow(at)) } else { store.begin(&flow(at).key) };
            assert_eq!(began as usize, at);
        }
        store[PART].closed = true;
        for (at, flow) in store.iter().enumerate() {
            assert_eq!((flow.key.vni as usize, flow.closed), (at, at == PART));
            assert_eq!(store[at].key, flow.key);
            assert!(store.get(at).is_some_and(|same| same.key == flow.key));
        }
        assert_eq!(store.iter().count(), many);
        assert!(store.spare.len() <= AHEAD);
    }
}
