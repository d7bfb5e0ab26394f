//! Where flows are kept, and room for more that another thread has made: memory that was never touched takes a quarter of
//! the time of a new flow.

use super::flow::Flow;
use super::key::FlowKey;
use std::ops::{Index, IndexMut};

/// Flows that stand in one piece of memory.
const PART: usize = 256;

/// Pieces that wait for flows, once there are many.
const AHEAD: usize = 4;

/// A piece of memory for flows.
pub type Room = Vec<Flow>;

/// Makes room, and touches it.
pub fn room() -> Room {
    let mut room = Vec::with_capacity(PART);
    room.resize_with(PART, || Flow::new(FlowKey::default()));
    room.clear();
    room
}

/// Flows by number.
#[derive(Default)]
pub struct Store {
    /// All but the last are full.
    parts: Vec<Room>,
    spare: Vec<Room>,
}

impl Store {
    /// Keeps a flow; returns its number.
    pub fn push(&mut self, flow: Flow) -> u32 {
        match self.parts.last_mut() {
            Some(part) if part.len() < PART => part.push(flow),
            _ => {
                let mut part = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(PART));
                part.push(flow);
                self.parts.push(part);
            }
        }
        self.len() as u32 - 1
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.last().map_or(0, |last| (self.parts.len() - 1) * PART + last.len())
    }

    /// A flow, if there is one of this number.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Flow> {
        self.parts.get(at / PART)?.get(at % PART)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.parts.iter().flatten()
    }

    /// Takes room that [`room`] has made. Whether more is wanted: not for captures of few flows.
    pub fn take(&mut self, room: Option<Room>) -> bool {
        self.spare.extend(room);
        self.spare.len() < AHEAD && self.len() >= PART
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

    #[test]
    fn flows_keep_their_numbers_wherever_they_stand() {
        let mut store = Store::default();
        assert!(!store.take(None), "few flows need no room ahead");
        let flow = |vni: usize| Flow::new(FlowKey { vni: vni as u32, ..FlowKey::default() });
        let many = 3 * PART + 1;
        for at in 0..many {
            assert_eq!(store.len(), at);
            assert!(store.get(at).is_none());
            if store.take(None) {
                store.take(Some(room()));
            }
            assert_eq!(store.push(flow(at)) as usize, at);
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
