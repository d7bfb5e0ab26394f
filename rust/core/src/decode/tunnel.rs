//! Entering a tunnel: counted, and not deeper than [`MAX_TUNNELS`].

use super::{Cursor, MAX_TUNNELS, Proto};
use crate::packet::{Malformed, Packet, Tunnel, Why};

/// Notes that what follows at the cursor travels inside `tunnel`; `false` if it is too deep to be opened.
pub fn enter(tunnel: Tunnel, at: &mut Cursor<'_>, packet: &mut Packet) -> bool {
    if at.depth >= MAX_TUNNELS {
        packet.malformed = Some(Malformed { proto: Proto::Data, offset: at.pos(), why: Why::Bad("too many tunnels") });
        return false;
    }
    at.depth += 1;
    if !at.quoted {
        packet.depth = at.depth;
        packet.tunnel = tunnel;
    }
    true
}
