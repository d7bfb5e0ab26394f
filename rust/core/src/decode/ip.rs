//! Internet Protocol version 4 (RFC 791).

use super::cursor::{be16, be32};
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Fault, Next, Proto, ipproto};
use crate::packet::{NONE, Packet};

/// Length of the header without options, bytes.
pub const MIN_HEADER: usize = 20;

/// Reads the header, notes addresses and fragmentation, and limits what follows to the total length.
#[inline(always)]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<MIN_HEADER>()?;
    if header[0] >> 4 != 4 {
        return Err(Fault::Bad("version is not 4"));
    }
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header_len < MIN_HEADER {
        return Err(Fault::Bad("header length under 20"));
    }
    let start = at.pos();
    // A total length of 0 stands for a segmentation-offload frame that the kernel has not cut yet. What one claims beyond
    // the frame was not on the wire.
    let total = match usize::from(be16(header, 2)) {
        0 => at.wire_rest(),
        total => total.min(at.wire_rest()),
    };
    let flags = be16(header, 6);
    let (offset, more) = ((flags & 0x1fff) << 3, flags & 0x2000 != 0);
    let proto = header[9];
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
        packet.ip_version = 4;
        packet.ip_proto = proto;
        packet.ip_ttl = header[8];
        packet.ip_id = u32::from(be16(header, 4));
        packet.ip_frag_offset = offset;
        packet.ip_more_fragments = more;
        packet.is_fragment = more || offset != 0;
        packet.ip_len = total as u32;
        packet.ip_src = four(be32(header, 12));
        packet.ip_dst = four(be32(header, 16));
    }
    at.slice(header_len)?;
    if total < header_len {
        return Err(Fault::Bad("total length under header length"));
    }
    at.limit(total);
    at.skip(header_len);
    if !at.quoted {
        packet.payload = at.pos() as u32;
        packet.payload_len = (total - header_len) as u32;
    }
    // A probe for protocols may carry nothing: the header names what is not there.
    if total == header_len {
        return Ok(Next::End);
    }
    if offset != 0 {
        return Ok(Next::Layer(Proto::Data));
    }
    Ok(ipproto::next(proto, at, packet))
}

/// An IPv4 address in the first 4 of 16 bytes.
#[inline]
fn four(addr: u32) -> [u8; 16] {
    let mut out = [0; 16];
    out[..4].copy_from_slice(&addr.to_be_bytes());
    out
}

/// Its fields.
pub static LAYOUT: Layout = layout("Internet Protocol Version 4", "RFC 791, 3.1", LAYOUT_FIELDS).with(LAYOUT_EXTRA, options);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "ip.version", "Version", 0, 1).mask(0xf0),
    field(Kind::Uint, "ip.hdr_len", "Header Length", 0, 1).mask(0x0f).times(4, "bytes"),
    field(Kind::Uint, "ip.dsfield.dscp", "Differentiated Services Codepoint", 1, 1).mask(0xfc),
    field(Kind::Uint, "ip.dsfield.ecn", "Explicit Congestion Notification", 1, 1).mask(0x03),
    field(Kind::Uint, "ip.len", "Total Length", 2, 2).unit("bytes"),
    field(Kind::Hex, "ip.id", "Identification", 4, 2),
    field(Kind::Flag, "ip.flags.rb", "Reserved bit", 6, 2).mask(0x8000),
    field(Kind::Flag, "ip.flags.df", "Don't fragment", 6, 2).mask(0x4000),
    field(Kind::Flag, "ip.flags.mf", "More fragments", 6, 2).mask(0x2000),
    field(Kind::Uint, "ip.frag_offset", "Fragment Offset", 6, 2).mask(0x1fff).unit("units of 8 bytes"),
    field(Kind::Uint, "ip.ttl", "Time to Live", 8, 1).unit("hops"),
    field(Kind::Uint, "ip.proto", "Protocol", 9, 1),
    field(Kind::Hex, "ip.checksum", "Header Checksum", 10, 2),
    field(Kind::Ipv4, "ip.src", "Source Address", 12, 4),
    field(Kind::Ipv4, "ip.dst", "Destination Address", 16, 4),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Uint, "ip.opt.type", "Option Type", 0, 1),
    field(Kind::Uint, "ip.opt.len", "Option Length", 1, 1).unit("bytes"),
];

/// Options: one byte, or type and length (RFC 791, 3.1).
fn options(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let [kind, length] = LAYOUT_EXTRA else { return };
    let end = header.bytes.first().map_or(0, |byte| usize::from(byte & 0x0f) * 4);
    let mut at = MIN_HEADER;
    while let Some(&number) = header.bytes.get(at).filter(|_| at < end) {
        out.extend(read(kind, header, at));
        if number == 0 {
            return;
        }
        if number == 1 {
            at += 1;
            continue;
        }
        out.extend(read(length, header, at + 1));
        match header.bytes.get(at + 1) {
            Some(&len) if len >= 2 => at += usize::from(len),
            _ => return,
        }
    }
}
