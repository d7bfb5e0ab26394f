//! DHCP for IPv4 (RFC 2131, options RFC 2132) and IPv6 (RFC 8415): leases and host names, one row a message.

use super::http1::head::text;
use super::{Datagram, DatagramAnalyzer, Facts, Found, Out};
use crate::decode::cursor::{be16, be32};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// Client's hardware address; for IPv6 the one in its DUID, which may be of another card (RFC 8415, 11).
    pub client_mac: Option<[u8; 6]>,
    /// For IPv6: the hardware address that the relay heard the client from (RFC 6939).
    pub relayed_mac: Option<[u8; 6]>,
    /// Address that the client has already.
    pub client_addr: Option<IpAddr>,
    /// Address that the server gives.
    pub assigned_addr: Option<IpAddr>,
    /// Address that the client asks for.
    pub requested_addr: Option<IpAddr>,
    /// The server: its identifier, for IPv6 none.
    pub server_addr: Option<IpAddr>,
    /// Relay; for IPv6 its address on the client's link.
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
        // RFC 2132, 9.6; RFC 3203, 4; RFC 4388, 6.1; RFC 6926, 6.2.1; RFC 7724, 5.2.
        const V4: [&str; 18] = [
            "DISCOVER",
            "OFFER",
            "REQUEST",
            "DECLINE",
            "ACK",
            "NAK",
            "RELEASE",
            "INFORM",
            "FORCERENEW",
            "LEASEQUERY",
            "LEASEUNASSIGNED",
            "LEASEUNKNOWN",
            "LEASEACTIVE",
            "BULKLEASEQUERY",
            "LEASEQUERYDONE",
            "ACTIVELEASEQUERY",
            "LEASEQUERYSTATUS",
            "TLS",
        ];
        // RFC 8415, 7.3; RFC 5007, 4.2.1; RFC 5460, 5.2; RFC 6977, 6.3.
        const V6: [&str; 19] = [
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
            "LEASEQUERY",
            "LEASEQUERY-REPLY",
            "LEASEQUERY-DONE",
            "LEASEQUERY-DATA",
            "RECONFIGURE-REQUEST",
            "RECONFIGURE-REPLY",
        ];
        let names: &[&str] = if self.version == 6 { &V6 } else { &V4 };
        names.get(usize::from(self.kind).checked_sub(1)?).copied()
    }

    /// Reads a DHCP (or BOOTP) message; `None` if it is none. One that the snap length cut needs no more than the client's
    /// hardware address.
    #[must_use]
    pub fn parse_v4(bytes: &[u8], is_cut: bool) -> Option<Self> {
        let head = bytes.get(..if is_cut { 34 } else { 236 })?;
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
        let mut options = Gathered::new();
        let mut is_whole = gather(&bytes[240..], &mut options);
        let overload = options.get(&52).and_then(|data| data.first()).copied().unwrap_or(0);
        // The fields `file` and `sname` may hold more of them (RFC 2132, 9.3), in this order (RFC 3396, 5).
        for (bit, field) in [(1, 108..236), (2, 44..108)] {
            is_whole &= overload & bit == 0 || gather(&bytes[field], &mut options);
        }
        message.fault = (!is_whole).then_some("option longer than the message");
        message.options_v4(&options);
        Some(message)
    }

    fn options_v4(&mut self, options: &Gathered) {
        let data = |code: u8| options.get(&code).map_or(&[][..], Vec::as_slice);
        let addr = |code| data(code).first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets)));
        self.routers = data(3).chunks_exact(4).map(|o| Ipv4Addr::new(o[0], o[1], o[2], o[3])).collect();
        // Client FQDN (RFC 4702): flags and two codes, then the name.
        let full = || data(81).split_at_checked(3).and_then(|(head, name)| fqdn(head[0], name));
        self.host_name = words(data(12)).or_else(full);
        self.domain = words(data(15));
        self.requested_addr = addr(50);
        self.lease_time = data(51).first_chunk().map(|seconds| u32::from_be_bytes(*seconds));
        self.kind = data(53).first().copied().unwrap_or(0);
        self.server_addr = addr(54);
        self.vendor_class = words(data(60));
        self.client_id = options.get(&61).cloned();
    }

    /// Reads a DHCPv6 message, the innermost of relayed ones; `None` if it is none.
    #[must_use]
    pub fn parse_v6(bytes: &[u8]) -> Option<Self> {
        let mut message = Self { version: 6, ..Self::default() };
        let mut bytes = bytes;
        for _ in 0..=MAX_RELAYS {
            match bytes.first()? {
                1..=11 | 14..=19 => {
                    message.kind = bytes[0];
                    message.xid = be32(bytes.get(..4)?, 0) & 0x00ff_ffff;
                    message.options_v6(&bytes[4..]);
                    return Some(message);
                }
                12 | 13 => {
                    message.kind = bytes[0];
                    let link = Ipv6Addr::from(*bytes.get(2..)?.first_chunk::<16>()?);
                    if !link.is_unspecified() {
                        message.relay_addr = Some(link.into()); // a switch that relays has none (RFC 6221)
                    }
                    let mut inner = None;
                    for (code, data) in Options(bytes.get(34..)?) {
                        match (code, data) {
                            (9, _) => inner = inner.or(Some(data)),
                            (79, [0, 1, mac @ ..]) => message.relayed_mac = mac.try_into().ok(),
                            _ => {}
                        }
                    }
                    let Some(inner) = inner else { return Some(message) };
                    bytes = inner;
                }
                _ => return None,
            }
        }
        message.fault = Some("too many relays");
        Some(message)
    }

    fn options_v6(&mut self, bytes: &[u8]) {
        let mut options = Options(bytes);
        for (code, data) in options.by_ref() {
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
                16 => self.vendor_class = vendor_classes(data.get(4..).unwrap_or_default()),
                24 => self.domain = self.domain.take().or_else(|| wire_name(data)),
                39 if !data.is_empty() => self.host_name = wire_name(&data[1..]),
                _ => {}
            }
        }
        if !options.0.is_empty() {
            self.fault = Some("option longer than the message");
        }
    }

    /// The addresses of an identity association (RFC 8415, 21.6): of all in the message the first that is valid counts.
    fn addresses(&mut self, bytes: &[u8]) {
        for data in Options(bytes).filter(|(code, data)| *code == 5 && data.len() >= 24).map(|(_, data)| data) {
            let addr = data.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)));
            // What a client sends is a wish, what a server sends is given (RFC 8415, 7.3).
            if !matches!(self.kind, 2 | 7) {
                self.requested_addr = self.requested_addr.or(addr);
            } else if matches!((self.lease_time, be32(data, 20)), (None, _) | (Some(0), 1..)) {
                self.assigned_addr = addr;
                self.lease_time = Some(be32(data, 20));
            }
        }
    }
}

