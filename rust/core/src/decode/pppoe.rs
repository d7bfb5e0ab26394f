//! PPP over Ethernet (RFC 2516).

use super::cursor::be16;
use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Length of the header, bytes (RFC 2516, 4).
pub const HEADER: usize = 6;

/// Reads a session packet: PPP follows, as long as the length field says.
pub fn session(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let length = usize::from(be16(header, 4));
    at.skip(HEADER);
    at.limit(length);
    Ok(Next::Layer(Proto::Ppp))
}
