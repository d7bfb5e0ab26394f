//! Stream control transmission protocol (RFC 9260).

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Length of the common header, bytes (RFC 9260, 3.1).
pub const HEADER: usize = 12;

/// Reads the ports; chunks are left to whoever asks for them.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>().inspect_err(|_| super::tcp::ports_alone(at, packet))?;
    if !at.quoted {
        packet.transport = at.pos() as u32;
        packet.has_ports = true;
        packet.src_port = be16(header, 0);
        packet.dst_port = be16(header, 2);
        packet.payload = (at.pos() + HEADER) as u32;
        packet.payload_len = at.wire_rest().saturating_sub(HEADER) as u32;
    }
    at.skip(HEADER);
    Ok(Next::End)
}

/// Its fields.
pub static LAYOUT: Layout = layout("Stream Control Transmission Protocol", "RFC 9260, 3.1", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "sctp.srcport", "Source port", 0, 2),
    field(Kind::Uint, "sctp.dstport", "Destination port", 2, 2),
    field(Kind::Hex, "sctp.verification_tag", "Verification tag", 4, 4),
    field(Kind::Hex, "sctp.checksum", "Checksum", 8, 4),
];
