//! IP fragments: those without ports find their flow through the first fragment (RFC 791, 3.2; RFC 8200, 4.5).

use super::key::{self, FlowKey, Keyed, PORTLESS, is_ported};
use super::lookup::Ahead;
use super::side::known;
use super::{Share, Tracker, count};
use crate::decode::cursor::{be16, be32};
use crate::decode::{FRAGMENT_HEADER, Proto, decode};
use crate::frame::LinkType;
use crate::packet::{NONE, Packet, Tunnel};
use crate::stream::{Place, Watch};
use ahash::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Which datagram a fragment belongs to.
pub type DatagramKey = FlowKey;

/// What is known of a fragmented datagram.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Datagram {
    /// The key that its first fragment gave, once that was seen.
    flow: Option<Keyed>,
    /// Protocol that its fragments name.
    proto: u8,
    /// Fragments that came before the first one: wait here to be counted.
    waiting: Vec<Waiting>,
}

/// What a fragment that waits for its datagram's first will add to the flow, and which frame it was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Waiting {
    share: Share,
    frame: u64,
}

/// A datagram is given up after this long, ns (RFC 1122, 3.3.2: 60 to 120 s; Linux: 30 s).
pub const TIMEOUT: i64 = 60 * super::options::SECOND;

/// Fragments that may wait for one datagram's first: 64 KiB in the smallest fragments that IPv4 allows is more, and hostile.
pub const MAX_WAITING: usize = 64;

/// Frames that may come between a fragment and the first of its datagram. Counted in frames and not in batches, so that the
/// same input gives the same rows however it is read; rows of packets wait as long to learn their flow.
pub const MAX_FRAMES_BETWEEN: u64 = 1 << 16;

/// The datagrams in progress, oldest first, within a bound.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fragments {
    map: HashMap<DatagramKey, Datagram, RandomState>,
    order: VecDeque<(i64, DatagramKey)>,
    /// Datagrams with waiting fragments, by the frame of the earliest; answered ones are dropped when they come first.
    waiting: VecDeque<(u64, DatagramKey)>,
}

impl Fragments {
    /// The datagram of this key, made if new.
    fn entry(&mut self, key: DatagramKey, proto: u8, ts: i64) -> &mut Datagram {
        self.map.entry(key).or_insert_with(|| {
            self.order.push_back((ts, key));
            Datagram { flow: None, proto, waiting: Vec::new() }
        })
    }

    /// Takes out the oldest datagram if it is older than [`TIMEOUT`] at `now`, or if there are more than `max`;
    /// the flag says that it was the latter.
    fn pop_old(&mut self, now: i64, max: usize) -> Option<(DatagramKey, Datagram, bool)> {
        let (ts, _) = self.order.front()?;
        let old = now.saturating_sub(*ts) > TIMEOUT;
        if !old && self.map.len() <= max {
            return None;
        }
        let (_, key) = self.order.pop_front()?;
        let datagram = self.map.remove(&key)?;
        self.trim();
        Some((key, datagram, !old))
    }

    /// Drops answered datagrams from the front of the queue of those that wait.
    fn trim(&mut self) {
        while let Some((frame, key)) = self.waiting.front() {
            let first = self.map.get(key).and_then(|datagram| datagram.waiting.first());
            if first.is_some_and(|first| first.frame == *frame) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// The earliest frame that waits.
    #[inline]
    pub fn earliest_waiting(&self) -> Option<u64> {
        self.waiting.front().map(|(frame, _)| *frame)
    }

    /// Takes the waiting fragments of the datagram that waits the longest.
    fn take_earliest(&mut self) -> Option<(DatagramKey, u8, Vec<Waiting>)> {
        let (_, key) = self.waiting.pop_front()?;
        let datagram = self.map.get_mut(&key)?;
        let taken = (key, datagram.proto, std::mem::take(&mut datagram.waiting));
        self.trim();
        Some(taken)
    }
}

/// Whether the outermost IP header of a tunnelled packet says that more fragments follow.
#[inline]
pub(super) fn is_cut_tunnel(packet: &Packet, frame: &[u8]) -> bool {
    packet.depth > 0
        && packet.outer_ip != NONE
        && frame.get(packet.outer_ip as usize..).is_some_and(|ip| match ip {
            [0x40..=0x4f, ..] => ip.len() >= 20 && ip[6] & 0x20 != 0,
            [0x60..=0x6f, ..] => {
                fragment_header(packet, packet.outer_ip, frame).is_some_and(|header| header[3] & 1 != 0)
            }
            _ => false,
        })
}

/// The fragment header among the extension headers of the IPv6 header at byte `ip`.
pub(crate) fn fragment_header<'a>(packet: &Packet, ip: u32, frame: &'a [u8]) -> Option<&'a [u8; FRAGMENT_HEADER]> {
    let at = fragment_offset(packet, ip)?;
    frame.get(at..)?.first_chunk()
}

