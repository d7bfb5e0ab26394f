//! Raw IP: no link header at all; the version nibble tells IPv4 from IPv6.

use super::{Cursor, Decoded, Fault, ethertype};
use crate::packet::Packet;

/// Looks at the version.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    at.peek::<1>()?;
    let known = ethertype::by_version(at)?.ok_or(Fault::Bad("neither IPv4 nor IPv6"))?;
    Ok(ethertype::next(known, at, packet))
}
