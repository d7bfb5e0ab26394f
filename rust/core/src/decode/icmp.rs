//! Internet Control Message Protocol (RFC 792).

use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Reads type and code; in an error, what follows is the header that it quotes.
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
    at.peek::<8>()?;
    at.skip(8);
    match header[0] {
        // destination unreachable, source quench, redirect, time exceeded, parameter problem
        3 | 4 | 5 | 11 | 12 if at.wire_rest() > 0 => {
            at.quoted = true;
            Ok(Next::Layer(Proto::Ip))
        }
        _ if at.wire_rest() == 0 => Ok(Next::End),
        _ => Ok(Next::Layer(Proto::Data)),
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Internet Control Message Protocol", "RFC 792", LAYOUT_FIELDS).with(LAYOUT_EXTRA, echo);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "icmp.type", "Type", 0, 1),
    field(Kind::Uint, "icmp.code", "Code", 1, 1),
    field(Kind::Hex, "icmp.checksum", "Checksum", 2, 2),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Uint, "icmp.ident", "Identifier", 4, 2),
    field(Kind::Uint, "icmp.seq", "Sequence Number", 6, 2),
    field(Kind::Uint, "icmp.mtu", "MTU of next hop", 6, 2).unit("bytes"),
    field(Kind::Ipv4, "icmp.redir_gw", "Gateway Address", 4, 4),
];

fn echo(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let names: &[&str] = match header.bytes {
        [0 | 8 | 13..=18, ..] => &["icmp.ident", "icmp.seq"],
        [42 | 43, ..] => &["icmp.ident"], // whose sequence number is a byte (RFC 8335, 2)
        [3, 4, ..] => &["icmp.mtu"],
        [5, ..] => &["icmp.redir_gw"],
        _ => &[],
    };
    let there = LAYOUT_EXTRA.iter().filter(|field| names.contains(&field.name));
    out.extend(there.filter_map(|field| read(field, header, field.at)));
}
