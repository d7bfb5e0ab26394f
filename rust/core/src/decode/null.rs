//! BSD loopback: an address family in front of IP.
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_NULL.html>

use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Reads the address family, in whichever byte order: families are small numbers, so only one order makes sense.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = *at.peek::<4>()?;
    let family = match u32::from_be_bytes(header) {
        small @ 0..=0xffff => small,
        _ => u32::from_le_bytes(header),
    };
    at.skip(4);
    Ok(match family {
        2 => ethertype::next(0x0800, at, packet),
        // BSD/OS and NetBSD, FreeBSD, macOS
        24 | 28 | 30 => ethertype::next(0x86dd, at, packet),
        0x0600..=0xffff => ethertype::next(family as u16, at, packet),
        _ => Next::Layer(Proto::Data),
    })
}
