//! IP datagrams put together from their fragments (RFC 791, 3.2; RFC 8200, 4.5), within bounds.

use crate::decode::cursor::be16;
use crate::packet::Packet;
use crate::track::fragments::carried;
use crate::track::key::FlowKey;
use ahash::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Datagrams in the making at a time; the oldest is given up beyond.
const MAX_DATAGRAMS: usize = 1024;
/// Bytes that all of them hold.
const MAX_BYTES: usize = 32 << 20;
/// Longest payload of an IP datagram, bytes.
const MAX_PAYLOAD: usize = 65_535;
/// A datagram is given up after this long, ns (RFC 8200, 4.5: 60 s).
const TIMEOUT: i64 = 60_000_000_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Parts {
    ts: i64,
    /// Fragments by offset, none overlapping: what came first stays.
    parts: Vec<(usize, Vec<u8>)>,
    len: usize,
    total: Option<usize>,
}

/// The datagrams in the making.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Datagrams {
    map: HashMap<FlowKey, Parts, RandomState>,
    order: VecDeque<FlowKey>,
    bytes: usize,
    /// Datagrams given up for want of room or after their time.
    pub evicted: u64,
}

impl Datagrams {
    /// Adds a fragment. When its datagram is whole: the datagram as a packet of raw IP without options.
    /// `key` tells datagrams apart: see [`crate::track`].
    pub fn fragment(&mut self, key: FlowKey, packet: &Packet, frame: &[u8], ts: i64) -> Option<Vec<u8>> {
        let (proto, place) = carried(packet, frame)?;
        let bytes = frame.get(place.start..place.end.min(frame.len()))?;
        let offset = usize::from(packet.ip_frag_offset);
        let end = offset + bytes.len();
        if bytes.is_empty() || end > MAX_PAYLOAD {
            return None;
        }
        self.make_room(ts, key.point);
        let entry = self.map.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Parts { ts, ..Parts::default() }
        });
        if ts.saturating_sub(entry.ts) > TIMEOUT {
            self.bytes -= entry.len;
            self.evicted += 1;
            *entry = Parts { ts, ..Parts::default() };
        }
        if !packet.ip_more_fragments {
            entry.total = Some(end);
        }
        let before = entry.len;
        insert(entry, offset, bytes);
        self.bytes += entry.len - before;
        if entry.total != Some(entry.len) {
            return None;
        }
        let parts = self.map.remove(&key)?;
        self.bytes -= parts.len;
        Some(packet_of(packet, proto, &parts.parts))
    }

    /// `now` is the time at a point, and says nothing of others.
    fn make_room(&mut self, now: i64, point: u32) {
        // Behind one that waits at a point without traffic, those that are whole would never be first.
        if self.order.len() > 2 * MAX_DATAGRAMS {
            let map = &self.map;
            self.order.retain(|key| map.contains_key(key));
        }
        while let Some(oldest) = self.order.front() {
            let old = match self.map.get(oldest) {
                None => true, // whole since
                Some(parts) => {
                    let late = oldest.point == point && now.saturating_sub(parts.ts) > TIMEOUT;
                    late || self.map.len() >= MAX_DATAGRAMS || self.bytes >= MAX_BYTES
                }
            };
            if !old {
                return;
            }
            if let Some(parts) = self.order.pop_front().and_then(|key| self.map.remove(&key)) {
                self.bytes -= parts.len;
                self.evicted += 1;
            }
        }
    }
}

/// Adds the bytes that are not there yet.
fn insert(parts: &mut Parts, offset: usize, bytes: &[u8]) {
    let mut at = offset;
    let end = offset + bytes.len();
    let mut index = parts.parts.partition_point(|(start, part)| start + part.len() <= at);
    while at < end {
        let (next_start, next_end) =
            parts.parts.get(index).map_or((usize::MAX, usize::MAX), |(start, part)| (*start, start + part.len()));
        if at >= next_start {
            at = next_end;
            index += 1;
            continue;
        }
        let to = end.min(next_start);
        parts.parts.insert(index, (at, bytes[at - offset..to - offset].to_vec()));
        parts.len += to - at;
        at = to;
        index += 1;
    }
}

/// A raw IP packet around the payload.
fn packet_of(packet: &Packet, proto: u8, parts: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let len: usize = parts.iter().map(|(_, part)| part.len()).sum();
    let mut out = Vec::with_capacity(40 + len);
    if packet.ip_version == 4 {
        out.extend_from_slice(&[0x45, 0]);
        out.extend_from_slice(&((20 + len).min(MAX_PAYLOAD) as u16).to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, packet.ip_ttl, proto, 0, 0]);
        out.extend_from_slice(&packet.ip_src[..4]);
        out.extend_from_slice(&packet.ip_dst[..4]);
    } else {
        out.extend_from_slice(&[0x60, 0, 0, 0]);
        out.extend_from_slice(&(len.min(MAX_PAYLOAD) as u16).to_be_bytes());
        out.extend_from_slice(&[proto, packet.ip_ttl]);
        out.extend_from_slice(&packet.ip_src);
        out.extend_from_slice(&packet.ip_dst);
    }
    for (_, part) in parts {
        out.extend_from_slice(part);
    }
    debug_assert!(packet.ip_version != 4 || usize::from(be16(&out, 2)) <= out.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;
    use crate::frame::LinkType;
    use crate::track::key::of_packet;

    /// A UDP fragment: `part` 0 or 1 of the datagram with that identification, between two hosts.
    fn fragment(id: u16, part: u16) -> Vec<u8> {
        let mut frame = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        frame[4..6].copy_from_slice(&id.to_be_bytes());
        frame[6..8].copy_from_slice(&(if part == 0 { 0x2000 } else { part }).to_be_bytes());
        frame.extend_from_slice(&[0, 7, 0, 9, 0, 16, 0, 0]);
        frame
    }

    #[test]
    fn what_is_whole_is_forgotten_also_behind_one_that_waits() {
        let (mut datagrams, mut packet) = (Datagrams::default(), Packet::default());
        let mut add = |point: u32, id: u16, part: u16| {
            let frame = fragment(id, part);
            decode(&frame, frame.len() as u32, LinkType::RAW, &mut packet);
            let ends = of_packet(&packet, &frame, point).expect("IP").key;
            let key = FlowKey { extra: u32::from(id), ports: [0; 2], ..ends }; // a later fragment has no ports
            let whole = datagrams.fragment(key, &packet, &frame, 0);
            (whole.map(|bytes| bytes.len()), datagrams.order.len(), datagrams.map.len())
        };
        assert_eq!(add(0, 0, 0), (None, 1, 1));
        for id in 1..10_000 {
            assert_eq!(add(1, id, 0).0, None);
            let (whole, order, map) = add(1, id, 1);
            assert_eq!((whole, map), (Some(36), 1));
            assert!(order <= 2 * MAX_DATAGRAMS + 1, "{order}");
        }
        assert_eq!(add(0, 0, 1).0, Some(36), "nothing was given up");
        assert_eq!(datagrams.evicted, 0);
    }
}
