//! Who says that an address is theirs: ARP (RFC 826) and IPv6 Neighbor Discovery (RFC 4861), and whether they lie.
//!
//! [`message`] reads one frame; [`Watch`] keeps what was claimed before and judges each further claim. Stations are
//! kept apart by capture point and VLAN tags. Nothing here knows a clock: time is the packets' own.

mod bindings;
pub mod finding;
pub mod message;
mod routers;
pub mod watch;

pub use bindings::Known;
pub use finding::{Finding, Findings};
pub use message::{Message, Protocol};
pub use watch::{Counters, Limits, Watch};

use crate::packet::{NONE, Packet, Tunnel};
use crate::track::key::pack_vlans;
use std::net::IpAddr;

/// A hardware address.
pub type Mac = [u8; 6];

/// An IP address with its family: 4 (in the first 4 bytes) or 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ip {
    /// 4 or 6.
    pub family: u8,
    /// The address, zeros behind an IPv4 one.
    pub bytes: [u8; 16],
}

impl Ip {
    /// An IPv4 address.
    #[must_use]
    pub fn v4(address: [u8; 4]) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&address);
        Self { family: 4, bytes }
    }

    /// An IPv6 address.
    #[must_use]
    pub fn v6(bytes: [u8; 16]) -> Self {
        Self { family: 6, bytes }
    }

    /// An address that no router forwards for (RFC 3927, RFC 4291).
    #[must_use]
    pub fn is_link_local(&self) -> bool {
        match self.family {
            4 => self.bytes[..2] == [169, 254],
            _ => self.bytes[0] == 0xfe && self.bytes[1] & 0xc0 == 0x80,
        }
    }

    /// As the standard library has it.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        let b = &self.bytes;
        if self.family == 4 { IpAddr::from([b[0], b[1], b[2], b[3]]) } else { IpAddr::from(*b) }
    }

    /// The source of the packet's innermost IP header.
    #[must_use]
    pub fn source(packet: &Packet) -> Option<Self> {
        matches!(packet.ip_version, 4 | 6).then_some(Self { family: packet.ip_version, bytes: packet.ip_src })
    }

    /// The destination of the packet's innermost IP header.
    #[must_use]
    pub fn destination(packet: &Packet) -> Option<Self> {
        matches!(packet.ip_version, 4 | 6).then_some(Self { family: packet.ip_version, bytes: packet.ip_dst })
    }

    /// An address that one station can hold: not unspecified, multicast, limited broadcast or loopback. The
    /// addresses of 240.0.0.0/4 are reserved (RFC 1112, 4), and some networks use them.
    #[must_use]
    pub fn is_station(&self) -> bool {
        let b = &self.bytes;
        if self.family == 4 {
            b[..4] != [0; 4] && b[0] & 0xf0 != 224 && b[..4] != [255; 4] && b[0] != 127
        } else {
            b[0] != 0xff && *b != [0; 16] && *b != std::net::Ipv6Addr::LOCALHOST.octets()
        }
    }
}

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

/// Whether a hardware address can be a station's own: neither a group's nor all zeros.
#[must_use]
pub fn is_station(mac: &Mac) -> bool {
    mac[0] & 1 == 0 && *mac != [0; 6]
}

/// The time up to which the oldest quarter of them is.
pub(crate) fn oldest_quarter<T: Ord + Copy>(mut times: Vec<T>) -> Option<T> {
    let at = times.len() / 4;
    (!times.is_empty()).then(|| *times.select_nth_unstable(at).1)
}

/// Where an address means something: capture point, VLAN tags (packed as in flow keys), virtual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    /// Capture point: see [`crate::track::Points`].
    pub point: u32,
    /// VXLAN or Geneve network identifier, or [`crate::packet::NONE`].
    pub vni: u32,
    /// The tunnel that it was in, where no network identifier tells it from the network around.
    pub tunnel: Tunnel,
    /// VLAN ids: see [`crate::track::key::pack_vlans`].
    pub vlans: u64,
}

impl Segment {
    /// The one of a packet.
    #[must_use]
    pub fn of(packet: &Packet, point: u32) -> Self {
        let tunnel = if packet.vni == NONE { packet.tunnel } else { Tunnel::None };
        Self { point, vni: packet.vni, tunnel, vlans: pack_vlans(packet.vlans()) }
    }
}
