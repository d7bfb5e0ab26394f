//! Finding the flows of packets: the hash table, and fetching what it leads to ahead of time.

use super::Points;
use super::Tracker;
use super::key::{self, FlowKey, Keyed};
use crate::frame::{FrameBatch, FrameMeta};
use crate::packet::Packet;
use ahash::RandomState;

/// An open flow in the hash table. With its hash beside it, neither a look-up that finds another flow nor a growing
/// table touches the flows themselves. Half a hash is enough for that, and takes half the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) hash: u32,
    pub(super) slot: u32,
}

impl Entry {
    /// The hash by which it stands in the table.
    #[inline]
    pub(super) fn whole(&self) -> u64 {
        whole(self.hash)
    }
}

/// A whole hash of half a one: the table takes a place from the low bits, and a mark from the highest.
#[inline]
pub(crate) fn whole(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A packet's key, and what was found for it ahead of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    pub(super) keyed: Keyed,
    pub(super) hash: u32,
    /// The slot of an open flow with this hash, most likely its own; [`NO_SLOT`] if there was none.
    pub(super) slot: u32,
    /// The packet has a key.
    pub(super) is_there: bool,
}

/// Fills in the keys of packets, one each.
pub(super) fn fill(
    points: &Points,
    hasher: &RandomState,
    batch: &FrameBatch,
    metas: &[FrameMeta],
    packets: &[Packet],
    keys: &mut [Ahead],
) {
    for ((meta, packet), ahead) in metas.iter().zip(packets).zip(keys) {
        let point = points.of(meta.interface);
        ahead.is_there = key::write_of_packet(packet, batch.bytes(meta), point, &mut ahead.keyed);
        if ahead.is_there {
            ahead.hash = half_hash(hasher, &ahead.keyed.key);
        }
    }
}

fn half_hash(hasher: &RandomState, key: &FlowKey) -> u32 {
    hasher.hash_one(key) as u32
}

/// No slot.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Packets whose flows are fetched into the cache together, before any of them is counted: memory answers all of them
/// in about the time of one.
pub(super) const TOGETHER: usize = 32;

impl Tracker {
    pub(super) fn hash(&self, key: &FlowKey) -> u32 {
        half_hash(&self.hasher, key)
    }

    /// Works out the keys of packets.
    pub(super) fn keys(&self, batch: &FrameBatch, metas: &[FrameMeta], packets: &[Packet], keys: &mut [Ahead]) {
        fill(&self.points, &self.hasher, batch, metas, packets, keys);
    }

    /// Finds the flows of keys, and reads a word of each cache line that counting their packets will need; nothing depends
    /// on what these say.
    pub(super) fn look_ahead(&self, keys: &mut [Ahead]) {
        for ahead in keys.iter_mut().filter(|ahead| ahead.is_there) {
            let found = self.table.find(whole(ahead.hash), |entry| entry.hash == ahead.hash);
            ahead.slot = found.map_or(NO_SLOT, |entry| entry.slot);
        }
        let mut words = 0;
        for ahead in keys.iter().filter(|ahead| ahead.is_there) {
            if let Some(flow) = self.flows.get(ahead.slot as usize) {
                let side = &flow.sides[usize::from(ahead.keyed.from_high)];
                words ^= u64::from(flow.key.vni) ^ flow.last_frame ^ u64::from(side.len.max) ^ u64::from(side.letters);
            }
        }
        std::hint::black_box(words);
    }

    /// A key for which nothing was found ahead of time.
    pub(super) fn not_ahead(&self, keyed: &Keyed) -> Ahead {
        Ahead { keyed: *keyed, hash: self.hash(&keyed.key), slot: NO_SLOT, is_there: true }
    }

    /// The open flow of a key: that in the slot that was found ahead of time, if it is its own and has not ended since.
    #[inline(always)]
    pub(super) fn find_ahead(&self, key: &FlowKey, hash: u32, slot: u32) -> Option<u32> {
        match self.flows.get(slot as usize) {
            Some(flow) if !flow.over && flow.key == *key => Some(slot),
            _ => self.find_hashed(key, hash),
        }
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<u32> {
        self.find_hashed(key, self.hash(key))
    }

    #[inline]
    pub(super) fn find_hashed(&self, key: &FlowKey, hash: u32) -> Option<u32> {
        let same = |entry: &Entry| entry.hash == hash && self.flows[entry.slot as usize].key == *key;
        self.table.find(whole(hash), same).map(|entry| entry.slot)
    }
}
