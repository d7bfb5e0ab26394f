//! Finding the flows of packets: the hash table, and fetching what it leads to ahead of time.

use super::Tracker;
use super::key::{FlowKey, Keyed};

/// An open flow in the hash table. With its hash beside it, neither a look-up that finds another flow nor a growing
/// table touches the flows themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) hash: u64,
    pub(super) slot: u32,
}

/// Packets whose flows are fetched into the cache together, before any of them is counted: memory answers all of them
/// in about the time of one.
pub(super) const TOGETHER: usize = 32;

impl Tracker {
    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Reads a word of each cache line that counting these packets will need; nothing depends on what they say.
    pub(super) fn fetch(&self, keys: &[Option<(Keyed, u64)>; TOGETHER]) {
        let mut slots = [usize::MAX; TOGETHER];
        for (slot, key) in slots.iter_mut().zip(keys) {
            if let Some((_, hash)) = key
                && let Some(entry) = self.table.find(*hash, |entry| entry.hash == *hash)
            {
                *slot = entry.slot as usize;
            }
        }
        let mut words = 0;
        for (slot, key) in slots.iter().zip(keys) {
            if let (Some(flow), Some((keyed, _))) = (self.flows.get(*slot), key) {
                let side = &flow.sides[usize::from(keyed.from_high)];
                words ^= u64::from(flow.key.vni) ^ flow.last_frame ^ u64::from(flow.seen) ^ side.pkts;
                words ^= u64::from(side.next_seq) ^ side.len.max ^ side.iat.max ^ u64::from(side.letters);
            }
        }
        std::hint::black_box(words);
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<u32> {
        self.find_hashed(key, self.hash(key))
    }

    #[inline]
    pub(super) fn find_hashed(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        let same = |entry: &Entry| entry.hash == hash && self.flows[entry.slot as usize].key == *key;
        self.table.find(hash, same).map(|entry| entry.slot)
    }
}
