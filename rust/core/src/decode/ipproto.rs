//! IP protocol numbers: what follows an IPv4 header or the last IPv6 extension header.
//!
//! Source: <https://www.iana.org/assignments/protocol-numbers>

use super::{Cursor, Next, Proto, ethertype, tunnel};
use crate::packet::{Packet, Tunnel};

/// The layer that protocol number `proto` announces.
#[inline]
pub fn next(proto: u8, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    match proto {
        6 => Next::Layer(Proto::Tcp),
        17 => Next::Layer(Proto::Udp),
        1 => Next::Layer(Proto::Icmp),
        58 => Next::Layer(Proto::Icmpv6),
        _ => uncommon(proto, at, packet),
    }
}

fn uncommon(proto: u8, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    // Which of the two versions carries does not matter for what follows, only for the tunnel's name.
    let over_ipv6 = packet.ip_version == 6;
    Next::Layer(match proto {
        0 => Proto::Ipv6HopOpts,
        2 => Proto::Igmp,
        4 => {
            let name = if over_ipv6 { Tunnel::FourInSix } else { Tunnel::IpIp };
            return inner(0x0800, name, at, packet);
        }
        41 => {
            let name = if over_ipv6 { Tunnel::SixInSix } else { Tunnel::SixInFour };
            return inner(0x86dd, name, at, packet);
        }
        43 => Proto::Ipv6Routing,
        44 => Proto::Ipv6Frag,
        47 => Proto::Gre,
        51 => Proto::Ah,
        60 => Proto::Ipv6DstOpts,
        97 => Proto::EtherIp,
        132 => Proto::Sctp,
        137 => return ethertype::next(0x8847, at, packet),
        // Bare, as segment routing carries it (RFC 8986, 4.9 and 10.1).
        143 => return inner(0x6558, Tunnel::Ethernet, at, packet),
        33 => Proto::Dccp,
        50 => Proto::Esp,
        88 => Proto::Eigrp,
        89 => Proto::Ospf,
        103 => Proto::Pim,
        112 => Proto::Vrrp,
        115 => Proto::L2tpIp,
        135 => Proto::Mipv6,
        136 => Proto::UdpLite,
        _ if at.wire_rest() == 0 => return Next::End,
        _ => Proto::Data,
    })
}

fn inner(ethertype: u16, name: Tunnel, at: &mut Cursor<'_>, packet: &mut Packet) -> Next {
    if tunnel::enter(name, at, packet) { ethertype::next(ethertype, at, packet) } else { Next::Layer(Proto::Data) }
}
