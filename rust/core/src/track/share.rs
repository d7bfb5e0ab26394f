//! A share of the flows: those between some addresses. Several workers, each with its share, find all flows together.
//!
//! Everything that can touch a flow is in its share: other packets between its addresses, their fragments, and the ICMP
//! errors that quote them.

use super::{key, parent};
use crate::decode::cursor::be16;
use crate::frame::LinkType;
use crate::packet::{NONE, Packet};

/// One of `of` shares, `index` from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    of: u32,
}

impl Share {
    /// `None` unless `index` is below `of`.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// There is only one share.
    #[must_use]
    pub fn is_all(self) -> bool {
        self.of == 1
    }

    /// How many shares there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.of as usize
    }

    /// Whether two addresses, in either order, are in this share.
    #[inline]
    fn has(self, one: u128, other: u128) -> bool {
        // Multiply-shift by an odd constant; a sum does not know which came first.
        let mix = |address: u128| {
            let folded = (address >> 64) as u64 ^ address as u64;
            (folded ^ folded >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let both = mix(one).wrapping_add(mix(other));
        let spread = (both ^ both >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
        // The upper half of a product is below its other factor: no division.
        (spread * u64::from(self.of)) >> 32 == u64::from(self.index)
    }

    /// Whether a decoded frame is in this share. One that makes no row is in all.
    #[must_use]
    pub fn has_packet(self, packet: &Packet, frame: &[u8]) -> bool {
        let error = packet.quoted_ip != NONE;
        let quoted = if error { parent::quoted(packet, frame, 0, &mut Packet::default()) } else { None };
        let key = quoted.or_else(|| key::of_packet(packet, frame, 0).map(|keyed| keyed.key));
        key.is_none_or(|key| self.has(u128::from_be_bytes(key.low), u128::from_be_bytes(key.high)))
    }

    /// The same of a frame that is not decoded yet, where a look at its headers is enough: TCP, or UDP to and from ports
    /// that carry no tunnel, in IP in Ethernet. `None` where it takes decoding.
    #[must_use]
    #[inline]
    pub fn has_frame(self, frame: &[u8], link_type: LinkType) -> Option<bool> {
        if link_type != LinkType::ETHERNET || frame.len() < 14 {
            return None;
        }
        let (mut at, mut kind) = (14, be16(frame, 12));
        for _ in 0..2 {
            if matches!(kind, 0x8100 | 0x88a8) && frame.len() >= at + 4 {
                kind = be16(frame, at + 2);
                at += 4;
            }
        }
        let ip = frame.get(at..)?;
        match kind {
            0x0800 => {
                let header = ip.first_chunk::<20>()?;
                if header[0] >> 4 != 4 || header[0] & 0x0f < 5 {
                    return None;
                }
                let rest = ip.get(usize::from(header[0] & 0x0f) * 4..)?;
                if !is_final(header[9], rest) {
                    return None;
                }
                let word = |at: usize| u128::from(u32::from_be_bytes([0, 1, 2, 3].map(|i| header[at + i]))) << 96;
                Some(self.has(word(12), word(16)))
            }
            0x86dd => {
                let header = ip.first_chunk::<40>()?;
                if header[0] >> 4 != 6 || !is_final(header[6], &ip[40..]) {
                    return None;
                }
                let address = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
                Some(self.has(address(8), address(24)))
            }
            _ => None,
        }
    }
}

/// No other IP header can follow: TCP, or UDP between two ports neither of which is a tunnel's (see `decode/udp.rs`).
/// Ports of a fragment are what stands there, which at worst takes decoding for nothing.
#[inline]
fn is_final(proto: u8, rest: &[u8]) -> bool {
    let tunnel = |port| matches!(port, 4500 | 4789 | 8472 | 4790 | 6081 | 6635 | 2152 | 1701 | 3544);
    match proto {
        6 => true,
        17 => rest.len() >= 4 && !tunnel(be16(rest, 0)) && !tunnel(be16(rest, 2)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;

    /// IPv4 around a payload.
    fn ip(proto: u8, from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
        bytes.extend_from_slice(payload);
        let len = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        bytes
    }

    fn worker(frame: &[u8]) -> Vec<u32> {
        let mut packet = Packet::default();
        decode(frame, frame.len() as u32, LinkType::RAW, &mut packet);
        (0..8).filter(|at| Share::new(*at, 8).is_some_and(|share| share.has_packet(&packet, frame))).collect()
    }

    #[test]
    fn an_error_about_a_tunnel_s_packet_is_with_the_flow_in_the_tunnel() {
        let udp = [0, 53, 0, 99, 0, 8, 0, 0];
        for host in 1..100 {
            let inner = ip(17, host, 200, &udp);
            let tunnelled = ip(4, 201, 202, &inner);
            let error = ip(1, 203, 201, &[&[11, 0, 0, 0, 0, 0, 0, 0], &tunnelled[..]].concat());
            let flow = worker(&inner);
            assert_eq!(flow.len(), 1);
            assert_eq!(worker(&tunnelled), flow);
            assert_eq!(worker(&error), flow, "host {host}");
        }
    }
}
