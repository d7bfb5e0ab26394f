//! Virtual eXtensible Local Area Network (RFC 7348).

use super::cursor::be32;
use super::{Cursor, Decoded, MAX_TUNNELS, Next, Proto};
use crate::packet::{Packet, Tunnel};

/// Reads the network identifier; an Ethernet frame follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    if !at.quoted {
        packet.vni = be32(header, 4) >> 8;
        packet.tunnel = Tunnel::Vxlan;
    }
    at.skip(8);
    if packet.depth >= MAX_TUNNELS {
        return Ok(Next::Layer(Proto::Data));
    }
    packet.depth += 1;
    Ok(Next::Layer(Proto::Eth))
}
