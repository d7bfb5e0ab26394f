//! IEEE 802.1Q and 802.1ad tags (IEEE Std 802.1Q, clause 9.6).

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, ethertype};
use crate::packet::Packet;

/// Reads tag control information and the type that follows.
#[inline]
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
pub static LAYOUT: Layout = layout("802.1Q Virtual LAN", "IEEE Std 802.1Q, 9.6", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "vlan.priority", "Priority", 0, 2).mask(0xe000),
    field(Kind::Flag, "vlan.dei", "DEI", 0, 2).mask(0x1000),
    field(Kind::Uint, "vlan.id", "ID", 0, 2).mask(0x0fff),
    field(Kind::Hex, "vlan.etype", "Type", 2, 2),
];

/// Its fields.
pub static SERVICE: Layout = layout("IEEE 802.1ad", "IEEE Std 802.1Q, 9.6", SERVICE_FIELDS);

const SERVICE_FIELDS: &[Field] = &[
    field(Kind::Uint, "ieee8021ad.priority", "Priority", 0, 2).mask(0xe000),
    field(Kind::Flag, "ieee8021ad.dei", "DEI", 0, 2).mask(0x1000),
    field(Kind::Uint, "ieee8021ad.id", "ID", 0, 2).mask(0x0fff),
    field(Kind::Hex, "vlan.etype", "Type", 2, 2),
];
