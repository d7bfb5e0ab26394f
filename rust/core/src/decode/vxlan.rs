//! Virtual eXtensible Local Area Network (RFC 7348).

use super::cursor::be32;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Next, Proto, tunnel};
use crate::packet::{Packet, Tunnel};

/// Length of the header, bytes (RFC 7348, 5).
pub const HEADER: usize = 8;

/// Reads the network identifier; an Ethernet frame follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let vni = be32(header, 4) >> 8;
    at.skip(HEADER);
    if !tunnel::enter(Tunnel::Vxlan, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    if !at.quoted {
        packet.vni = vni;
    }
    Ok(Next::Layer(Proto::Eth))
}

/// Its fields.
pub static LAYOUT: Layout = layout("Virtual eXtensible Local Area Network", "RFC 7348, 5", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "vxlan.flags", "Flags", 0, 2),
    field(Kind::Flag, "vxlan.flag_i", "VNI present", 0, 2).mask(0x0800),
    field(Kind::Uint, "vxlan.gbp", "Group Policy ID", 2, 2),
    field(Kind::Uint, "vxlan.vni", "VXLAN Network Identifier (VNI)", 4, 4).mask(0xffffff00),
];
