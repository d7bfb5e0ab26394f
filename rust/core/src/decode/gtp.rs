//! GTP-U version 1, the user plane of mobile networks (3GPP TS 29.281, 5).

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Fault, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

/// Message type of a carried packet.
const T_PDU: u8 = 255;

/// Passes the header with its extension headers; a T-PDU carries IP.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    let (flags, kind, length) = (header[0], header[1], usize::from(be16(header, 2)));
    if flags >> 5 != 1 {
        return Err(Fault::Bad("version is not 1"));
    }
    at.skip(8);
    at.limit(length);
    if flags & 0x07 != 0 {
        let optional = at.peek::<4>()?;
        at.skip(4);
        if flags & 0x04 != 0 {
            extensions(optional[3], at)?;
        }
    }
    if kind != T_PDU {
        return Ok(Next::End); // information elements
    }
    let carried = ethertype::by_version(at)?;
    Ok(match carried {
        Some(known) if tunnel::enter(Tunnel::Gtp, at, packet) => ethertype::next(known, at, packet),
        _ => Next::Layer(Proto::Data),
    })
}

/// Extension headers: a length in 4-byte words, and the type of the next in the last byte (5.2.1).
fn extensions(mut kind: u8, at: &mut Cursor<'_>) -> Result<(), Fault> {
    while kind != 0 {
        let length = usize::from(at.peek::<1>()?[0]) * 4;
        let extension = at.slice(length)?;
        kind = *extension.last().ok_or(Fault::Bad("extension header of length 0"))?;
        at.skip(length);
    }
    Ok(())
}

/// Its fields.
pub static LAYOUT: Layout = layout("GPRS Tunneling Protocol", "3GPP TS 29.281, 5.1", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "gtp.flags", "Flags", 0, 1),
    field(Kind::Hex, "gtp.message", "Message Type", 1, 1),
    field(Kind::Uint, "gtp.length", "Length", 2, 2).unit("bytes"),
    field(Kind::Hex, "gtp.teid", "TEID", 4, 4),
];
