//! DHCP for IPv4 (RFC 2131, options RFC 2132) and IPv6 (RFC 8415): leases and host names, one row a message.

use super::http1::head::text;
use super::{Datagram, DatagramAnalyzer, Facts, Found, Out};
use crate::decode::cursor::{be16, be32};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Options of one message that are read.
const MAX_OPTIONS: usize = 1000;
/// Relays around a DHCPv6 message (RFC 8415, 7.6: 8 hops).
const MAX_RELAYS: usize = 8;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// 4 or 6.
    pub version: u8,
    /// Message type.
    pub kind: u8,
    /// Transaction id.
    pub xid: u32,
    /// Client's hardware address.
    pub client_mac: Option<[u8; 6]>,
    /// Address that the client has already.
    pub client_addr: Option<IpAddr>,
    /// Address that the server gives.
    pub assigned_addr: Option<IpAddr>,
    /// Address that the client asks for.
    pub requested_addr: Option<IpAddr>,
    /// The server: its identifier, for IPv6 none.
    pub server_addr: Option<IpAddr>,
    /// Relay.
    pub relay_addr: Option<IpAddr>,
    /// Default routers, in order of preference (RFC 2132, 3.5).
    pub routers: Vec<Ipv4Addr>,
    /// Host name that the client gives.
    pub host_name: Option<String>,
    /// Domain that the server gives.
    pub domain: Option<String>,
    /// Lease time (IPv6: valid lifetime), seconds.
    pub lease_time: Option<u32>,
    /// Vendor class.
    pub vendor_class: Option<String>,
    /// Client identifier or DUID, as it is.
    pub client_id: Option<Vec<u8>>,
    /// What is wrong.
    pub fault: Option<&'static str>,
}