/// Options of IPv4 by code. The parts of one that is split, a code that comes again, are one (RFC 3396, 7).
type Gathered = BTreeMap<u8, Vec<u8>>;

/// Adds the options of a field; `false` if one is longer than it.
fn gather(mut rest: &[u8], options: &mut Gathered) -> bool {
    loop {
        match rest {
            [] | [255, ..] => return true,
            [0, more @ ..] => rest = more,
            [code, len, more @ ..] if more.len() >= usize::from(*len) => {
                let (data, behind) = more.split_at(usize::from(*len));
                options.entry(*code).or_default().extend_from_slice(data);
                rest = behind;
            }
            _ => return false,
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

/// The classes of an option of DHCPv6, each behind its length (RFC 8415, 21.16).
fn vendor_classes(mut data: &[u8]) -> Option<String> {
    let mut classes = Vec::new();
    while let [high, low, rest @ ..] = data {
        let Some((class, behind)) = rest.split_at_checked(usize::from(*high) << 8 | usize::from(*low)) else { break };
        classes.extend(words(class));
        data = behind;
    }
    (!classes.is_empty()).then(|| classes.join(", "))
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
        // Relays may ask from any port (RFC 8357).
        (67, _) | (_, 67) | (68, 68) => Message::parse_v4(datagram.payload, is_cut(datagram)),
        (_, 546 | 547) | (546 | 547, _) => Message::parse_v6(datagram.payload),
        _ => None,
    }
}

fn is_cut(datagram: &Datagram<'_>) -> bool {
    datagram.payload.len() < datagram.wire_len as usize
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
            if is_cut(datagram) {
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
mod tests;
