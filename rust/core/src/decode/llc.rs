//! Logical link control (ISO/IEC 8802-2) with its subnetwork access protocol (IEEE Std 802, clause 9).

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Service access points of SNAP, of bridge protocol data units and of IP.
const SNAP: u8 = 0xaa;
const BRIDGE: u8 = 0x42;
const IP: u8 = 0x06;

/// Unnumbered information: the only control field behind which data of the named protocol stands.
const UI: u8 = 0x03;

/// Organizations whose protocol identifiers are Ethernet types.
const ENCAPSULATED_ETHERNET: u32 = 0x00_0000;
const CISCO_90: u32 = 0x00_00f8;
const CISCO: u32 = 0x00_000c;
/// IEEE 802.1, for bridged frames (RFC 2684, 5.2).
const BRIDGED: u32 = 0x00_80c2;

/// Reads access points and control, and under SNAP organization and protocol.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<3>()?;
    let (destination, source, control) = (header[0], header[1], header[2]);
    // Unnumbered formats have one control byte, the others two.
    let length = if control & 0x03 == 0x03 { 3 } else { 4 };
    at.slice(length)?;
    at.skip(length);
    // The poll/final bit (0x10) says nothing of the content.
    if control & !0x10 != UI {
        return Ok(Next::Layer(Proto::Data));
    }
    match destination {
        SNAP if source == SNAP => snap(at, packet),
        BRIDGE => Ok(Next::Layer(Proto::Stp)),
        IP => Ok(ethertype::next(0x0800, at, packet)),
        _ => Ok(Next::Layer(Proto::Data)),
    }
}

fn snap(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<5>()?;
    let organization = u32::from(be16(header, 0)) << 8 | u32::from(header[2]);
    let protocol = be16(header, 3);
    at.skip(5);
    Ok(match (organization, protocol) {
        (ENCAPSULATED_ETHERNET | CISCO_90, _) => ethertype::next(protocol, at, packet),
        (CISCO, 0x2000) => Next::Layer(Proto::Cdp),
        (CISCO, 0x2003) => Next::Layer(Proto::Vtp),
        (CISCO, 0x2004) => Next::Layer(Proto::Dtp),
        (CISCO, 0x0111) => Next::Layer(Proto::Udld),
        (CISCO, 0x010b) => Next::Layer(Proto::Stp),
        // The frame with its check sequence or without, behind two bytes that align it.
        (BRIDGED, 0x0001 | 0x0007) => {
            at.peek::<2>()?;
            at.skip(2);
            Next::Layer(Proto::Eth)
        }
        (BRIDGED, 0x000e) => Next::Layer(Proto::Stp),
        _ => Next::Layer(Proto::Data),
    })
}

/// Its fields.
pub static LAYOUT: Layout = layout("Logical-Link Control", "ISO/IEC 8802-2, 3", LAYOUT_FIELDS).with(LAYOUT_EXTRA, snap_fields);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "llc.dsap", "DSAP", 0, 1),
    field(Kind::Hex, "llc.ssap", "SSAP", 1, 1),
    field(Kind::Hex, "llc.control", "Control", 2, 1).digits(4),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Uint, "llc.oui", "Organization Code", 3, 3),
    field(Kind::Hex, "llc.type", "Type", 6, 2),
];

fn snap_fields(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    if header.bytes.starts_with(&[SNAP, SNAP]) {
        // What the last two bytes mean is the organization's to say.
        let is_type = matches!(header.bytes, [_, _, _, 0, 0, 0 | 0xf8, ..]);
        let fields = LAYOUT_EXTRA.iter().filter(|field| is_type || field.name != "llc.type");
        out.extend(fields.filter_map(|field| read(field, header, field.at)));
    }
}
