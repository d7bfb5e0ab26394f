//! Generic network virtualization encapsulation (RFC 8926).

use super::cursor::{be16, be32};
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Fault, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

/// Length of the header without options, bytes (RFC 8926, 3.4).
pub const HEADER: usize = 8;

/// Reads the network identifier and passes the options.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    if header[0] >> 6 != 0 {
        return Err(Fault::Bad("version is not 0"));
    }
    let length = HEADER + usize::from(header[0] & 0x3f) * 4;
    let (protocol, vni) = (be16(header, 2), be32(header, 4) >> 8);
    at.slice(length)?;
    at.skip(length);
    if !tunnel::enter(Tunnel::Geneve, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    if !at.quoted {
        packet.vni = vni;
    }
    Ok(ethertype::next(protocol, at, packet))
}

/// Its fields.
pub static LAYOUT: Layout = layout("Generic Network Virtualization Encapsulation", "RFC 8926, 3.4", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "geneve.version", "Version", 0, 1).mask(0xc0),
    field(Kind::Uint, "geneve.option.length", "Options Length", 0, 1).mask(0x3f).times(4, "bytes"),
    field(Kind::Flag, "geneve.flags.oam", "Control packet", 1, 1).mask(0x80),
    field(Kind::Flag, "geneve.flags.critical", "Critical options", 1, 1).mask(0x40),
    field(Kind::Hex, "geneve.proto_type", "Protocol Type", 2, 2),
    field(Kind::Hex, "geneve.vni", "Virtual Network Identifier (VNI)", 4, 3),
];
