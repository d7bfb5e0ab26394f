//! Cisco HDLC (RFC 1547, 4.3.1).

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Keepalives of Cisco HDLC; elsewhere this type is RARP.
const SLARP: u16 = 0x8035;

/// Reads address, control and the Ethernet type that follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<4>()?;
    at.skip(4);
    Ok(match be16(header, 2) {
        SLARP => Next::Layer(Proto::Data),
        other => ethertype::next(other, at, packet),
    })
}

/// Its fields.
pub static LAYOUT: Layout = layout("Cisco HDLC", "RFC 1547, 4.3.1", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "chdlc.address", "Address", 0, 1),
    field(Kind::Hex, "chdlc.protocol", "Protocol", 2, 2),
];
