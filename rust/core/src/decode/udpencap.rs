//! IPsec in UDP (RFC 3948).

use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Tells ESP from key exchange, which begins with four zero bytes (RFC 3948, 2.2), and from keepalives (2.3).
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    if at.wire_rest() <= 1 && matches!(at.rest(), [] | [0xff]) {
        return Ok(Next::End);
    }
    if at.rest().iter().take(4).any(|&byte| byte != 0) {
        return Ok(Next::Layer(Proto::Esp));
    }
    if at.wire_rest() >= 4 {
        at.peek::<4>()?;
    }
    Ok(Next::Layer(Proto::Data))
}
