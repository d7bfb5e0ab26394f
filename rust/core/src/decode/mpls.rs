//! Multiprotocol label switching (RFC 3032): the whole label stack is one layer.

use super::cursor::be32;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Reads labels up to the bottom of the stack. What follows is not announced: its first nibble tells IP (RFC 4928, 3).
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    loop {
        let entry = be32(at.peek::<4>()?, 0);
        at.skip(4);
        if entry & 0x100 != 0 {
            break;
        }
    }
    Ok(ethertype::by_version(at)?.map_or(Next::Layer(Proto::Data), |known| ethertype::next(known, at, packet)))
}

/// Its fields.
pub static LAYOUT: Layout = layout("MultiProtocol Label Switching", "RFC 3032, 2.1", LAYOUT_FIELDS).with(LAYOUT_EXTRA, entries);

const LAYOUT_FIELDS: &[Field] = &[];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Uint, "mpls.label", "Label", 0, 4).mask(0xfffff000),
    field(Kind::Uint, "mpls.exp", "Traffic Class", 0, 4).mask(0xe00),
    field(Kind::Flag, "mpls.bottom", "Bottom of Stack", 0, 4).mask(0x100),
    field(Kind::Uint, "mpls.ttl", "TTL", 0, 4).mask(0xff).unit("hops"),
];

fn entries(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    for at in (0..header.len).step_by(4) {
        out.extend(LAYOUT_EXTRA.iter().filter_map(|field| read(field, header, at)));
    }
}
