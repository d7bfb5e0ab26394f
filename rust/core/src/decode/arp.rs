//! Address Resolution Protocol (RFC 826).

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Length of what stands in front of the addresses, bytes.
const HEADER: usize = 8;

/// Notes where the packet is, if it is whole; columns read its fields from there.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let (hardware, protocol) = (usize::from(header[4]), usize::from(header[5]));
    at.slice(HEADER + 2 * (hardware + protocol))?;
    if !at.quoted {
        packet.arp = at.pos() as u32;
    }
    Ok(Next::End)
}

/// Whose address.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// Of the sender.
    Sender,
    /// Of the target.
    Target,
}

/// The hardware address in an ARP packet, if it has six bytes.
#[cfg(feature = "table")]
#[must_use]
pub fn hardware(arp: &[u8], of: Of) -> Option<[u8; 6]> {
    let (hardware, protocol) = (usize::from(*arp.get(4)?), usize::from(*arp.get(5)?));
    let at = if matches!(of, Of::Sender) { 0 } else { hardware + protocol };
    arp.get(HEADER + at..)?.first_chunk().copied().filter(|_| hardware == 6)
}

/// The IPv4 address in an ARP packet, whatever the hardware addresses are: those of InfiniBand have 20 bytes (RFC 4391, 9).
#[must_use]
pub fn ipv4(arp: &[u8], of: Of) -> Option<[u8; 4]> {
    let hardware = usize::from(*arp.get(4)?);
    let at = if matches!(of, Of::Sender) { hardware } else { 2 * hardware + 4 };
    arp.get(HEADER + at..)?.first_chunk().copied().filter(|_| be16(arp, 2) == 0x0800 && arp[5] == 4)
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