impl Message {
    /// The name of the message type, as the RFCs have it.
    #[must_use]
    pub fn kind_name(&self) -> Option<&'static str> {
        const V4: [&str; 8] = ["DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"];
        const V6: [&str; 13] = [
            "SOLICIT",
            "ADVERTISE",
            "REQUEST",
            "CONFIRM",
            "RENEW",
            "REBIND",
            "REPLY",
            "RELEASE",
            "DECLINE",
            "RECONFIGURE",
            "INFORMATION-REQUEST",
            "RELAY-FORW",
            "RELAY-REPL",
        ];
        let names: &[&str] = if self.version == 6 { &V6 } else { &V4 };
        names.get(usize::from(self.kind).checked_sub(1)?).copied()
    }

    /// Reads a DHCP (or BOOTP) message; `None` if it is none.
    #[must_use]
    pub fn parse_v4(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..236)?;
        if !matches!(head[0], 1 | 2) {
            return None;
        }
        let addr = |at: usize| {
            let octets = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            (octets != [0; 4]).then(|| IpAddr::V4(Ipv4Addr::from(octets)))
        };
        let mut message = Self {
            version: 4,
            xid: be32(head, 4),
            client_addr: addr(12),
            assigned_addr: addr(16),
            relay_addr: addr(24),
            ..Self::default()
        };
        if head[1] == 1 && head[2] == 6 {
            message.client_mac = head[28..34].try_into().ok();
        }
        if bytes.get(236..240) != Some(&COOKIE) {
            return Some(message); // BOOTP (RFC 951)
        }
        let overload = message.options_v4(&bytes[240..]);
        // The fields `file` and `sname` may hold more of them (RFC 2132, 9.3), in this order (RFC 3396, 5).
        for (bit, field) in [(1, 108..236), (2, 44..108)] {
            if overload & bit != 0 {
                message.options_v4(&head[field]);
            }
        }
        Some(message)
    }

    /// Takes options in; what the overload option says, 0 without.
    fn options_v4(&mut self, mut rest: &[u8]) -> u8 {
        let mut overload = 0;
        for _ in 0..MAX_OPTIONS {
            let (code, data) = match rest {
                [] | [255, ..] => return overload,
                [0, more @ ..] => {
                    rest = more;
                    continue;
                }
                [code, len, more @ ..] if more.len() >= usize::from(*len) => {
                    let (data, behind) = more.split_at(usize::from(*len));
                    rest = behind;
                    (*code, data)
                }
                _ => {
                    self.fault = Some("option longer than the message");
                    return overload;
                }
            };
            let addr = || <[u8; 4]>::try_from(data).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
            match code {
                3 => self.routers.extend(data.chunks_exact(4).map(|o| Ipv4Addr::new(o[0], o[1], o[2], o[3]))),
                12 => self.host_name = words(data),
                15 => self.domain = words(data),
                50 => self.requested_addr = addr(),
                51 if data.len() == 4 => self.lease_time = Some(be32(data, 0)),
                52 => overload = data.first().copied().unwrap_or(0),
                53 => self.kind = data.first().copied().unwrap_or(0),
                54 => self.server_addr = addr(),
                60 => self.vendor_class = words(data),
                61 => self.client_id = Some(data.to_vec()),
                // Client FQDN (RFC 4702): flags and two codes, then the name.
                81 if self.host_name.is_none() && data.len() > 3 => self.host_name = fqdn(data[0], &data[3..]),
                _ => {}
            }
        }
        self.fault = Some("too many options");
        overload
    }

    /// Reads a DHCPv6 message, the innermost of relayed ones; `None` if it is none.
    #[must_use]
    pub fn parse_v6(bytes: &[u8]) -> Option<Self> {
        let mut message = Self { version: 6, ..Self::default() };
        let mut bytes = bytes;
        for _ in 0..=MAX_RELAYS {
            match bytes.first()? {
                1..=11 => {
                    message.kind = bytes[0];
                    message.xid = be32(bytes.get(..4)?, 0) & 0x00ff_ffff;
                    message.options_v6(&bytes[4..]);
                    return Some(message);
                }
                12 | 13 => {
                    message.kind = bytes[0];
                    let link = bytes.get(2..18)?;
                    message.relay_addr = <[u8; 16]>::try_from(link).ok().map(|octets| Ipv6Addr::from(octets).into());
                    let Some(inner) = Options(bytes.get(34..)?).find(|(code, _)| *code == 9) else {
                        return Some(message);
                    };
                    bytes = inner.1;
                }
                _ => return None,
            }
        }
        message.fault = Some("too many relays");
        Some(message)
    }

    fn options_v6(&mut self, bytes: &[u8]) {
        let mut options = Options(bytes);
        for (code, data) in options.by_ref().take(MAX_OPTIONS) {
            match code {
                1 => {
                    // DUID with a link-layer address over Ethernet (RFC 8415, 11.2 and 11.4).
                    let mac = match data {
                        [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => Some(mac),
                        _ => None,
                    };
                    self.client_mac = mac.and_then(|mac| mac.try_into().ok());
                    self.client_id = Some(data.to_vec());
                }
                3 => self.addresses(data.get(12..).unwrap_or_default()),
                4 => self.addresses(data.get(4..).unwrap_or_default()),
                16 => self.vendor_class = data.get(6..).and_then(words),
                24 => self.domain = self.domain.take().or_else(|| wire_name(data)),
                39 if !data.is_empty() => self.host_name = wire_name(&data[1..]),
                _ => {}
            }
        }
        if !options.0.is_empty() {
            self.fault = Some("option longer than the message");
        }
    }

    /// The first address of an identity association (RFC 8415, 21.6).
    fn addresses(&mut self, bytes: &[u8]) {
        let Some((_, data)) = Options(bytes).find(|(code, data)| *code == 5 && data.len() >= 24) else { return };
        let octets: [u8; 16] = data[..16].try_into().unwrap_or_default();
        let addr = Some(IpAddr::V6(Ipv6Addr::from(octets)));
        // What a client sends is a wish, what a server sends is given (RFC 8415, 7.3).
        if matches!(self.kind, 2 | 7) {
            self.assigned_addr = addr;
            self.lease_time = Some(be32(data, 20));
        } else {
            self.requested_addr = addr;
        }
    }
}

/// DHCPv6 options (RFC 8415, 21.1).
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.get(..4)?;
        let len = usize::from(be16(head, 2));
        let data = self.0.get(4..4 + len)?;
        let code = be16(head, 0);
        self.0 = &self.0[4 + len..];
        Some((code, data))
    }
}

/// Text without the NULs that some clients end it with.
fn words(data: &[u8]) -> Option<String> {
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    (end > 0).then(|| text(&data[..end]))
}

fn fqdn(flags: u8, data: &[u8]) -> Option<String> {
    if flags & 4 != 0 { wire_name(data) } else { words(data) }
}

/// A name in wire form, perhaps without its root, never compressed.
fn wire_name(mut data: &[u8]) -> Option<String> {
    let mut out = String::new();
    while let [len @ 1..=63, rest @ ..] = data {
        let label = rest.get(..usize::from(*len))?;
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&text(label));
        data = &rest[label.len()..];
    }
    (!out.is_empty()).then_some(out)
}

