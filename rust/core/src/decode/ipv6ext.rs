//! IPv6 extension headers (RFC 8200, 4). The authentication header has a file of its own.

use super::cursor::{be16, be32};
use super::layout::{Field, Kind, Layout, field, layout};
use super::ipv6::HEADER;
use super::{Cursor, Decoded, Next, Proto, ipproto};
use crate::packet::Packet;

/// Length of the fragment header, bytes (RFC 8200, 4.5).
pub const FRAGMENT_HEADER: usize = 8;

/// Passes a hop-by-hop, destination options or routing header: all begin with next header and length.
pub fn options(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    name_next(at, packet);
    let header = at.peek::<8>()?;
    let length = (usize::from(header[1]) + 1) * 8;
    at.slice(length)?;
    at.skip(length);
    Ok(follow(header[0], at, packet))
}

/// Notes the protocol that an extension header names in its first byte, even if the rest of the header is cut.
#[inline]
pub fn name_next(at: &Cursor<'_>, packet: &mut Packet) {
    if let Ok([proto]) = at.peek::<1>()
        && !at.quoted
    {
        packet.ip_proto = *proto;
    }
}

/// Reads a fragment header. Behind a fragment other than the first there is no header to read.
pub fn fragment(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<FRAGMENT_HEADER>()?;
    let word = be16(header, 2);
    let (offset, more) = (word & 0xfff8, word & 1 != 0);
    if !at.quoted {
        packet.ip_frag_offset = offset;
        packet.ip_more_fragments = more;
        // An "atomic" fragment (RFC 6946) is whole.
        packet.is_fragment = more || offset != 0;
        packet.ip_id = be32(header, 4);
    }
    at.skip(FRAGMENT_HEADER);
    let next = follow(header[0], at, packet);
    Ok(if offset == 0 { next } else { Next::Layer(Proto::Data) })
}

impl Packet {
    /// Whether the innermost IPv6 header that was really sent has a fragment header behind it, be it that of a whole packet
    /// (RFC 6946).
    #[must_use]
    pub fn has_fragment_header(&self) -> bool {
        if self.ip_version != 6 || self.transport == self.ip + HEADER as u32 {
            return false;
        }
        let headers = self.ip as usize..self.payload as usize;
        self.layers().iter().any(|layer| layer.proto() == Proto::Ipv6Frag && headers.contains(&layer.offset()))
    }
}

/// Notes that `proto` follows and how long the payload is from here.
pub fn follow(proto: u8, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    if !at.quoted {
        packet.ip_proto = proto;
        packet.payload = at.pos() as u32;
        packet.payload_len = at.wire_rest() as u32;
        if packet.is_fragment && packet.ip_frag_offset != 0 {
            return Next::Layer(Proto::Data);
        }
    }
    ipproto::next(proto, at, packet)
}

/// Its fields.
pub static HOPOPTS: Layout = layout("IPv6 Hop-by-Hop Option", "RFC 8200, 4.3", HOPOPTS_FIELDS);

const HOPOPTS_FIELDS: &[Field] = &[
    field(Kind::Uint, "ipv6.hopopts.nxt", "Next Header", 0, 1),
    field(Kind::Uint, "ipv6.hopopts.len", "Length", 1, 1).unit("8-byte words after the first"),
];

/// Its fields.
pub static ROUTING: Layout = layout("IPv6 Routing Header", "RFC 8200, 4.4", ROUTING_FIELDS);

const ROUTING_FIELDS: &[Field] = &[
    field(Kind::Uint, "ipv6.routing.nxt", "Next Header", 0, 1),
    field(Kind::Uint, "ipv6.routing.len", "Length", 1, 1).unit("8-byte words after the first"),
    field(Kind::Uint, "ipv6.routing.type", "Type", 2, 1),
    field(Kind::Uint, "ipv6.routing.segleft", "Segments Left", 3, 1),
];

/// Its fields.
pub static DSTOPTS: Layout = layout("IPv6 Destination Option", "RFC 8200, 4.6", DSTOPTS_FIELDS);

const DSTOPTS_FIELDS: &[Field] = &[
    field(Kind::Uint, "ipv6.dstopts.nxt", "Next Header", 0, 1),
    field(Kind::Uint, "ipv6.dstopts.len", "Length", 1, 1).unit("8-byte words after the first"),
];

/// Its fields.
pub static FRAGMENT: Layout = layout("IPv6 Fragment Header", "RFC 8200, 4.5", FRAGMENT_FIELDS);

const FRAGMENT_FIELDS: &[Field] = &[
    field(Kind::Uint, "ipv6.fraghdr.nxt", "Next Header", 0, 1),
    field(Kind::Uint, "ipv6.fraghdr.offset", "Offset", 2, 2).mask(0xfff8).unit("units of 8 bytes"),
    field(Kind::Flag, "ipv6.fraghdr.more", "More Fragments", 2, 2).mask(0x0001),
    field(Kind::Hex, "ipv6.fraghdr.ident", "Identification", 4, 4),
];
