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
    /// Of each part, the earliest time of a packet that began a flow in it: all its flows have had packets since.
    since: Vec<i64>,
    len: usize,
    spare: Vec<Room>,
}

impl Store {
    /// Begins a flow with a packet of this time; returns its number.
    pub fn begin(&mut self, key: &FlowKey, ts: i64) -> u32 {
        let at = self.len;
        if at == self.parts.len() * PART {
            self.parts.push(self.spare.pop().unwrap_or_else(room));
            self.since.push(ts);
        }
        self.len += 1;
        self[at].key = *key;
        self.begun(at, ts);
        at as u32
    }

    /// Begins a flow in the place of one that is over.
    pub fn begin_at(&mut self, at: u32, key: &FlowKey, ts: i64) {
        self[at as usize] = Flow::new(*key);
        self.begun(at as usize, ts);
    }

    /// By the packets' times and not by the latest one seen, which may be another clock's: which flows are passed over must
    /// not depend on where they stand.
    fn begun(&mut self, at: usize, ts: i64) {
        let since = &mut self.since[at / PART];
        *since = ts.min(*since);
    }

    /// Keeps a flow that began elsewhere; returns its number.
    pub fn push(&mut self, flow: Flow) -> u32 {
        let at = self.begin(&flow.key, i64::MIN);
        self[at as usize] = flow;
        at
    }

    /// A flow, if there is one of this number.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Flow> {
        if at < self.len { self.parts.get(at / PART)?.get(at % PART) } else { None }
    }

    /// The parts with flows that may have had no packet since a time, each with the number of its first.
    pub fn quiet_since(&self, time: i64) -> impl Iterator<Item = (u32, &[Flow])> {
        let parts = (0..self.len).step_by(PART).zip(&self.parts).zip(&self.since);
        parts.filter(move |(_, since)| **since < time).map(|((first, part), _)| {
            let flows = &part[..PART.min(self.len - first)];
            bring(flows);
            (first as u32, flows)
        })
    }

    /// All parts, to be changed.
    pub fn parts_mut(&mut self) -> impl Iterator<Item = (u32, &mut [Flow])> {
        let len = self.len;
        (0..len).step_by(PART).zip(&mut self.parts).map(move |(first, part)| {
            let flows = &mut part[..PART.min(len - first)];
            bring(flows);
            (first as u32, flows)
        })
    }

    /// Takes room that [`room`] has made. Whether more is wanted: not for captures of few flows.
    pub fn take(&mut self, room: Option<Room>) -> bool {
        self.spare.extend(room);
        self.spare.len() < AHEAD && self.len >= PART
    }
}

/// Brings into the cache what tells whether flows have ended: memory answers for many in about the time of one, but not
/// beyond a branch that depends on it.
fn bring(flows: &[Flow]) {
    let words = flows.iter().fold(0, |words, flow| words ^ flow.ts_end ^ i64::from(flow.key.proto));
    std::hint::black_box(words);
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
            let all = |store: &mut Store| store.parts_mut().map(|(_, flows)| flows.len()).sum::<usize>();
            assert_eq!(all(&mut store), at);
            assert!(store.get(at).is_none());
            if store.take(None) {
                store.take(Some(room()));
            }
            let began = if at % 3 == 0 { store.push(flow(at)) } else { store.begin(&flow(at).key, 0) };
            assert_eq!(began as usize, at);
        }
        store[PART].closed = true;
        for (at, flow) in store.parts_mut().flat_map(|(first, flows)| (first as usize..).zip(flows)) {
            assert_eq!((flow.key.vni as usize, flow.closed), (at, at == PART));
        }
        for at in 0..many {
            assert_eq!(store.get(at).map(|flow| flow.key), Some(store[at].key));
        }
        assert!(store.spare.len() <= AHEAD);
    }

    #[test]
    fn parts_of_young_flows_are_passed_over() {
        let mut store = Store::default();
        for ts in 0..3 * PART as i64 - 5 {
            store.begin(&FlowKey::default(), ts);
        }
        let parts = |time| store.quiet_since(time).map(|(first, flows)| (first, flows.len())).collect::<Vec<_>>();
        assert_eq!(parts(0), []);
        assert_eq!(parts(1), [(0, PART)]);
        assert_eq!(parts(PART as i64), [(0, PART)]);
        assert_eq!(parts(2 * PART as i64 + 1), [(0, PART), (256, PART), (512, PART - 5)]);
        // The packets' own times count, whatever came before, and wherever there is a place.
        store.begin_at(300, &FlowKey::default(), -7);
        store.begin(&FlowKey::default(), -9);
        let parts = |time| store.quiet_since(time).map(|(first, _)| first).collect::<Vec<_>>();
        assert_eq!((parts(-6), parts(-8)), (vec![256, 512], vec![512]));
    }
}
