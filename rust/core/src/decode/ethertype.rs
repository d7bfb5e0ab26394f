//! Ethernet types: what follows an Ethernet, VLAN, SLL, GRE or Geneve header.
//!
//! Source: <https://www.iana.org/assignments/ieee-802-numbers>

use super::{Cursor, Fault, Next, Proto};
use crate::packet::Packet;

/// Types from here on are protocols (IEEE Std 802.3, 3.2.6).
pub const MIN_TYPE: u16 = 0x0600;

/// Values up to here are lengths (IEEE Std 802.3, 3.2.6); those between are neither.
pub const MAX_LENGTH: u16 = 1500;

/// The layer that `ethertype` announces.
#[inline]
pub fn next(ethertype: u16, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    if !at.quoted {
        packet.network_type = ethertype;
    }
    Next::Layer(match ethertype {
        0x0800 => Proto::Ip,
        0x86dd => Proto::Ipv6,
        0x0806 | 0x8035 => Proto::Arp,
        0x8100 | 0x9100 => Proto::Vlan,
        0x88a8 => Proto::SVlan,
        _ => uncommon(ethertype),
    })
}

fn uncommon(ethertype: u16) -> Proto {
    match ethertype {
        0x6558 => Proto::Eth,
        0x8847 | 0x8848 => Proto::Mpls,
        0x8863 => Proto::PppoeD,
        0x8864 => Proto::PppoeS,
        0x880b => Proto::Ppp,
        0x8809 => Proto::Slow,
        0x888e => Proto::Eapol,
        0x88cc => Proto::Lldp,
        0x9000 => Proto::Loop,
        _ => Proto::Data,
    }
}

/// The type of an IP packet that nothing but its version announces; `None`: what follows is no IP, or nothing.
///
/// # Errors
/// [`Fault::Short`] if the snap length cut the version.
pub fn by_version(at: &Cursor<'_>) -> Result<Option<u16>, Fault> {
    Ok(match at.hint()?.map(|byte| byte >> 4) {
        Some(4) => Some(0x0800),
        Some(6) => Some(0x86dd),
        _ => None,
    })
}

/// The layer behind a field that is a type or, in IEEE 802.3 frames, the length of what follows.
#[inline(always)]
pub fn or_length(value: u16, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    if value >= MIN_TYPE {
        return next(value, at, packet);
    }
    if value > MAX_LENGTH {
        return Next::Layer(Proto::Data);
    }
    at.limit(usize::from(value));
    // Novell's "raw 802.3": IPX without LLC shows its checksum field of all ones.
    Next::Layer(if at.rest().starts_with(&[0xff, 0xff]) { Proto::Data } else { Proto::Llc })
}
