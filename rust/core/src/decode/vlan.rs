//! IEEE 802.1Q and 802.1ad tags (IEEE Std 802.1Q, clause 9.6).

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, ethertype};
use crate::packet::Packet;

/// Reads tag control information and the type that follows.
#[inline(always)]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<4>()?;
    if !at.quoted {
        packet.push_vlan(be16(header, 0) & 0x0fff);
        if packet.depth == 0 {
            packet.outer_vlans = packet.vlans().len() as u8;
        }
    }
    at.skip(4);
    Ok(ethertype::or_length(be16(header, 2), at, packet))
}

/// Its fields.
pub static LAYOUT: Layout = layout("802.1Q Virtual LAN", "IEEE Std 802.1Q, 9.6", LAYOUT_FIELDS).with(TYPE_OR_LENGTH, type_or_length);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "vlan.priority", "Priority", 0, 2).mask(0xe000),
    field(Kind::Flag, "vlan.dei", "DEI", 0, 2).mask(0x1000),
    field(Kind::Uint, "vlan.id", "ID", 0, 2).mask(0x0fff),
];

/// Its fields.
pub static SERVICE: Layout = layout("IEEE 802.1ad", "IEEE Std 802.1Q, 9.6", SERVICE_FIELDS);

const SERVICE_FIELDS: &[Field] = &[
    field(Kind::Uint, "ieee8021ad.priority", "Priority", 0, 2).mask(0xe000),
    field(Kind::Flag, "ieee8021ad.dei", "DEI", 0, 2).mask(0x1000),
    field(Kind::Uint, "ieee8021ad.id", "ID", 0, 2).mask(0x0fff),
    field(Kind::Hex, "ieee8021ah.etype", "Type", 2, 2),
];

const TYPE_OR_LENGTH: &[Field] =
    &[field(Kind::Hex, "vlan.etype", "Type", 2, 2), field(Kind::Uint, "vlan.len", "Length", 2, 2).unit("bytes")];

fn type_or_length(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let [kind, length] = TYPE_OR_LENGTH else { return };
    let is_type = be16(header.bytes, 2) >= ethertype::MIN_TYPE;
    out.extend(read(if is_type { kind } else { length }, header, 2));
}
