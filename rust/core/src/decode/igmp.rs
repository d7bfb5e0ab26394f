//! Internet group management protocol (RFC 2236, RFC 3376).

use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Checks that the common part of all versions is there.
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    at.peek::<8>()?;
    Ok(Next::End)
}

/// Its fields.
pub static LAYOUT: Layout = layout("Internet Group Management Protocol", "RFC 3376, 4", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "igmp.type", "Type", 0, 1),
    field(Kind::Uint, "igmp.max_resp", "Max Resp Time", 1, 1).unit("tenths of a second"),
    field(Kind::Hex, "igmp.checksum", "Checksum", 2, 2),
    field(Kind::Ipv4, "igmp.maddr", "Multicast Address", 4, 4),
];
