//! Layer two tunneling protocol: version 2 over UDP (RFC 2661, 3.1), version 3 over IP (RFC 3931, 4.1.1).

use super::cursor::be16;
use super::{Cursor, Decoded, Next, Proto, tunnel};
use crate::packet::{Packet, Tunnel};

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;

/// Passes the header of a data message; PPP follows. Control messages and version 3 are left alone.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let flags = be16(at.peek::<6>()?, 0);
    if flags & 0x000f != 2 || flags & CONTROL != 0 {
        return Ok(Next::End);
    }
    let mut length = 6;
    length += if flags & LENGTH != 0 { 2 } else { 0 };
    length += if flags & SEQUENCE != 0 { 4 } else { 0 };
    if flags & OFFSET != 0 {
        let padding = usize::from(be16(at.slice(length + 2)?, length));
        length += 2 + padding;
    }
    at.slice(length)?;
    at.skip(length);
    Ok(Next::Layer(if tunnel::enter(Tunnel::L2tp, at, packet) { Proto::PppHdlc } else { Proto::Data }))
}

/// Passes the session identifier of a data message over IP; what follows, the two ends have agreed on. 0 is that of control
/// messages.
pub fn over_ip(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    let is_control = *at.peek::<4>()? == [0; 4];
    at.skip(4);
    Ok(if is_control { Next::End } else { Next::Layer(Proto::Data) })
}
