//! Linux "cooked" captures, version 1: what `-i any` gives in place of a link header.
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html>

use super::cursor::be16;
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 16;

/// ARP hardware types whose protocol field is not an Ethernet type.
const ARPHRD_IPGRE: u16 = 778;
const ARPHRD_NETLINK: u16 = 824;

/// Reads hardware type and protocol.
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<HEADER>()?;
    let (hardware, protocol) = (be16(header, 2), be16(header, 14));
    at.skip(HEADER);
    Ok(next(hardware, protocol, at, packet))
}

/// What follows a cooked header of either version.
pub fn next(hardware: u16, protocol: u16, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    match (hardware, protocol) {
        (ARPHRD_NETLINK, family) => Next::Layer(super::netlink::family(family)),
        (ARPHRD_IPGRE, 0..ethertype::MIN_TYPE) => Next::Layer(Proto::Data),
        (_, 0x0004) => Next::Layer(Proto::Llc),
        (_, 0..ethertype::MIN_TYPE) => Next::Layer(Proto::Data),
        (_, protocol) => ethertype::next(protocol, at, packet),
    }
}