/// Where it begins, bytes from the start of the frame.
pub(crate) fn fragment_offset(packet: &Packet, ip: u32) -> Option<usize> {
    let behind = packet.layers().iter().skip_while(|layer| layer.offset() <= ip as usize);
    let is_extension = |proto| {
        matches!(proto, Proto::Ipv6HopOpts | Proto::Ipv6Routing | Proto::Ipv6DstOpts | Proto::Ipv6Frag | Proto::Ah)
    };
    let mut extensions = behind.take_while(|layer| is_extension(layer.proto()));
    extensions.find(|layer| layer.proto() == Proto::Ipv6Frag).map(|layer| layer.offset())
}

/// A tunnelled packet as one that ends with its outermost IP header, the first fragment of a datagram.
fn outermost(packet: &Packet, frame: &[u8]) -> Option<Packet> {
    let mut outer = packet.clone();
    let ip = frame.get(packet.outer_ip as usize..)?;
    outer.ip = packet.outer_ip;
    (outer.ip_frag_offset, outer.ip_more_fragments) = (0, true);
    (outer.ip_src, outer.ip_dst) = ([0; 16], [0; 16]);
    if let Some(fragment) = fragment_header(packet, packet.outer_ip, frame) {
        let header = ip.first_chunk::<40>()?;
        (outer.ip_version, outer.ip_ttl, outer.ip_proto) = (6, header[7], fragment[0]);
        (outer.ip_len, outer.ip_id) = (40 + u32::from(be16(header, 4)), be32(fragment, 4));
        outer.ip_src.copy_from_slice(&header[8..24]);
        outer.ip_dst.copy_from_slice(&header[24..]);
    } else {
        let header = ip.first_chunk::<20>()?;
        (outer.ip_version, outer.ip_ttl, outer.ip_proto) = (4, header[8], header[9]);
        (outer.ip_len, outer.ip_id) = (u32::from(be16(header, 2)), u32::from(be16(header, 4)));
        outer.ip_src[..4].copy_from_slice(&header[12..16]);
        outer.ip_dst[..4].copy_from_slice(&header[16..]);
    }
    Some(outer)
}

impl Tracker {
    /// An IP fragment: the first one has the ports and tells the others.
    pub(super) fn fragment(&mut self, keyed: &Keyed, share: &Share, packet: &Packet, frame: &[u8]) -> Option<u32> {
        self.give_up_old(share.ts);
        let mut datagram = keyed.key;
        (datagram.low, datagram.high) = (packet.ip_src, packet.ip_dst);
        (datagram.ports, datagram.extra, datagram.ethertype) = ([0; 2], packet.ip_id, 0);
        if packet.ip_version == 6 {
            // RFC 8200, 4.5: addresses and identification alone; fragments name the header that follows, not the last.
            datagram.proto = 0;
        }
        let slot = self.count_fragment(datagram, keyed, share, packet, frame);
        if matches!(packet.ip_proto, 4 | 6 | 17 | 41 | 47)
            && let Some(streams) = &mut self.streams
            && let Some(whole) = streams.datagrams.fragment(datagram, packet, frame, share.ts)
        {
            self.whole_datagram(keyed, share, packet.vlans(), &whole);
        }
        slot
    }

    /// The first fragment of a tunnel's packet: it has the headers of the inner packet, which is counted, but only a
    /// part of what that carries.
    pub(super) fn begins_in_tunnel(&mut self, ahead: &Ahead, share: &Share, packet: &Packet, frame: &[u8]) -> u32 {
        let mut part = packet.clone();
        part.is_fragment = true; // no stream gets it as it is
        let slot = self.account(ahead, share, &part, frame);
        let Some(outer) = outermost(&part, frame) else { return slot };
        let tags = &packet.vlans()[..usize::from(packet.outer_vlans)];
        let datagram = FlowKey {
            low: outer.ip_src,
            high: outer.ip_dst,
            vlans: key::pack_vlans(tags),
            vni: NONE,
            extra: outer.ip_id,
            ports: [0; 2],
            ethertype: 0,
            point: ahead.keyed.key.point,
            // As in `fragment`: those of IPv6 are told apart without it.
            proto: if outer.ip_version == 4 { outer.ip_proto } else { 0 },
            family: outer.ip_version,
            tunnel: Tunnel::None,
        };
        if let Some(streams) = &mut self.streams
            && let Some(whole) = streams.datagrams.fragment(datagram, &outer, frame, share.ts)
        {
            self.whole_datagram(&Keyed { key: datagram, from_high: false }, share, tags, &whole);
        }
        slot
    }

