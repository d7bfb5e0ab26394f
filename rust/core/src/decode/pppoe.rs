//! PPP over Ethernet (RFC 2516).

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
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

/// Its fields.
pub static LAYOUT: Layout = layout("PPP-over-Ethernet", "RFC 2516, 4", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "pppoe.version", "Version", 0, 1).mask(0xf0),
    field(Kind::Uint, "pppoe.type", "Type", 0, 1).mask(0x0f),
    field(Kind::Hex, "pppoe.code", "Code", 1, 1),
    field(Kind::Hex, "pppoe.session_id", "Session ID", 2, 2),
    field(Kind::Uint, "pppoe.payload_length", "Payload Length", 4, 2).unit("bytes"),
];
