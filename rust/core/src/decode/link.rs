//! Link types: which protocol a frame starts with.

use super::Proto;
use crate::frame::LinkType;

/// LLC behind ATM (RFC 2684); the captures begin with LLC.
const ATM_RFC1483: LinkType = LinkType(100);

/// Cisco HDLC.
const C_HDLC: LinkType = LinkType(104);

/// The first layer of a frame of this link type; `None` if it is not decoded.
#[inline]
pub fn first(link_type: LinkType) -> Option<Proto> {
    if link_type == LinkType::ETHERNET { Some(Proto::Eth) } else { other(link_type) }
}

#[cold]
fn other(link_type: LinkType) -> Option<Proto> {
    Some(match link_type {
        LinkType::NULL | LinkType::LOOP => Proto::Null,
        LinkType::PPP | LinkType::PPP_HDLC => Proto::PppHdlc,
        LinkType::PPP_ETHER => Proto::PppoeS,
        ATM_RFC1483 => Proto::Llc,
        C_HDLC => Proto::Chdlc,
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => Proto::Raw,
        LinkType::IPV4 => Proto::Ip,
        LinkType::IPV6 => Proto::Ipv6,
        LinkType::LINUX_SLL => Proto::Sll,
        LinkType::LINUX_SLL2 => Proto::Sll2,
        LinkType::NETLINK => Proto::Netlink,
        _ => return None,
    })
}
