//! Ethernet II and IEEE 802.3 (IEEE Std 802.3, clause 3).

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, ethertype};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 14;

/// Reads destination, source and type or length.
#[inline(always)]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let value = be16(header, 12);
    if !at.quoted {
        packet.eth = at.pos() as u32;
        packet.has_eth_type = value >= ethertype::MIN_TYPE;
        packet.eth_type = value;
    }
    at.skip(HEADER);
    Ok(ethertype::or_length(value, at, packet))
}

/// Its fields.
pub static LAYOUT: Layout = layout("Ethernet", "IEEE Std 802.3, 3.1", LAYOUT_FIELDS).with(LAYOUT_EXTRA, type_or_length);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Mac, "eth.dst", "Destination", 0, 6),
    field(Kind::Mac, "eth.src", "Source", 6, 6),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Hex, "eth.type", "Type", 12, 2),
    field(Kind::Uint, "eth.len", "Length", 12, 2).unit("bytes"),
];

fn type_or_length(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let [kind, length] = LAYOUT_EXTRA else { return };
    let is_type = header.bytes.len() >= HEADER && be16(header.bytes, 12) >= ethertype::MIN_TYPE;
    out.extend(read(if is_type { kind } else { length }, header, 12));
}