/// Recognises a datagram by ports and shape.
pub fn looks(datagram: &Datagram<'_>) -> bool {
    parse(datagram).is_some()
}

fn parse(datagram: &Datagram<'_>) -> Option<Message> {
    match datagram.ports {
        (67 | 68, 67 | 68) => Message::parse_v4(datagram.payload),
        (_, 546 | 547) | (546 | 547, _) => Message::parse_v6(datagram.payload),
        _ => None,
    }
}

/// A UDP flow.
pub fn make() -> Box<dyn DatagramAnalyzer> {
    Box::new(Dhcp)
}

struct Dhcp;

impl DatagramAnalyzer for Dhcp {
    fn datagram(&mut self, datagram: &Datagram<'_>, out: &mut Out<'_>) -> bool {
        if let Some(mut message) = parse(datagram) {
            let service = if message.version == 6 { "dhcpv6" } else { "dhcp" };
            *out.facts = Facts { service: Some(service), ..Facts::default() };
            if datagram.payload.len() < datagram.wire_len as usize {
                message.fault = Some("cut by the snap length");
            }
            if out.wants.dhcp {
                out.row(datagram.place, Found::Dhcp(Box::new(message)));
            }
        }
        out.wants.dhcp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        bytes[16..20].copy_from_slice(&[192, 0, 2, 9]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        [bytes, COOKIE.to_vec(), options.to_vec()].concat()
    }

    #[test]
    fn a_lease() {
        let options = b"\x35\x01\x05\x03\x08\xc0\0\x02\x01\xc0\0\x02\x02\0\x33\x04\0\0\x0e\x10\x36\x04\xc0\0\x02\x01\x0c\x05host\0\x0f\x03lan\xff\x01";
        let message = Message::parse_v4(&v4(options)).unwrap();
        assert_eq!((message.kind_name(), message.xid), (Some("ACK"), 0xdead_beef));
        assert_eq!(message.assigned_addr, Some("192.0.2.9".parse().unwrap()));
        assert_eq!(message.server_addr, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(message.client_mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!((message.host_name.as_deref(), message.domain.as_deref()), (Some("host"), Some("lan")));
        assert_eq!((message.lease_time, message.fault), (Some(3600), None));
        assert_eq!(message.routers, [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]);
    }

    #[test]
    fn options_in_the_fields_for_names() {
        let mut bytes = v4(b"\x34\x01\x03\x35\x01\x05\xff");
        bytes[108..119].copy_from_slice(b"\x33\x04\0\0\x0e\x10\x0f\x02la\xff");
        bytes[44..51].copy_from_slice(b"\x0c\x04host\xff");
        let message = Message::parse_v4(&bytes).unwrap();
        assert_eq!((message.kind_name(), message.lease_time), (Some("ACK"), Some(3600)));
        assert_eq!((message.domain.as_deref(), message.host_name.as_deref()), (Some("la"), Some("host")));
        assert_eq!(message.fault, None);
        bytes[242] = 2; // `sname` alone
        let message = Message::parse_v4(&bytes).unwrap();
        assert_eq!((message.domain, message.host_name.as_deref()), (None, Some("host")));
    }

    #[test]
    fn an_option_that_lies() {
        let message = Message::parse_v4(&v4(b"\x35\x01\x01\x0c\xffhost")).unwrap();
        assert_eq!((message.kind, message.fault), (1, Some("option longer than the message")));
    }

    #[test]
    fn a_relayed_reply() {
        let address = [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 11], &[5], &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
        let association = [[0; 12].as_slice(), &[0, 5, 0, 24], &address].concat();
        let inner = [
            b"\x07\0\x12\x34\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x01".as_slice(),
            &[0, 3, 0, association.len() as u8],
            &association,
            b"\0\x27\0\x07\0\x04host\0",
        ]
        .concat();
        let relayed = [[13, 0].as_slice(), &[0xfe; 32], &[0, 9, 0, inner.len() as u8], &inner].concat();
        let message = Message::parse_v6(&relayed).unwrap();
        assert_eq!((message.kind_name(), message.xid), (Some("REPLY"), 0x1234));
        assert_eq!(message.assigned_addr, Some("2001:db8::5".parse().unwrap()));
        assert_eq!((message.lease_time, message.host_name.as_deref()), (Some(2), Some("host")));
        assert_eq!(message.client_mac, Some([2, 0, 0, 0, 0, 1]));
        for end in 0..relayed.len() {
            let _ = Message::parse_v6(&relayed[..end]);
        }
    }
}
