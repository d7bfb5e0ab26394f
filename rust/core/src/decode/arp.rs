//! Address Resolution Protocol (RFC 826).

use super::cursor::be16;
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Length of an ARP packet for IPv4 over Ethernet, bytes.
#[allow(dead_code)]
pub const IPV4_OVER_ETHERNET: usize = 28;

/// Notes where the packet is; columns read its fields from there.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    let (hardware, protocol) = (usize::from(header[4]), usize::from(header[5]));
    at.slice(8 + 2 * (hardware + protocol))?;
    if be16(header, 2) == 0x0800 && hardware == 6 && protocol == 4 && !at.quoted {
        packet.arp = at.pos() as u32;
    }
    Ok(Next::End)
}
