//! Generic network virtualization encapsulation (RFC 8926).

use super::cursor::{be16, be32};
use super::{Cursor, Decoded, Fault, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

/// Length of the header without options, bytes (RFC 8926, 3.4).
pub const HEADER: usize = 8;

/// Reads the network identifier and passes the options.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    if header[0] >> 6 != 0 {
        return Err(Fault::Bad("version is not 0"));
    }
    let length = HEADER + usize::from(header[0] & 0x3f) * 4;
    let (protocol, vni) = (be16(header, 2), be32(header, 4) >> 8);
    at.slice(length)?;
    at.skip(length);
    if !tunnel::enter(Tunnel::Geneve, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    if !at.quoted {
        packet.vni = vni;
    }
    Ok(ethertype::next(protocol, at, packet))
}
