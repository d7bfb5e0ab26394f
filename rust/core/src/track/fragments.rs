//! IP fragments: those without ports find their flow through the first fragment (RFC 791, 3.2; RFC 8200, 4.5).

use super::key::{self, FlowKey, Keyed};
use super::{Share, Tracker, count};
use crate::decode::decode;
use crate::frame::LinkType;
use crate::packet::Packet;
use crate::stream::{Place, Watch};
use ahash::RandomState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Which datagram a fragment belongs to.
pub type DatagramKey = FlowKey;

/// What is known of a fragmented datagram.
#[derive(Debug)]
pub struct Datagram {
    /// The key that its first fragment gave, once that was seen, and whether it went from the high end.
    pub flow: Option<(FlowKey, bool)>,
    /// Fragments that came before the first one: wait here to be counted.
    pub(super) waiting: Vec<Waiting>,
}

/// What a fragment that waits for its datagram's first will add to the flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting(pub(super) Share);

/// A datagram is given up after this long, ns (RFC 1122, 3.3.2: 60 to 120 s; Linux: 30 s).
pub const TIMEOUT: i64 = 60 * super::options::SECOND;

/// Fragments that may wait for one datagram's first: 64 KiB in the smallest fragments that IPv4 allows is more, and hostile.
pub const MAX_WAITING: usize = 64;

/// The datagrams in progress, oldest first, within a bound.
#[derive(Debug, Default)]
pub struct Fragments {
    map: HashMap<DatagramKey, Datagram, RandomState>,
    order: VecDeque<(i64, DatagramKey)>,
}

impl Fragments {
    /// The datagram of this key, made if new.
    pub fn entry(&mut self, key: DatagramKey, ts: i64) -> &mut Datagram {
        self.map.entry(key).or_insert_with(|| {
            self.order.push_back((ts, key));
            Datagram { flow: None, waiting: Vec::new() }
        })
    }

    /// Takes out the oldest datagram if it is older than [`TIMEOUT`] at `now`, or if there are more than `max`;
    /// the flag says that it was the latter.
    pub fn pop_old(&mut self, now: i64, max: usize) -> Option<(DatagramKey, Datagram, bool)> {
        let (ts, _) = self.order.front()?;
        let old = now.saturating_sub(*ts) > TIMEOUT;
        if !old && self.map.len() <= max {
            return None;
        }
        let (_, key) = self.order.pop_front()?;
        self.map.remove(&key).map(|datagram| (key, datagram, !old))
    }
}

impl Tracker {
    /// An IP fragment: the first one has the ports and tells the others.
    pub(super) fn fragment(&mut self, keyed: &Keyed, share: &Share, packet: &Packet, frame: &[u8]) -> Option<u32> {
        self.give_up_old(self.now);
        let mut datagram = keyed.key;
        (datagram.low, datagram.high) = (packet.ip_src, packet.ip_dst);
        (datagram.ports, datagram.extra, datagram.ethertype) = ([0; 2], packet.ip_id, 0);
        let slot = self.count_fragment(datagram, keyed, share, packet, frame);
        if matches!(packet.ip_proto, 6 | 17)
            && let Some(streams) = &mut self.streams
            && let Some(whole) = streams.datagrams.fragment(datagram, packet, frame, share.ts)
        {
            self.whole_datagram(keyed, share, &whole);
        }
        slot
    }

    /// Gives a datagram that was put together from fragments to the stream of its flow.
    fn whole_datagram(&mut self, keyed: &Keyed, share: &Share, whole: &[u8]) {
        decode(whole, whole.len() as u32, LinkType::RAW, &mut self.scratch);
        let Some(own) = key::of_packet(&self.scratch, whole, keyed.key.point) else { return };
        let FlowKey { vlans, vni, tunnel, .. } = keyed.key;
        let Some(slot) = self.find(&FlowKey { vlans, vni, tunnel, ..own.key }) else { return };
        let flow = &mut self.flows[slot as usize];
        if let Some(streams) = &mut self.streams
            && flow.watch != Watch::IGNORED
        {
            let place = Place { ts: share.ts, frame: share.number };
            let side = usize::from(own.from_high);
            streams.packet(flow, side, &self.scratch, whole, place, |flow| super::who(flow, &self.points));
        }
    }

    fn count_fragment(
        &mut self,
        datagram: DatagramKey,
        keyed: &Keyed,
        share: &Share,
        packet: &Packet,
        frame: &[u8],
    ) -> Option<u32> {
        let share = Share { payload_len: share.payload_len.min(share.ip_len), ..*share };
        if packet.ip_frag_offset != 0 {
            let entry = self.fragments.entry(datagram, share.ts);
            let Some((key, from_high)) = entry.flow else {
                if entry.waiting.len() < MAX_WAITING {
                    entry.waiting.push(Waiting(share));
                    return None;
                }
                self.counters.orphan_fragments += 1;
                return Some(self.portless(&datagram, &share));
            };
            return Some(self.continuation(&Keyed { key, from_high }, &share));
        }
        let entry = self.fragments.entry(datagram, share.ts);
        entry.flow = Some((keyed.key, keyed.from_high));
        let waiting = std::mem::take(&mut entry.waiting);
        let slot = self.account(keyed, &share, packet, frame);
        for Waiting(late) in waiting {
            self.continuation(keyed, &late);
        }
        Some(slot)
    }

    /// Counts a fragment without ports in the flow of its datagram.
    pub(super) fn continuation(&mut self, keyed: &Keyed, share: &Share) -> u32 {
        let slot = self.slot(keyed, share, None);
        let flow = &mut self.flows[slot as usize];
        let new = flow.first_frame == 0;
        let side = usize::from(keyed.from_high);
        count(flow, side, share);
        if new {
            flow.orig = side as u8;
            flow.seen = 0;
            if self.options.uid_per_packet {
                let uid = self.uid_of(&self.flows[slot as usize]);
                self.flows[slot as usize].uid = Some(uid);
            }
        }
        slot
    }

    /// Counts a fragment whose first fragment never came: a row without ports.
    pub(super) fn portless(&mut self, datagram: &FlowKey, share: &Share) -> u32 {
        let key = FlowKey { extra: 0, ..*datagram };
        let keyed = key::order(key, datagram.low, datagram.high, 0, 0);
        self.continuation(&keyed, share)
    }

    pub(super) fn give_up_old(&mut self, now: i64) {
        while let Some((key, datagram, evicted)) = self.fragments.pop_old(now, self.options.max_fragmented) {
            self.counters.evicted_fragments += u64::from(evicted);
            self.counters.orphan_fragments += datagram.waiting.len() as u64;
            for Waiting(share) in datagram.waiting {
                self.portless(&key, &share);
            }
        }
    }
}
