//! Teredo: IPv6 in UDP over IPv4 (RFC 4380, 5.1.1).

use super::cursor::be16;
use super::{Cursor, Decoded, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

/// Passes authentication and origin indication, if any; IPv6 follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    if be16(at.peek::<2>()?, 0) == 1 {
        let header = at.peek::<4>()?;
        let length = 4 + usize::from(header[2]) + usize::from(header[3]) + 9;
        at.slice(length)?;
        at.skip(length);
    }
    if at.hint()? == Some(0) && *at.peek::<2>()? == [0, 0] {
        at.peek::<8>()?;
        at.skip(8);
    }
    let is_ipv6 = at.hint()?.is_some_and(|byte| byte >> 4 == 6);
    if !is_ipv6 || !tunnel::enter(Tunnel::Teredo, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    Ok(ethertype::next(0x86dd, at, packet))
}
