//! Raw IP: no link header at all; the version nibble tells IPv4 from IPv6.

use super::{Cursor, Decoded, Fault, ethertype};
use crate::packet::Packet;

/// Looks at the version.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    match at.peek::<1>()?[0] >> 4 {
        4 => Ok(ethertype::next(0x0800, at, packet)),
        6 => Ok(ethertype::next(0x86dd, at, packet)),
        _ => Err(Fault::Bad("neither IPv4 nor IPv6")),
    }
}
