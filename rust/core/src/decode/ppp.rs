//! Point-to-point protocol (RFC 1661), alone or in HDLC-like framing (RFC 1662).

use super::cursor::be16;
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Reads the protocol field: two bytes, or one when the odd first byte says so (RFC 1661, 6.5).
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let protocol = match at.peek::<1>()?[0] {
        odd if odd & 1 == 1 => {
            at.skip(1);
            u16::from(odd)
        }
        _ => {
            let protocol = be16(at.peek::<2>()?, 0);
            at.skip(2);
            protocol
        }
    };
    Ok(match protocol {
        0x0021 => ethertype::next(0x0800, at, packet),
        0x0057 => ethertype::next(0x86dd, at, packet),
        0x0281 | 0x0283 => ethertype::next(0x8847, at, packet),
        _ => Next::Layer(Proto::Data),
    })
}

/// Passes address and control of HDLC-like framing, if they were not compressed away (RFC 1662, 3.1). Cisco's framing has
/// addresses of its own, which no PPP begins with (RFC 1547, 4.3.1).
pub fn hdlc(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    match at.peek::<1>()?[0] {
        0xff => {
            at.slice(2)?;
            at.skip(2);
        }
        0x0f | 0x8f => return Ok(Next::Layer(Proto::Chdlc)),
        _ => {}
    }
    decode(at, packet)
}
