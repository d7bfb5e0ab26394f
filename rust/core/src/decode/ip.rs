//! Internet Protocol version 4 (RFC 791).

use super::cursor::{be16, be32};
use super::{Cursor, Decoded, Fault, Next, Proto, ipproto};
use crate::packet::{NONE, Packet};

/// Length of the header without options, bytes.
pub const MIN_HEADER: usize = 20;

/// Reads the header, notes addresses and fragmentation, and limits what follows to the total length.
#[inline]
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
    // A total length of 0 stands for a segmentation-offload frame that the kernel has not cut yet.
    let total = match usize::from(be16(header, 2)) {
        0 => at.wire_rest(),
        total => total,
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
