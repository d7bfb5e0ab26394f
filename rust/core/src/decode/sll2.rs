//! Linux "cooked" captures, version 2: with the interface index.
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>

use super::cursor::be16;
use super::{Cursor, Decoded, sll};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 20;

/// Reads hardware type and protocol.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let (protocol, hardware) = (be16(header, 0), be16(header, 8));
    at.skip(HEADER);
    Ok(sll::next(hardware, protocol, at, packet))
}
