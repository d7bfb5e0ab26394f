//! Netlink messages as nlmon captures them (RFC 3549; LINKTYPE_NETLINK).
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html>

use super::cursor::be16;
use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, Next, Proto};
use crate::packet::Packet;

/// Length of the cooked header in front of the messages, bytes.
pub const HEADER: usize = 16;

/// Reads the netlink family behind the cooked header.
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    at.skip(HEADER);
    Ok(Next::Layer(family(be16(header, 14))))
}

/// The layer of a netlink family (`NETLINK_*` of linux/netlink.h).
pub fn family(number: u16) -> Proto {
    match number {
        0 => Proto::NetlinkRoute,
        4 => Proto::NetlinkSockDiag,
        12 => Proto::NetlinkNetfilter,
        16 => Proto::NetlinkGeneric,
        _ => Proto::Data,
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Linux netlink (cooked header)", "LINKTYPE_NETLINK", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "netlink.hatype", "Link-layer address type", 2, 2),
    field(Kind::Uint, "netlink.family", "Family", 14, 2),
];
