//! ERSPAN, mirrored frames in GRE (draft-foschiano-erspan-03).

use super::cursor::be16;
use super::{Cursor, Decoded, Fault, Next, Proto, ethertype};
use crate::packet::Packet;

/// Frame types of type III (4.2): what was mirrored.
const ETHERNET: u16 = 0;
const IP: u16 = 2;

/// Passes the header of type II (version 1) or type III (version 2).
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<8>()?;
    let frame_type = match header[0] >> 4 {
        1 => {
            at.skip(8);
            ETHERNET
        }
        2 => {
            let header = at.peek::<12>()?;
            // The lowest bit announces a platform-specific subheader (4.3).
            let length = if header[11] & 1 == 1 { 20 } else { 12 };
            at.slice(length)?;
            at.skip(length);
            be16(header, 10) >> 10 & 0x1f
        }
        _ => return Err(Fault::Bad("unknown version")),
    };
    if frame_type == ETHERNET {
        return Ok(Next::Layer(Proto::Eth));
    }
    let known = if frame_type == IP { ethertype::by_version(at)? } else { None };
    Ok(known.map_or(Next::Layer(Proto::Data), |known| ethertype::next(known, at, packet)))
}

/// Type I: GRE without sequence number, and no header of its own (4.1).
pub fn type_one(_at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    Ok(Next::Layer(Proto::Eth))
}
