//! VXLAN with a next-protocol field (draft-ietf-nvo3-vxlan-gpe-13).

use super::cursor::be32;
use super::{Cursor, Decoded, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

/// The flag that says the next-protocol field is valid.
const NEXT_PROTOCOL: u8 = 0x04;

/// Reads the network identifier and what follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    let vni = be32(header, 4) >> 8;
    at.skip(8);
    if !tunnel::enter(Tunnel::VxlanGpe, at, packet) {
        return Ok(Next::Layer(Proto::Data));
    }
    if !at.quoted {
        packet.vni = vni;
    }
    Ok(match header[3] {
        _ if header[0] & NEXT_PROTOCOL == 0 => Next::Layer(Proto::Eth),
        1 => ethertype::next(0x0800, at, packet),
        2 => ethertype::next(0x86dd, at, packet),
        3 => Next::Layer(Proto::Eth),
        5 => ethertype::next(0x8847, at, packet),
        _ => Next::Layer(Proto::Data),
    })
}
