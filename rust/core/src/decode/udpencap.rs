//! IPsec in UDP (RFC 3948).

use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Tells ESP from key exchange, which begins with four zero bytes (RFC 3948, 2.2), and from keepalives (2.3).
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    Ok(match at.rest() {
        [] | [0xff] => Next::End,
        [0, 0, 0, 0, ..] => Next::Layer(Proto::Data),
        _ => Next::Layer(Proto::Esp),
    })
}
