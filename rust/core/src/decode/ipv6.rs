//! Internet Protocol version 6 (RFC 8200).

use super::cursor::{be16, be32};
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Fault, ipproto, tcp, udp};
use crate::packet::{NONE, Packet};

/// Length of the fixed header, bytes.
pub const HEADER: usize = 40;

/// Reads the fixed header and limits what follows to the payload length.
#[inline(always)]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    if header[0] >> 4 != 6 {
        return Err(Fault::Bad("version is not 6"));
    }
    let start = at.pos();
    let rest = at.wire_rest() - HEADER;
    // What one claims beyond the frame was not on the wire.
    let length = match usize::from(be16(header, 4)) {
        0 => unspecified(header[6], at),
        length => length.min(rest),
    };
    if at.quoted {
        if packet.quoted_ip == NONE {
            packet.quoted_ip = start as u32;
        }
    } else {
        packet.forget_network();
        packet.ip = start as u32;
        if packet.outer_ip == NONE {
            packet.outer_ip = packet.ip;
        }
        packet.ip_version = 6;
        packet.ip_proto = header[6];
        packet.ip_ttl = header[7];
        packet.ip_len = (HEADER + length) as u32;
        packet.ip_src.copy_from_slice(&header[8..24]);
        packet.ip_dst.copy_from_slice(&header[24..40]);
    }
    at.skip(HEADER);
    at.limit(length);
    if !at.quoted {
        packet.payload = at.pos() as u32;
        packet.payload_len = length as u32;
    }
    Ok(ipproto::next(header[6], at, packet))
}

/// What a payload length of 0 stands for: a jumbogram, which begins with hop-by-hop options and is longer than the field
/// can say (RFC 2675, 3), or a segmentation-offload frame, whatever its next header. Else nothing follows.
#[cold]
fn unspecified(next_header: u8, at: &Cursor<'_>) -> usize {
    let rest = at.wire_rest() - HEADER;
    match next_header {
        6 if rest >= tcp::MIN_HEADER => rest, // fewer bytes are the link's padding
        17 if rest >= udp::HEADER => rest,
        _ if rest > LONGEST => rest,
        0 if has_jumbo(at.rest().get(HEADER..).unwrap_or(&[])) => rest,
        _ => 0,
    }
}

/// Longest payload that is no jumbogram, the most that a length field can say, bytes.
pub const LONGEST: usize = 65_535;

/// Whether hop-by-hop options have the jumbo payload option with a length that needs it (RFC 2675, 2 and 3).
fn has_jumbo(header: &[u8]) -> bool {
    let len = header.get(1).map_or(0, |words| (usize::from(*words) + 1) * 8);
    let mut options = header.get(2..len.min(header.len())).unwrap_or(&[]);
    loop {
        options = match options {
            [] => return false,
            [0, more @ ..] => more,
            [0xc2, 4, length @ ..] => return length.len() >= 4 && be32(length, 0) as usize > LONGEST,
            [_, len, value @ ..] => value.get(usize::from(*len)..).unwrap_or(&[]),
            [_] => return false,
        };
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Internet Protocol Version 6", "RFC 8200, 3", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "ipv6.version", "Version", 0, 1).mask(0xf0),
    field(Kind::Hex, "ipv6.tclass", "Traffic Class", 0, 4).mask(0x0ff00000),
    field(Kind::Hex, "ipv6.flow", "Flow Label", 1, 3).mask(0x000f_ffff),
    field(Kind::Uint, "ipv6.plen", "Payload Length", 4, 2).unit("bytes"),
    field(Kind::Uint, "ipv6.nxt", "Next Header", 6, 1),
    field(Kind::Uint, "ipv6.hlim", "Hop Limit", 7, 1).unit("hops"),
    field(Kind::Ipv6, "ipv6.src", "Source Address", 8, 16),
    field(Kind::Ipv6, "ipv6.dst", "Destination Address", 24, 16),
];
