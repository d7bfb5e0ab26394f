//! Generic routing encapsulation (RFC 2784, RFC 2890; version 1 for PPTP: RFC 2637).

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Only in version 1 (RFC 2637, 4.1).
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;
/// Web cache communication (draft-wilson-wrec-wccp-v2, 4.12).
const WCCP: u16 = 0x883e;

/// Passes the optional fields that the flags announce.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<4>()?;
    let (flags, protocol) = (be16(header, 0), be16(header, 2));
    let mut length = 4;
    if flags & (CHECKSUM | ROUTING) != 0 {
        length += 4; // checksum and offset stand together (RFC 1701)
    }
    for flag in [KEY, SEQUENCE] {
        length += if flags & flag != 0 { 4 } else { 0 };
    }
    if flags & VERSION == 1 && flags & ACKNOWLEDGMENT != 0 {
        length += 4;
    }
    at.slice(length)?;
    at.skip(length);
    if flags & ROUTING != 0 {
        source_routes(at)?;
    }
    // A version 1 packet may only acknowledge; other empty packets are keepalives.
    if at.wire_rest() == 0 {
        return Ok(Next::End);
    }
    let (name, erspan) = match protocol {
        0x88be if flags & SEQUENCE == 0 => (Tunnel::Erspan, Some(Proto::Erspan1)),
        0x88be | 0x22eb => (Tunnel::Erspan, Some(Proto::Erspan)),
        _ => (Tunnel::Gre, None),
    };
    if !tunnel::enter(name, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    // PPTP keeps address and control of HDLC-like framing (RFC 2637, 4.1).
    if protocol == 0x880b {
        return Ok(Next::Layer(Proto::PppHdlc));
    }
    if protocol == WCCP {
        // Version 2 puts a redirect header in front of the IPv4 packet; Linux tells them apart the same way.
        if at.hint()?.is_some_and(|byte| byte >> 4 != 4) {
            at.slice(4)?;
            at.skip(4);
        }
        return Ok(if at.wire_rest() == 0 { Next::End } else { ethertype::next(0x0800, at, packet) });
    }
    Ok(erspan.map_or_else(|| ethertype::next(protocol, at, packet), Next::Layer))
}

/// Passes source route entries; the last one has length 0 (RFC 1701).
fn source_routes(at: &mut Cursor<'_>) -> Result<(), super::Fault> {
    loop {
        let entry = at.peek::<4>()?;
        let length = usize::from(entry[3]);
        at.slice(4 + length)?;
        at.skip(4 + length);
        if length == 0 {
            return Ok(());
        }
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Generic Routing Encapsulation", "RFC 2784, 2.1", LAYOUT_FIELDS).with(LAYOUT_EXTRA, key);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "gre.flags_and_version", "Flags and Version", 0, 2),
    field(Kind::Hex, "gre.proto", "Protocol Type", 2, 2),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Hex, "gre.key", "Key", 4, 4),
];

fn key(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let flags = be16(header.bytes, 0);
    if flags & (KEY | VERSION) == KEY {
        let at = if flags & (CHECKSUM | ROUTING) != 0 { 8 } else { 4 };
        out.extend(LAYOUT_EXTRA.first().and_then(|field| read(field, header, at)));
    }
}
