//! Transmission Control Protocol (RFC 9293).

use super::cursor::{be16, be32};
use super::{Cursor, Decoded, Fault};
use crate::packet::Packet;

/// Length of the header without options, bytes (RFC 9293, 3.1).
pub const MIN_HEADER: usize = 20;

/// Reads ports, numbers, flags and window.
#[inline]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<MIN_HEADER>()?;
    let flags = be16(header, 12) & 0x0fff;
    let header_len = usize::from(header[12] >> 4) * 4;
    if !at.quoted {
        packet.transport = at.pos() as u32;
        packet.has_ports = true;
        packet.has_tcp = true;
        packet.src_port = be16(header, 0);
        packet.dst_port = be16(header, 2);
        packet.tcp_seq = be32(header, 4);
        packet.tcp_ack = be32(header, 8);
        packet.tcp_flags = flags;
        packet.tcp_window = be16(header, 14);
    }
    if header_len < MIN_HEADER {
        return Err(Fault::Bad("data offset under 5"));
    }
    let payload_len = at.wire_rest().saturating_sub(header_len);
    if !at.quoted {
        packet.payload = (at.pos() + header_len) as u32;
        packet.payload_len = payload_len as u32;
    }
    at.slice(header_len)?;
    at.skip(header_len);
    Ok(super::app::next(true, (be16(header, 0), be16(header, 2)), at, packet))
}
