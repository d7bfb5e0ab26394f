//! ERSPAN, mirrored frames in GRE (draft-foschiano-erspan-03).

use super::{Cursor, Decoded, Fault, Next, Proto};
use crate::packet::Packet;

/// Passes the header of type II (version 1) or type III (version 2).
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    match header[0] >> 4 {
        1 => at.skip(8),
        2 => {
            let header = at.peek::<12>()?;
            // The lowest bit announces a platform-specific subheader (4.3).
            let length = if header[11] & 1 == 1 { 20 } else { 12 };
            at.slice(length)?;
            at.skip(length);
        }
        _ => return Err(Fault::Bad("unknown version")),
    }
    Ok(Next::Layer(Proto::Eth))
}

/// Type I: GRE without sequence number, and no header of its own (4.1).
pub fn type_one(_at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    Ok(Next::Layer(Proto::Eth))
}
