//! Virtual eXtensible Local Area Network (RFC 7348).

use super::cursor::be32;
use super::{Cursor, Decoded, Next, Proto, tunnel};
use crate::packet::{Packet, Tunnel};

/// Length of the header, bytes (RFC 7348, 5).
pub const HEADER: usize = 8;

/// Reads the network identifier; an Ethernet frame follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let vni = be32(header, 4) >> 8;
    at.skip(HEADER);
    if !tunnel::enter(Tunnel::Vxlan, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    if !at.quoted {
        packet.vni = vni;
    }
    Ok(Next::Layer(Proto::Eth))
}
