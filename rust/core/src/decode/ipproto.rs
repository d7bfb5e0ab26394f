//! IP protocol numbers: what follows an IPv4 header or the last IPv6 extension header.
//!
//! Source: <https://www.iana.org/assignments/protocol-numbers>

use super::{Next, Proto};

/// The layer that protocol number `proto` announces.
#[inline]
pub fn next(proto: u8) -> Next {
    Next::Layer(match proto {
        1 => Proto::Icmp,
        6 => Proto::Tcp,
        17 => Proto::Udp,
        58 => Proto::Icmpv6,
        _ => Proto::Data,
    })
}
