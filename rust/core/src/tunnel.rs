//! The tunnels that packets come through.

use serde::{Deserialize, Serialize};

/// Which header gave [`crate::packet::Packet::vni`], or which other tunnel the innermost packet came through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Tunnel {
    /// Not in a tunnel.
    #[default]
    None,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// GRE (RFC 2784).
    Gre,
    /// IPv4 in IPv4 (RFC 2003).
    IpIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// IPv6 in IPv6 (RFC 2473).
    SixInSix,
    /// ERSPAN: mirrored frames in GRE (draft-foschiano-erspan).
    Erspan,
    /// GTP-U, the user plane of mobile networks (3GPP TS 29.281).
    Gtp,
    /// L2TP version 2 (RFC 2661).
    L2tp,
    /// Teredo: IPv6 in UDP over IPv4 (RFC 4380).
    Teredo,
    /// VXLAN with a next-protocol field (draft-ietf-nvo3-vxlan-gpe).
    VxlanGpe,
    /// Ethernet in IP with a header of its own (RFC 3378).
    EtherIp,
    /// Ethernet right behind an IP header (RFC 8986, 10.1).
    Ethernet,
}

impl Tunnel {
    /// The name in the `tunnel_type` column; `None` outside tunnels.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Vxlan => Some("vxlan"),
            Self::Geneve => Some("geneve"),
            Self::Gre => Some("gre"),
            Self::IpIp => Some("ipip"),
            Self::SixInFour => Some("6in4"),
            Self::FourInSix => Some("4in6"),
            Self::SixInSix => Some("6in6"),
            Self::Erspan => Some("erspan"),
            Self::Gtp => Some("gtp"),
            Self::L2tp => Some("l2tp"),
            Self::Teredo => Some("teredo"),
            Self::VxlanGpe => Some("vxlan-gpe"),
            Self::EtherIp => Some("etherip"),
            Self::Ethernet => Some("ethernet"),
        }
    }
}
