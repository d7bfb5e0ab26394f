//! Ethernet II and IEEE 802.3 (IEEE Std 802.3, clause 3).

use super::cursor::be16;
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 14;

/// Types from here on are protocols, smaller values are lengths (IEEE Std 802.3, 3.2.6).
pub const MIN_TYPE: u16 = 0x0600;

/// Reads destination, source and type or length.
#[inline]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    if !at.quoted {
        packet.eth = at.pos() as u32;
    }
    let value = be16(header, 12);
    packet.has_eth_type = value >= MIN_TYPE;
    packet.eth_type = value;
    at.skip(HEADER);
    if value >= MIN_TYPE {
        return Ok(ethertype::next(value, at, packet));
    }
    at.limit(usize::from(value));
    Ok(Next::Layer(Proto::Data))
}