    /// Gives a datagram that was put together from fragments to the stream of its flow; of a tunnel, to that of the inner
    /// flow. Its tags, network and tunnel are those of the fragments, then its own.
    fn whole_datagram(&mut self, keyed: &Keyed, share: &Share, tags: &[u16], whole: &[u8]) {
        decode(whole, whole.len() as u32, LinkType::RAW, &mut self.scratch);
        let Some(own) = key::of_packet(&self.scratch, whole, keyed.key.point) else { return };
        let FlowKey { mut vlans, mut vni, mut tunnel, .. } = keyed.key;
        if self.scratch.depth > 0 {
            vlans = key::pack_vlans(&[tags, self.scratch.vlans()].concat());
            tunnel = own.key.tunnel;
            vni = if own.key.vni == NONE { vni } else { own.key.vni };
        }
        let Some(slot) = self.find(&FlowKey { vlans, vni, tunnel, ..own.key }) else { return };
        let flow = &mut self.flows[slot as usize];
        if let Some(streams) = &mut self.streams
            && flow.watch != Watch::IGNORED
        {
            let place = Place { ts: share.ts, frame: share.number, timed: share.timed };
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
        let number = self.counters.frames;
        let entry = self.fragments.entry(datagram, packet.ip_proto, share.ts);
        if packet.ip_frag_offset != 0 {
            if let Some(keyed) = entry.flow {
                return Some(self.continuation(&keyed, share));
            }
            if entry.waiting.len() < MAX_WAITING {
                entry.waiting.push(Waiting { share: *share, frame: number });
                if entry.waiting.len() == 1 {
                    self.fragments.waiting.push_back((number, datagram));
                }
                return None;
            }
            self.counters.orphan_fragments += 1;
            return Some(self.portless(&datagram, packet.ip_proto, share));
        }
        entry.flow = Some(*keyed);
        let waiting = std::mem::take(&mut entry.waiting);
        let slot = self.account(&self.not_ahead(keyed), share, packet, frame);
        if !waiting.is_empty() {
            self.fragments.trim();
        }
        for late in waiting {
            let slot = self.continuation(keyed, &late.share);
            self.note_name(late.frame, slot);
        }
        Some(slot)
    }

    fn note_name(&mut self, frame: u64, slot: u32) {
        if let Some(uid) = self.flows[slot as usize].uid() {
            self.named.push((frame, uid));
        }
    }

    /// Counts a fragment without ports in the flow of its datagram.
    fn continuation(&mut self, keyed: &Keyed, share: &Share) -> u32 {
        let slot = self.slot(&self.not_ahead(keyed), share, None);
        let flow = &mut self.flows[slot as usize];
        let side = usize::from(keyed.from_high);
        let new = count(flow, side, share);
        let own = &mut flow.sides[side];
        if own.knows(known::SEQ) {
            // The rest of a TCP segment: its bytes are in sequence space too.
            if own.fin && own.fin_end == own.next_seq {
                own.fin_end = own.fin_end.wrapping_add(share.payload_len);
            }
            own.next_seq = own.next_seq.wrapping_add(share.payload_len);
        }
        if new {
            flow.orig = side as u8;
            flow.seen = 0;
            self.name(slot);
        }
        slot
    }

    /// Counts a fragment whose first fragment never came: a row without ports.
    fn portless(&mut self, datagram: &FlowKey, proto: u8, share: &Share) -> u32 {
        let extra = if is_ported(proto) { PORTLESS } else { 0 };
        let key = FlowKey { extra, proto, ..*datagram };
        let keyed = key::order(key, datagram.low, datagram.high, 0, 0);
        self.continuation(&keyed, share)
    }

    fn orphans(&mut self, key: &DatagramKey, proto: u8, waiting: Vec<Waiting>) {
        self.counters.orphan_fragments += waiting.len() as u64;
        for orphan in waiting {
            let slot = self.portless(key, proto, &orphan.share);
            self.note_name(orphan.frame, slot);
        }
    }

    /// Gives up datagrams whose first fragment did not come within [`MAX_FRAMES_BETWEEN`].
    #[inline]
    pub(super) fn give_up_waiting(&mut self) {
        while self.fragments.earliest_waiting().is_some_and(|first| self.counters.frames - first > MAX_FRAMES_BETWEEN) {
            if let Some((key, proto, waiting)) = self.fragments.take_earliest() {
                self.orphans(&key, proto, waiting);
            }
        }
    }

    pub(super) fn give_up_old(&mut self, now: i64) {
        while let Some((key, datagram, evicted)) = self.fragments.pop_old(now, self.options.max_fragmented) {
            self.counters.evicted_fragments += u64::from(evicted);
            self.orphans(&key, datagram.proto, datagram.waiting);
        }
    }
}
