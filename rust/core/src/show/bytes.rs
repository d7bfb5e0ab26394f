//! Reading from headers that may be cut anywhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a header; every reader answers `None` beyond their end.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// One byte.
    pub fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    /// `N` bytes.
    pub fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk::<N>().copied()
    }

    /// Two bytes, big-endian.
    pub fn be16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub fn be32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// A MAC address as text.
    pub fn mac(self, at: usize) -> Option<String> {
        self.array(at).map(mac)
    }

    /// An IPv4 address.
    pub fn ipv4(self, at: usize) -> Option<Ipv4Addr> {
        self.array::<4>(at).map(Ipv4Addr::from)
    }

    /// An IPv6 address.
    pub fn ipv6(self, at: usize) -> Option<Ipv6Addr> {
        self.array::<16>(at).map(Ipv6Addr::from)
    }

    /// What is left from `at` on.
    pub fn from(self, at: usize) -> Bytes<'a> {
        Bytes(self.0.get(at..).unwrap_or(&[]))
    }
}

/// A MAC address as text.
pub fn mac([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// Text of the network as tcpdump prints it: what does not print as `^@`, bytes above ASCII behind `M-`.
pub fn printable(text: &[u8], out: &mut String) {
    for &byte in text {
        out.push_str(if byte.is_ascii() { "" } else { "M-" });
        match byte & 0x7f {
            shown @ b' '..=b'~' => out.push(char::from(shown)),
            control => out.extend(['^', char::from(control ^ 0x40)]),
        }
    }
}
