//! User Datagram Protocol (RFC 768).

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Fault, LONGEST, Next, Proto};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 8;

/// Reads ports and length, and opens the tunnels that are known by port.
#[inline(always)]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>().inspect_err(|_| super::tcp::ports_alone(at, packet))?;
    let (src, dst) = (be16(header, 0), be16(header, 2));
    let length = match usize::from(be16(header, 4)) {
        // A jumbogram (RFC 2675, 4), which receivers do not measure, or an offloaded frame that the field cannot measure.
        0 if packet.ip_version == 6 || at.wire_rest() > LONGEST => at.wire_rest(),
        length => length,
    };
    if !at.quoted {
        packet.transport = at.pos() as u32;
        packet.has_ports = true;
        packet.src_port = src;
        packet.dst_port = dst;
        packet.payload = (at.pos() + HEADER) as u32;
        // Of a fragmented datagram the length field counts the other fragments too.
        packet.payload_len = length.min(at.wire_rest()).saturating_sub(HEADER) as u32;
    }
    if length < HEADER {
        return Err(Fault::Bad("length under 8"));
    }
    at.limit(length);
    at.skip(HEADER);
    // Tunnels are named by destination port; those whose both ends may use the port, by either.
    let tunnel = match (src, dst) {
        (4500, _) | (_, 4500) => Proto::UdpEncap,
        (_, 4789 | 8472) => Proto::Vxlan,
        (_, 4790) => Proto::VxlanGpe,
        (_, 6081) => Proto::Geneve,
        (_, 6635) => Proto::Mpls,
        (_, 2152) => Proto::Gtp,
        (1701, _) | (_, 1701) => Proto::L2tp,
        (3544, _) | (_, 3544) => Proto::Teredo,
        _ => return Ok(super::app::next(false, (src, dst), at, packet)),
    };
    // A datagram that is empty, as probes for open ports are, holds none.
    Ok(if at.wire_rest() == 0 { Next::End } else { Next::Layer(tunnel) })
}

/// Its fields.
pub static LAYOUT: Layout = layout("User Datagram Protocol", "RFC 768", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "udp.srcport", "Source Port", 0, 2),
    field(Kind::Uint, "udp.dstport", "Destination Port", 2, 2),
    field(Kind::Uint, "udp.length", "Length", 4, 2).unit("bytes"),
    field(Kind::Hex, "udp.checksum", "Checksum", 6, 2),
];
