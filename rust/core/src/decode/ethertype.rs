//! Ethernet types: what follows an Ethernet, VLAN, SLL, GRE or Geneve header.
//!
//! Source: <https://www.iana.org/assignments/ieee-802-numbers>

use super::{Cursor, Next, Proto};
use crate::packet::Packet;

/// The layer that `ethertype` announces.
#[inline]
pub fn next(ethertype: u16, _at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    packet.network_type = ethertype;
    Next::Layer(match ethertype {
        0x0800 => Proto::Ip,
        0x86dd => Proto::Ipv6,
        0x0806 => Proto::Arp,
        0x8100 | 0x9100 => Proto::Vlan,
        0x88a8 => Proto::SVlan,
        _ => Proto::Data,
    })
}
