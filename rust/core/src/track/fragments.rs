//! IP fragments: those without ports find their flow through the first fragment (RFC 791, 3.2; RFC 8200, 4.5).

use super::datagram::{DatagramKey, First, MAX_FRAMES_BETWEEN, MAX_WAITING, Part, Waiting};
use super::key::{self, FlowKey, Keyed, PORTLESS, is_ported};
use super::lookup::Ahead;
use super::tcp::Cut;
use super::{Share, Tracker, count};
use crate::decode::cursor::{be16, be32};
use crate::decode::{FRAGMENT_HEADER, Proto, decode};
use crate::frame::LinkType;
use crate::packet::{NONE, Packet, Tunnel};
use crate::stream::{Place, Watch};
use std::ops::Range;

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

/// What an IP fragment carries: the protocol that its IP or fragment header names, which may be an extension header's, and the
/// bytes of the frame, as it was on the wire.
pub(crate) fn carried(packet: &Packet, frame: &[u8]) -> Option<(u8, Range<usize>)> {
    if packet.ip == NONE {
        return None;
    }
    let ip = packet.ip as usize;
    let (proto, start) = if packet.ip_version == 4 {
        (*frame.get(ip + 9)?, ip + usize::from(frame[ip] & 0x0f) * 4)
    } else {
        let at = fragment_offset(packet, packet.ip)?;
        (*frame.get(at)?, at + FRAGMENT_HEADER)
    };
    Some((proto, start..(ip + packet.ip_len as usize).max(start)))
}

