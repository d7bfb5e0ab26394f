//! IP authentication header (RFC 4302).

use super::{Cursor, Decoded, ipv6ext};
use crate::packet::Packet;

/// Passes the header: its length counts 4-byte words, less two (RFC 4302, 2.2).
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<12>()?;
    let length = (usize::from(header[1]) + 2) * 4;
    at.slice(length)?;
    at.skip(length);
    Ok(ipv6ext::follow(header[0], at, packet))
}
