//! Linux "cooked" captures, version 2: with the interface index.
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
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

/// Its fields.
pub static LAYOUT: Layout = layout("Linux cooked capture v2", "LINKTYPE_LINUX_SLL2", LAYOUT_FIELDS).with(LAYOUT_EXTRA, source);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "sll.etype", "Protocol", 0, 2),
    field(Kind::Uint, "sll.ifindex", "Interface index", 4, 4),
    field(Kind::Uint, "sll.hatype", "Link-layer address type", 8, 2),
    field(Kind::Uint, "sll.pkttype", "Packet type", 10, 1),
    field(Kind::Uint, "sll.halen", "Link-layer address length", 11, 1).unit("bytes"),
];

const LAYOUT_EXTRA: &[Field] = &[field(Kind::Mac, "sll.src.eth", "Source", 12, 6)];

/// The address is a MAC address where it is six bytes long.
fn source(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    if header.bytes.get(11) == Some(&6) {
        out.extend(LAYOUT_EXTRA.iter().filter_map(|field| read(field, header, field.at)));
    }
}
