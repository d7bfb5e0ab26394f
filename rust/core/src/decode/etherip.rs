//! Ethernet in IP (RFC 3378).

use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Fault, Next, Proto, tunnel};
use crate::packet::{Packet, Tunnel};

/// Length of the header, bytes (RFC 3378, 3).
const HEADER: usize = 2;

/// Passes the version; an Ethernet frame follows.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    if at.peek::<HEADER>()?[0] >> 4 != 3 {
        return Err(Fault::Bad("version is not 3"));
    }
    at.skip(HEADER);
    Ok(Next::Layer(if tunnel::enter(Tunnel::EtherIp, at, packet) { Proto::Eth } else { Proto::Data }))
}

/// Its fields.
pub static LAYOUT: Layout = layout("Ethernet over IP", "RFC 3378, 3", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[field(Kind::Uint, "etherip.ver", "Version", 0, 1).mask(0xf0)];
