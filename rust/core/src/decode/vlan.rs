//! IEEE 802.1Q and 802.1ad tags (IEEE Std 802.1Q, clause 9.6).

use super::cursor::be16;
use super::{Cursor, Decoded, ethertype};
use crate::packet::Packet;

/// Reads tag control information and the type that follows.
#[inline]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<4>()?;
    if !at.quoted {
        packet.push_vlan(be16(header, 0) & 0x0fff);
        if packet.depth == 0 {
            packet.outer_vlans = packet.vlans().len() as u8;
        }
    }
    at.skip(4);
    Ok(ethertype::or_length(be16(header, 2), at, packet))
}
