//! DHCP for IPv4 (RFC 2131, options RFC 2132) and IPv6 (RFC 8415): leases and host names, one row a message.

use super::http1::head::text;
use super::{Datagram, DatagramAnalyzer, Facts, Found, Out};
use crate::decode::cursor::{be16, be32};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Relays around a DHCPv6 message, whose hops are counted from 0 to 32 (RFC 3315, 5.5) or 8 (RFC 8415, 7.6).
const MAX_RELAYS: usize = 33;
const LONG: &str = "option longer than the message";
const WRONG: &str = "option of a wrong length";
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// 4 or 6.
    pub version: u8,
    /// Message type.
    pub kind: u8,
    /// Transaction id; relays, and DHCPv4 inside DHCPv6, have none.
    pub xid: Option<u32>,
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
        // RFC 8415, 7.3; RFC 5007, 4.2.1; RFC 5460, 5.2; RFC 6977, 6.3; RFC 7341, 6; RFC 7653; RFC 8156, 5.3; RFC 9686.
        const V6: [&str; 37] = [
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
            "DHCPV4-QUERY",
            "DHCPV4-RESPONSE",
            "ACTIVELEASEQUERY",
            "STARTTLS",
            "BNDUPD",
            "BNDREPLY",
            "POOLREQ",
            "POOLRESP",
            "UPDREQ",
            "UPDREQALL",
            "UPDDONE",
            "CONNECT",
            "CONNECTREPLY",
            "DISCONNECT",
            "STATE",
            "CONTACT",
            "ADDR-REG-INFORM",
            "ADDR-REG-REPLY",
        ];
        let names: &[&str] = if self.version == 6 { &V6 } else { &V4 };
        names.get(usize::from(self.kind).checked_sub(1)?).copied()
    }

    /// Bytes of its texts.
    pub(super) fn text_len(&self) -> usize {
        let texts = [&self.host_name, &self.domain, &self.vendor_class];
        let id = self.client_id.as_ref().map_or(0, Vec::len);
        texts.into_iter().flatten().map(String::len).sum::<usize>() + 2 * id
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
            xid: Some(be32(head, 4)),
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
        message.fault = (!is_whole).then_some(LONG);
        message.options_v4(&options);
        Some(message)
    }

    fn options_v4(&mut self, options: &Gathered) {
        let data = |code: u8| options.get(&code).map_or(&[][..], Vec::as_slice);
        let addr = |code| data(code).first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets)));
        self.routers = data(3).chunks_exact(4).map(|o| Ipv4Addr::new(o[0], o[1], o[2], o[3])).collect();
        // Client FQDN (RFC 4702): flags and two codes, then the name.
        let full = data(81).split_at_checked(3).map_or(Ok(None), |(head, name)| fqdn(head[0], name));
        let full = self.noted(full);
        self.host_name = words(data(12)).or(full);
        self.domain = words(data(15));
        self.requested_addr = addr(50);
        self.lease_time = data(51).first_chunk().map(|seconds| u32::from_be_bytes(*seconds));
        self.kind = data(53).first().copied().unwrap_or(0);
        self.server_addr = addr(54);
        self.vendor_class = words(data(60));
        self.client_id = options.get(&61).cloned();
        // RFC 2132, 3.5 and 9; RFC 4702, 2.
        let is_wrong = options.iter().any(|(code, data)| match code {
            3 => data.is_empty() || data.len() % 4 != 0,
            50 | 51 | 54 => data.len() != 4,
            52 | 53 => data.len() != 1,
            81 => data.len() < 3,
            _ => false,
        });
        self.fault = self.fault.or(is_wrong.then_some(WRONG));
    }

    /// Reads a DHCPv6 message, the innermost of relayed ones; `None` if it is none.
    #[must_use]
    pub fn parse_v6(bytes: &[u8]) -> Option<Self> {
        let mut message = Self { version: 6, ..Self::default() };
        let mut bytes = bytes;
        for _ in 0..=MAX_RELAYS {
            match *bytes {
                [kind @ (12 | 13), ref relay @ ..] if relay.len() >= 33 => {
                    message.kind = kind;
                    bytes = message.relay(relay);
                }
                [kind @ (1..=11 | 14..=37), a, b, c, ref options @ ..] => {
                    message.kind = kind;
                    // DHCPv4 over DHCPv6 has flags there (RFC 7341, 6), servers have the time behind it (RFC 8156, 5.2).
                    message.xid = (!matches!(kind, 20 | 21)).then(|| u32::from_be_bytes([0, a, b, c]));
                    let options = if matches!(kind, 24..=35) { options.get(4..)? } else { options };
                    message.options(options, Self::option_v6);
                    return Some(message);
                }
                _ if message.kind == 0 => return None,
                _ => {
                    message.fault.get_or_insert("relay without a message");
                    return Some(message);
                }
            }
        }
        message.fault.get_or_insert("too many relays");
        Some(message)
    }

    /// Reads what a relay adds (RFC 8415, 9), behind its type; back comes the message that it relays, empty without one.
    fn relay<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (head, options) = bytes.split_at(33.min(bytes.len()));
        if let Some(link) = head.get(1..).and_then(|link| link.first_chunk::<16>())
            && *link != [0; 16]
        {
            self.relay_addr = Some(IpAddr::from(*link)); // a switch that relays has none (RFC 6221)
        }
        let mut inner = None;
        self.options(options, |message, code, data| match (code, data) {
            (9, _) => inner = inner.or(Some(data)),
            (79, [0, 1, mac @ ..]) => message.relayed_mac = mac.try_into().ok(),
            _ => {}
        });
        inner.unwrap_or_default()
    }

    /// Hands out options, which are all that there is (RFC 8415, 21.1).
    fn options<'a>(&mut self, mut bytes: &'a [u8], mut take: impl FnMut(&mut Self, u16, &'a [u8])) {
        while let Some((head, rest)) = bytes.split_first_chunk::<4>()
            && let Some((data, behind)) = rest.split_at_checked(usize::from(be16(head, 2)))
        {
            take(self, be16(head, 0), data);
            bytes = behind;
        }
        if !bytes.is_empty() {
            self.fault.get_or_insert(LONG);
        }
    }

    fn option_v6(&mut self, code: u16, data: &[u8]) {
        match (code, data) {
            (1, [_, _, _, ..]) => {
                // DUID with a link-layer address over Ethernet (RFC 8415, 11.2 and 11.4).
                let mac = match data {
                    [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => Some(mac),
                    _ => None,
                };
                self.client_mac = mac.and_then(|mac| mac.try_into().ok());
                self.client_id = Some(data.to_vec());
            }
            (3, [_, _, _, _, _, _, _, _, _, _, _, _, inner @ ..]) | (4, [_, _, _, _, inner @ ..]) => {
                self.options(inner, |message, code, data| {
                    if code == 5 {
                        message.address(data);
                    }
                });
            }
            // Of its own a client has the address that it tells the server of (RFC 9686, 4.2).
            (5, _) if matches!(self.kind, 36 | 37) => self.address(data),
            (16, [_, _, _, _, classes @ ..]) => self.vendor_class = self.noted(vendor_classes(classes)),
            (24, _) => {
                let domain = self.noted(wire_name(data));
                self.domain = self.domain.take().or(domain);
            }
            (39, [_, name @ ..]) => self.host_name = self.noted(wire_name(name)),
            (1 | 3 | 4 | 16 | 39, _) => self.fault = self.fault.or(Some(WRONG)),
            _ => {}
        }
    }

    /// What was read, unless that is a fault.
    fn noted<T>(&mut self, read: Result<Option<T>, &'static str>) -> Option<T> {
        read.unwrap_or_else(|fault| {
            self.fault.get_or_insert(fault);
            None
        })
    }

    /// An address of an identity association (RFC 8415, 21.6): of all in the message the first that is valid counts.
    fn address(&mut self, data: &[u8]) {
        let Some((fixed, options)) = data.split_first_chunk::<24>() else {
            self.fault.get_or_insert(WRONG);
            return;
        };
        self.options(options, |_, _, _| {});
        let addr = fixed.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)));
        match self.kind {
            // What a server sends is given, what a client sends is a wish (RFC 8415, 7.3).
            2 | 7 => {
                if matches!((self.lease_time, be32(fixed, 20)), (None, _) | (Some(0), 1..)) {
                    self.assigned_addr = addr;
                    self.lease_time = Some(be32(fixed, 20));
                }
            }
            36 | 37 => self.client_addr = self.client_addr.or(addr),
            _ => self.requested_addr = self.requested_addr.or(addr),
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

/// Text without the NULs that some clients end it with.
fn words(data: &[u8]) -> Option<String> {
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    (end > 0).then(|| text(&data[..end]))
}

/// The classes of an option of DHCPv6, each behind its length (RFC 8415, 21.16).
fn vendor_classes(mut data: &[u8]) -> Result<Option<String>, &'static str> {
    let mut classes = Vec::new();
    while let Some((head, rest)) = data.split_first_chunk::<2>() {
        let (class, behind) = rest.split_at_checked(usize::from(be16(head, 0))).ok_or(WRONG)?;
        classes.extend(words(class));
        data = behind;
    }
    Ok((!classes.is_empty()).then(|| classes.join(", ")))
}

fn fqdn(flags: u8, data: &[u8]) -> Result<Option<String>, &'static str> {
    if flags & 4 != 0 { wire_name(data) } else { Ok(words(data)) }
}

/// A name in wire form, perhaps without its root, never compressed.
fn wire_name(mut data: &[u8]) -> Result<Option<String>, &'static str> {
    let mut out = String::new();
    while let [len @ 1..=63, rest @ ..] = data {
        let label = rest.get(..usize::from(*len)).ok_or("name cut short")?;
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&text(label));
        data = &rest[label.len()..];
    }
    match data {
        [] | [0, ..] => Ok((!out.is_empty()).then_some(out)),
        _ => Err("name with an unknown label"),
    }
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
