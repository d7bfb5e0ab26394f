//! Linux "cooked" captures, version 1: what `-i any` gives in place of a link header.
//!
//! Source: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html>

use super::cursor::be16;
use super::layout::{Field, FieldValue, Header, Kind, Layout, field, layout, read};
use super::{Cursor, Decoded, Next, Proto, ethertype};
use crate::packet::Packet;

/// Length of the header, bytes.
pub const HEADER: usize = 16;

/// ARP hardware types whose protocol field is not an Ethernet type, or ignored.
const ARPHRD_FRAD: u16 = 770;
const ARPHRD_IPGRE: u16 = 778;
const ARPHRD_IEEE80211_RADIOTAP: u16 = 803;
const ARPHRD_IP6GRE: u16 = 823;
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
        // The payload is a frame of Frame Relay, or a radiotap header.
        (ARPHRD_FRAD | ARPHRD_IEEE80211_RADIOTAP, _) => Next::Layer(Proto::Data),
        (ARPHRD_IPGRE | ARPHRD_IP6GRE, 0..ethertype::MIN_TYPE) => Next::Layer(Proto::Data),
        (_, 0x0004) => Next::Layer(Proto::Llc),
        (_, 0x0007) => Next::Layer(Proto::PppHdlc), // ETH_P_WAN_PPP
        (_, 0..ethertype::MIN_TYPE) => Next::Layer(Proto::Data),
        (_, protocol) => ethertype::next(protocol, at, packet),
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Linux cooked capture v1", "LINKTYPE_LINUX_SLL", LAYOUT_FIELDS).with(LAYOUT_EXTRA, source);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "sll.pkttype", "Packet type", 0, 2),
    field(Kind::Uint, "sll.hatype", "Link-layer address type", 2, 2),
    field(Kind::Uint, "sll.halen", "Link-layer address length", 4, 2).unit("bytes"),
    field(Kind::Hex, "sll.etype", "Protocol", 14, 2),
];

const LAYOUT_EXTRA: &[Field] = &[field(Kind::Mac, "sll.src.eth", "Source", 6, 6)];

/// The address is a MAC address where it is six bytes long.
fn source(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    if be16(header.bytes, 4) == 6 {
        out.extend(LAYOUT_EXTRA.iter().filter_map(|field| read(field, header, field.at)));
    }
}
