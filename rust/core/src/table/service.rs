//! Names of services and protocols in the flow table.

use crate::app::Kept;
use crate::track::Flow;
use crate::track::key::{ARP, FlowKey};
use std::fmt::Write as _;

/// Services by the responder's port, where the content did not tell (IANA service names; Zeek's where they differ).
const BY_PORT: &[(u8, u16, &str)] = &[
    (6, 21, "ftp"),
    (6, 22, "ssh"),
    (6, 23, "telnet"),
    (6, 25, "smtp"),
    (6, 53, "dns"),
    (6, 80, "http"),
    (6, 110, "pop3"),
    (6, 143, "imap"),
    (6, 179, "bgp"),
    (6, 389, "ldap"),
    (6, 443, "tls"),
    (6, 445, "smb"),
    (6, 502, "modbus"),
    (6, 853, "tls"),
    (6, 993, "imaps"),
    (6, 1883, "mqtt"),
    (6, 3306, "mysql"),
    (6, 3389, "rdp"),
    (6, 5432, "postgresql"),
    (6, 6379, "redis"),
    (6, 8080, "http"),
    (17, 53, "dns"),
    (17, 67, "dhcp"),
    (17, 68, "dhcp"),
    (17, 69, "tftp"),
    (17, 123, "ntp"),
    (17, 137, "nbns"),
    (17, 161, "snmp"),
    (17, 443, "quic"),
    (17, 500, "isakmp"),
    (17, 514, "syslog"),
    (17, 546, "dhcpv6"),
    (17, 547, "dhcpv6"),
    (17, 1900, "ssdp"),
    (17, 4789, "vxlan"),
    (17, 5060, "sip"),
    (17, 5353, "mdns"),
    (17, 5355, "llmnr"),
    (17, 6081, "geneve"),
];

/// The service that a port of an IP protocol is for.
#[must_use]
pub fn by_port(proto: u8, port: u16) -> Option<&'static str> {
    BY_PORT.iter().find(|(known, number, _)| *known == proto && *number == port).map(|(_, _, name)| *name)
}

/// The `service` of a flow.
#[must_use]
pub fn of(flow: &Flow) -> Option<&'static str> {
    if let Some(service) = flow.facts.as_ref().and_then(Kept::service) {
        return Some(service);
    }
    if let Some(service) = flow.service {
        return Some(service.name());
    }
    if !matches!(flow.key.family, 4 | 6) {
        return None;
    }
    by_port(flow.key.proto, flow.resp_port())
}

/// What decides the text of the `proto` column: family, IP protocol, Ethernet type. One key a text, or a dictionary would
/// hold the text twice.
#[must_use]
pub fn proto_key(key: &FlowKey) -> (u8, u8, u16) {
    match (key.family, key.ethertype) {
        (4 | 6, _) => (4, key.proto, 0),
        (ARP, _) | (_, 0x0806) => (ARP, 0, 0), // whether its addresses are IPv4's or not
        (family, 0x8864) => (family, 0, 0x8863),
        (family, 0x8848) => (family, 0, 0x8847),
        (_, 0x86dd) => (4, 41, 0),
        (family, ethertype) => (family, 0, ethertype),
    }
}

/// Writes the `proto` column's text.
pub fn write_proto(key: &(u8, u8, u16), out: &mut String) {
    let (family, proto, ethertype) = *key;
    if family == 4 {
        match ip_proto_name(proto) {
            Some(name) => out.push_str(name),
            None => write!(out, "ip-proto-{proto}").unwrap_or_default(),
        }
    } else if family == ARP {
        out.push_str("arp");
    } else {
        match ethertype {
            0x0042 => out.push_str("stp"),
            0x88cc => out.push_str("lldp"),
            0x0800 => out.push_str("ip"),
            0x2000 => out.push_str("cdp"),
            0x8035 => out.push_str("rarp"),
            0x8863 => out.push_str("pppoe"),
            0x8847 => out.push_str("mpls"),
            0x8809 => out.push_str("slow"),
            0x888e => out.push_str("eapol"),
            0x88e5 => out.push_str("macsec"),
            0x88f7 => out.push_str("ptp"),
            below if below < 0x0600 => write!(out, "llc-0x{below:02x}").unwrap_or_default(),
            other => write!(out, "0x{other:04x}").unwrap_or_default(),
        }
    }
}

/// Wireshark's name of an IP protocol.
#[must_use]
pub fn ip_proto_name(proto: u8) -> Option<&'static str> {
    Some(match proto {
        0 => "hopopt",
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        59 => "ipv6-nonxt",
        88 => "eigrp",
        89 => "ospf",
        97 => "etherip",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        136 => "udplite",
        143 => "ethernet",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_two_keys_have_one_text() {
        let protos = (0..=u8::MAX).map(|proto| FlowKey { family: 4, proto, ..FlowKey::default() });
        let types = (0..=u16::MAX).map(|ethertype| FlowKey { ethertype, ..FlowKey::default() });
        let arp = FlowKey { family: ARP, ethertype: 0x0806, ..FlowKey::default() };
        let mut keys = HashMap::new();
        for key in protos.chain(types).chain([arp]).map(|key| proto_key(&key)) {
            let mut text = String::new();
            write_proto(&key, &mut text);
            assert_eq!(*keys.entry(text.clone()).or_insert(key), key, "{text}");
        }
    }
}
