//! Ethernet II and IEEE 802.3 (IEEE Std 802.3, clause 3).

use super::cursor::be16;
use super::{Cursor, Decoded, ethertype};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 14;

/// Reads destination, source and type or length.
#[inline]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let value = be16(header, 12);
    if !at.quoted {
        packet.eth = at.pos() as u32;
        packet.has_eth_type = value >= ethertype::MIN_TYPE;
        packet.eth_type = value;
    }
    at.skip(HEADER);
    Ok(ethertype::or_length(value, at, packet))
}
