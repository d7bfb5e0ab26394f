//! What is named but not opened further: application data.

use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Ends the stack.
pub fn decode(_at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    Ok(Next::End)
}