/// Where a fragment stands in its datagram.
fn part(packet: &Packet, frame: &[u8]) -> Part {
    let start = u32::from(packet.ip_frag_offset);
    let (proto, len) =
        carried(packet, frame).map_or((packet.ip_proto, 0), |(proto, bytes)| (proto, bytes.len() as u32));
    Part { start, end: start + len, last: !packet.ip_more_fragments, proto }
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

/// What tells the datagram of a fragment apart at its place: tags, network, tunnel and point. That of IPv6 goes by addresses and
/// identification alone (RFC 8200, 4.5): fragments name the header that follows, not the last.
fn datagram_key(place: FlowKey, packet: &Packet, proto: u8) -> DatagramKey {
    FlowKey {
        low: packet.ip_src,
        high: packet.ip_dst,
        extra: packet.ip_id,
        ports: [0; 2],
        ethertype: 0,
        proto: if packet.ip_version == 4 { proto } else { 0 },
        family: packet.ip_version,
        ..place
    }
}

impl Tracker {
    /// An IP fragment: the first one has the ports and tells the others.
    pub(super) fn fragment(&mut self, keyed: &Keyed, share: &Share, packet: &Packet, frame: &[u8]) -> Option<u32> {
        self.give_up_old(share.ts, Some(keyed.key.point));
        let part = part(packet, frame);
        let (place, tags) = self.around(keyed, &part, packet, frame);
        let datagram = datagram_key(place, packet, part.proto);
        let slot = self.count_fragment(&datagram, &part, keyed, share, packet, frame);
        // What streams are made of, and the extension headers that it may stand behind.
        if matches!(part.proto, 0 | 4 | 6 | 17 | 41 | 43 | 47 | 51 | 60 | 97 | 143)
            && let Some(streams) = &mut self.streams
            && let Some(whole) = streams.datagrams.fragment(datagram, packet, frame, share.ts)
        {
            self.whole_datagram(&datagram, share, &tags, &whole);
        }
        slot
    }

    /// Tags, network and tunnel around a fragment, which those of its datagram have in common. The first one may go on into a
    /// tunnel whose own IP header is cut, of which the others know nothing.
    fn around(&mut self, keyed: &Keyed, part: &Part, packet: &Packet, frame: &[u8]) -> (FlowKey, Vec<u16>) {
        let (mut place, mut tags) = (keyed.key, packet.vlans().to_vec());
        if part.start == 0
            && packet.depth > 0
            && let Some(headers) = frame.get(packet.outer_ip as usize..=packet.ip as usize)
        {
            // The last byte tells IP where nothing else does.
            decode(headers, headers.len() as u32, LinkType::RAW, &mut self.scratch);
            tags.truncate(usize::from(packet.outer_vlans));
            tags.extend_from_slice(self.scratch.vlans());
            (place.vlans, place.vni, place.tunnel) = (key::pack_vlans(&tags), self.scratch.vni, self.scratch.tunnel);
        }
        (place, tags)
    }

    /// The first fragment of a tunnel's packet: it has the headers of the inner packet, which is counted, but only a
    /// part of what that carries.
    pub(super) fn begins_in_tunnel(&mut self, ahead: &Ahead, share: &Share, packet: &Packet, frame: &[u8]) -> u32 {
        self.give_up_old(share.ts, Some(ahead.keyed.key.point));
        let mut inner = packet.clone();
        inner.is_fragment = true; // no stream gets it as it is
        let Some(outer) = outermost(&inner, frame) else { return self.account(ahead, share, &inner, frame) };
        let tags = &packet.vlans()[..usize::from(packet.outer_vlans)];
        let vlans = key::pack_vlans(tags);
        let place = FlowKey { vlans, vni: NONE, tunnel: Tunnel::None, ..ahead.keyed.key };
        let datagram = datagram_key(place, &outer, outer.ip_proto);
        // The other fragments are the outer addresses': whoever follows a share of the flows may not see both.
        let slot = self.account(ahead, share, &inner, frame);
        if let Some(streams) = &mut self.streams
            && let Some(whole) = streams.datagrams.fragment(datagram, &outer, frame, share.ts)
        {
            self.whole_datagram(&datagram, share, tags, &whole);
        }
        slot
    }

    /// Gives a datagram that was put together from fragments to the stream of its flow; of a tunnel, to that of the inner
    /// flow. Its tags, network and tunnel are those of the fragments, then its own.
    fn whole_datagram(&mut self, datagram: &DatagramKey, share: &Share, tags: &[u16], whole: &[u8]) {
        decode(whole, whole.len() as u32, LinkType::RAW, &mut self.scratch);
        let Some(own) = key::of_packet(&self.scratch, whole, datagram.point) else { return };
        let FlowKey { mut vlans, mut vni, mut tunnel, .. } = *datagram;
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
        datagram: &DatagramKey,
        part: &Part,
        keyed: &Keyed,
        share: &Share,
        packet: &Packet,
        frame: &[u8],
    ) -> Option<u32> {
        if part.start == 0 {
            return Some(self.count_first(datagram, part, keyed, share, packet, frame));
        }
        let number = self.counters.frames;
        let (entry, over) = self.fragments.of(datagram, part, share.ts);
        let first = entry.first;
        let has_room = entry.waiting.len() < MAX_WAITING;
        let waits = first.is_none() && has_room;
        if waits {
            entry.waiting.push(Waiting { share: *share, frame: number, part: *part });
            if entry.waiting.len() == 1 {
                self.fragments.begins_to_wait(number, datagram);
            }
        }
        if let Some(over) = over {
            self.fragments.trim();
            self.orphans(datagram, over);
        }
        match first {
            Some(first) => Some(self.continuation(&first, share, part)),
            None if waits => None,
            None => {
                self.counters.orphan_fragments += 1;
                Some(self.portless(datagram, part, share))
            }
        }
    }

    /// Counts the first fragment of a datagram, which has the headers, and those that waited for it.
    fn count_first(
        &mut self,
        datagram: &DatagramKey,
        part: &Part,
        keyed: &Keyed,
        share: &Share,
        packet: &Packet,
        frame: &[u8],
    ) -> u32 {
        let (entry, over) = self.fragments.of(datagram, part, share.ts);
        let first = First { keyed: *keyed, cut: Cut::of(packet, frame) };
        entry.first = Some(first);
        let waiting = std::mem::take(&mut entry.waiting);
        if let Some(over) = over {
            self.fragments.trim();
            self.orphans(datagram, over);
        }
        let slot = self.account(&self.not_ahead(keyed), share, packet, frame);
        if !waiting.is_empty() {
            self.fragments.trim();
        }
        for late in waiting {
            let slot = self.continuation(&first, &late.share, &late.part);
            self.note_name(late.frame, slot);
        }
        slot
    }

    fn note_name(&mut self, frame: u64, slot: u32) {
        if let Some(uid) = self.flows[slot as usize].uid() {
            self.named.push((frame, uid));
        }
    }

    /// Counts a fragment without ports in the flow of its datagram.
    fn continuation(&mut self, first: &First, share: &Share, part: &Part) -> u32 {
        let keyed = &first.keyed;
        let slot = self.slot(&self.not_ahead(keyed), share, None);
        let flow = &mut self.flows[slot as usize];
        let side = usize::from(keyed.from_high);
        let new = count(flow, side, share);
        if let Some(cut) = first.cut {
            cut.rest(&mut flow.sides[side], part.start, part.end, part.last);
        }
        if new {
            flow.orig = side as u8;
            flow.seen = 0;
            self.name(slot);
        }
        slot
    }

    /// Counts a fragment whose first fragment never came: a row without ports.
    fn portless(&mut self, datagram: &FlowKey, part: &Part, share: &Share) -> u32 {
        let extra = if is_ported(part.proto) { PORTLESS } else { 0 };
        let key = FlowKey { extra, proto: part.proto, ..*datagram };
        let keyed = key::order(key, datagram.low, datagram.high, 0, 0);
        self.continuation(&First { keyed, cut: None }, share, part)
    }

    fn orphans(&mut self, key: &DatagramKey, waiting: Vec<Waiting>) {
        self.counters.orphan_fragments += waiting.len() as u64;
        for orphan in waiting {
            let slot = self.portless(key, &orphan.part, &orphan.share);
            self.note_name(orphan.frame, slot);
        }
    }

    /// Gives up datagrams whose first fragment did not come within [`MAX_FRAMES_BETWEEN`].
    #[inline]
    pub(super) fn give_up_waiting(&mut self) {
        while self.fragments.earliest_waiting().is_some_and(|first| self.counters.frames - first > MAX_FRAMES_BETWEEN) {
            if let Some((key, waiting)) = self.fragments.take_earliest() {
                self.orphans(&key, waiting);
            }
        }
    }

    /// Gives up datagrams that are too old at `now`, the time of a point or, without one, of all.
    pub(super) fn give_up_old(&mut self, now: i64, point: Option<u32>) {
        while let Some((key, datagram, evicted)) = self.fragments.pop_old(now, point, self.options.max_fragmented) {
            self.counters.evicted_fragments += u64::from(evicted);
            self.orphans(&key, datagram.waiting);
        }
    }
}
