//! Internet group management protocol (RFC 2236, RFC 3376).

use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Checks that the common part of all versions is there.
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    at.peek::<8>()?;
    Ok(Next::End)
}
