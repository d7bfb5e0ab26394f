//! Internet Control Message Protocol for IPv6 (RFC 4443) and Neighbor Discovery (RFC 4861).

use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Reads type and code; in an error (types under 128), what follows is the header that it quotes.
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
    if (1..=4).contains(&header[0]) {
        at.peek::<8>()?;
        at.skip(8);
        at.quoted = true;
        return Ok(Next::Layer(Proto::Ipv6));
    }
    at.skip(4);
    Ok(Next::End)
}
