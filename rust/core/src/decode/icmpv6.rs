//! Internet Control Message Protocol for IPv6 (RFC 4443) and Neighbor Discovery (RFC 4861).

use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Fault, Next, Proto};
use crate::packet::Packet;

/// Reads type and code; in an error (types under 128), what follows is the header that it quotes.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<4>()?;
    if !at.quoted {
        packet.transport = at.pos() as u32;
        packet.has_icmp = true;
        packet.icmp_type = header[0];
        packet.icmp_code = header[1];
        packet.payload = (at.pos() + 8) as u32;
        packet.payload_len = at.wire_rest().saturating_sub(8) as u32;
    }
    if (1..=4).contains(&header[0]) {
        at.peek::<8>()?;
        at.skip(8);
        at.quoted = true;
        return Ok(Next::Layer(Proto::Ipv6));
    }
    at.skip(4);
    if header[0] == REDIRECT {
        return redirected(at);
    }
    Ok(Next::End)
}

/// Redirect, and its option that quotes the packet that caused it (RFC 4861, 4.5 and 4.6.3).
const REDIRECT: u8 = 137;
const REDIRECTED_HEADER: u8 = 4;

/// Looks for the quoted packet among the options behind the two addresses.
fn redirected(at: &mut Cursor<'_>) -> Decoded {
    at.slice(36)?;
    at.skip(36);
    while let [kind, words, ..] = *at.rest() {
        let length = usize::from(words) * 8;
        if length == 0 {
            return Err(Fault::Bad("option of length 0"));
        }
        if kind == REDIRECTED_HEADER {
            at.limit(length);
            at.slice(8)?;
            at.skip(8);
            at.quoted = true;
            return Ok(Next::Layer(Proto::Ipv6));
        }
        at.slice(length)?;
        at.skip(length);
    }
    Ok(Next::End)
}

/// Its fields.
pub static LAYOUT: Layout = layout("Internet Control Message Protocol v6", "RFC 4443, 2.1", LAYOUT_FIELDS).with(LAYOUT_EXTRA, body);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "icmpv6.type", "Type", 0, 1),
    field(Kind::Uint, "icmpv6.code", "Code", 1, 1),
    field(Kind::Hex, "icmpv6.checksum", "Checksum", 2, 2),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Hex, "icmpv6.echo.identifier", "Identifier", 4, 2),
    field(Kind::Uint, "icmpv6.echo.sequence_number", "Sequence", 6, 2),
    field(Kind::Uint, "icmpv6.mtu", "MTU", 4, 4).unit("bytes"),
    field(Kind::Ipv6, "icmpv6.nd.ns.target_address", "Target Address", 8, 16),
    field(Kind::Ipv6, "icmpv6.nd.na.target_address", "Target Address", 8, 16),
];

fn body(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let prefix = match header.bytes.first() {
        Some(128 | 129) => "icmpv6.echo",
        Some(160 | 161) => "icmpv6.echo.identifier", // whose sequence number is a byte (RFC 8335, 2)
        Some(2) => "icmpv6.mtu",
        Some(135) => "icmpv6.nd.ns",
        Some(136) => "icmpv6.nd.na",
        _ => return,
    };
    let there = LAYOUT_EXTRA.iter().filter(|field| field.name.starts_with(prefix));
    out.extend(there.filter_map(|field| read(field, header, field.at)));
}
