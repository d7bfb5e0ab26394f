//! Multiprotocol label switching (RFC 3032): the whole label stack is one layer.

use super::cursor::be32;
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Reads labels up to the bottom of the stack. What follows is not announced: its first nibble tells IP (RFC 4928, 3).
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    loop {
        let entry = be32(at.peek::<4>()?, 0);
        at.skip(4);
        if entry & 0x100 != 0 {
            break;
        }
    }
    Ok(match at.rest().first().map(|byte| byte >> 4) {
        Some(4) => ethertype::next(0x0800, at, packet),
        Some(6) => ethertype::next(0x86dd, at, packet),
        _ => Next::Layer(Proto::Data),
    })
}
