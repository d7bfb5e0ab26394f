//! Address Resolution Protocol (RFC 826).

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Length of an ARP packet for IPv4 over Ethernet, bytes.
#[allow(dead_code)]
pub const IPV4_OVER_ETHERNET: usize = 28;

/// Notes where the packet is; columns read its fields from there.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    let (hardware, protocol) = (usize::from(header[4]), usize::from(header[5]));
    at.slice(8 + 2 * (hardware + protocol))?;
    if be16(header, 2) == 0x0800 && hardware == 6 && protocol == 4 && !at.quoted {
        packet.arp = at.pos() as u32;
    }
    Ok(Next::End)
}

/// Its fields.
pub static LAYOUT: Layout = layout("Address Resolution Protocol", "RFC 826", LAYOUT_FIELDS).with(LAYOUT_EXTRA, addresses);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "arp.hw.type", "Hardware type", 0, 2),
    field(Kind::Hex, "arp.proto.type", "Protocol type", 2, 2),
    field(Kind::Uint, "arp.hw.size", "Hardware size", 4, 1).unit("bytes"),
    field(Kind::Uint, "arp.proto.size", "Protocol size", 5, 1).unit("bytes"),
    field(Kind::Uint, "arp.opcode", "Opcode", 6, 2),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Mac, "arp.src.hw_mac", "Sender MAC address", 8, 6),
    field(Kind::Ipv4, "arp.src.proto_ipv4", "Sender IP address", 14, 4),
    field(Kind::Mac, "arp.dst.hw_mac", "Target MAC address", 18, 6),
    field(Kind::Ipv4, "arp.dst.proto_ipv4", "Target IP address", 24, 4),
];

fn addresses(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    if header.bytes.get(2..6) == Some(&[0x08, 0x00, 6, 4]) {
        out.extend(LAYOUT_EXTRA.iter().filter_map(|field| read(field, header, field.at)));
    }
}
