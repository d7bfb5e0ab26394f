//! Internet Control Message Protocol (RFC 792).

use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Reads type and code; in an error, what follows is the header that it quotes.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<4>()?;
    if !at.quoted {
        packet.transport = at.pos() as u32;
        packet.has_icmp = true;
        packet.icmp_type = header[0];
        packet.icmp_code = header[1];
        packet.payload = (at.pos() + 8) as u32;
        packet.payload_len = at.wire_rest().saturating_sub(8) as u32;
    }
    at.peek::<8>()?;
    at.skip(8);
    match header[0] {
        // destination unreachable, source quench, redirect, time exceeded, parameter problem
        3 | 4 | 5 | 11 | 12 if !at.rest().is_empty() => {
            at.quoted = true;
            Ok(Next::Layer(Proto::Ip))
        }
        _ => Ok(Next::Layer(Proto::Data)),
    }
}
