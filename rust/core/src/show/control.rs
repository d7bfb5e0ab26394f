//! The texts of single layers in a line, in tcpdump's words.

use super::bytes::Bytes;
use super::dns::dns;
use super::line::Place;
use super::stp::stp;
use crate::decode::Proto;
use std::fmt::Write;
use std::net::IpAddr;

/// tcpdump's name of an IP protocol without a decoder.
pub fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        2 => "igmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        other => format!("ip-proto-{other}"),
    }
}

fn ethertype_name(ethertype: u16) -> &'static str {
    match ethertype {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x8035 => "Reverse ARP",
        0x8100 => "802.1Q",
        0x86dd => "IPv6",
        0x8847 => "MPLS unicast",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE D",
        0x8864 => "PPPoE S",
        0x8809 => "Slow Protocols",
        0x888e => "EAPOL",
        0x88a8 => "802.1Q-QinQ",
        0x88cc => "LLDP",
        0x9000 => "Loopback",
        0x9100 => "802.1Q-9100",
        _ => "Unknown",
    }
}

pub fn ethernet(place: &Place<'_>, show: bool, out: &mut String) {
    if !show {
        return;
    }
    let (Some(dst), Some(src), Some(kind)) = (place.bytes.mac(0), place.bytes.mac(6), place.bytes.be16(12)) else {
        return;
    };
    let _ = write!(out, "{src} > {dst}, ");
    if kind < 0x0600 {
        let _ = write!(out, "802.3, length {kind}: ");
    } else {
        let _ = write!(out, "ethertype {} (0x{kind:04x}), length {}: ", ethertype_name(kind), place.wire);
    }
}

pub fn vlan(place: &Place<'_>, show: bool, out: &mut String) {
    let (Some(tci), Some(kind)) = (place.bytes.be16(0), place.bytes.be16(2)) else { return };
    if show {
        let dei = if tci & 0x1000 != 0 { ", DEI" } else { "" };
        let _ = write!(out, "vlan {}, p {}{dei}, ", tci & 0x0fff, tci >> 13);
        if kind >= 0x0600 {
            let _ = write!(out, "ethertype {} (0x{kind:04x}), ", ethertype_name(kind));
        }
    }
}

/// RFC 826.
pub fn arp(place: &Place<'_>, out: &mut String) {
    let (bytes, length) = (place.bytes, place.wire);
    let hardware = usize::from(bytes.u8(4).unwrap_or(0));
    let protocol = usize::from(bytes.u8(5).unwrap_or(0));
    let (sender_ip, target_mac) = (8 + hardware, 8 + hardware + protocol);
    let ip = |at| bytes.ipv4(at).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    let mac = |at| bytes.mac(at).unwrap_or_else(|| "?".to_owned());
    let target_ip = target_mac + hardware;
    let _ = match bytes.be16(6) {
        _ if hardware != 6 || protocol != 4 => write!(out, "hardware length {hardware}, protocol length {protocol}"),
        Some(1) => {
            let unknown = bytes.array(target_mac) != Some([0; 6]) && bytes.array(target_mac) != Some([0xff; 6]);
            let hint = if unknown { format!(" ({})", mac(target_mac)) } else { String::new() };
            write!(out, "Request who-has {}{hint} tell {}", ip(target_ip), ip(sender_ip))
        }
        Some(2) => write!(out, "Reply {} is-at {}", ip(sender_ip), mac(8)),
        Some(3) => write!(out, "Reverse Request who-is {} tell {}", mac(target_mac), mac(8)),
        Some(4) => write!(out, "Reverse Reply {} at {}", mac(target_mac), ip(target_ip)),
        other => write!(out, "Unknown ({})", other.unwrap_or(0)),
    };
    let _ = write!(out, ", length {length}");
}

/// TCP options (RFC 9293, 3.2; RFC 7323; RFC 2018); `base` is subtracted from selective acknowledgments.
pub fn tcp_options(mut rest: &[u8], base: u32, out: &mut String) {
    let mut separator = ", options [";
    while let [kind, after @ ..] = rest {
        out.push_str(separator);
        separator = ",";
        let length = match kind {
            0 | 1 => 1,
            _ => usize::from(after.first().copied().unwrap_or(0)),
        };
        let Some(option) = rest.get(..length).filter(|option| !option.is_empty()) else {
            out.push_str("[bad opt]");
            break;
        };
        let value = Bytes(option);
        let number = |at| value.be32(at).unwrap_or(0);
        let _ = match (kind, length) {
            (0, _) => write!(out, "eol"),
            (1, _) => write!(out, "nop"),
            (2, 4) => write!(out, "mss {}", value.be16(2).unwrap_or(0)),
            (3, 3) => write!(out, "wscale {}", option[2]),
            (4, 2) => write!(out, "sackOK"),
            (5, _) => {
                let _ = write!(out, "sack {} ", length.saturating_sub(2) / 8);
                (2..length.saturating_sub(7)).step_by(8).try_for_each(|at| {
                    let (from, to) = (number(at).wrapping_sub(base), number(at + 4).wrapping_sub(base));
                    write!(out, "{{{from}:{to}}}")
                })
            }
            (8, 10) => write!(out, "TS val {} ecr {}", number(2), number(6)),
            _ => {
                let _ = write!(out, "unknown-{kind}");
                let _ = write!(out, "{}", if length > 2 { " 0x" } else { "" });
                option.iter().skip(2).try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        };
        rest = &rest[length..];
        if *kind == 0 {
            break;
        }
    }
    out.push(']');
}

/// HTTP, with the first line where a message begins.
pub fn http(payload: &[u8], begins: bool, out: &mut String) {
    if !begins {
        out.push_str(": HTTP");
        return;
    }
    let line = payload.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or(&[]);
    out.push_str(": HTTP: ");
    out.extend(line.iter().take(512).map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }));
}

/// UDP payloads that are not opened.
pub fn udp(place: &Place<'_>, out: &mut String) {
    let (bytes, length) = (place.bytes, place.bytes.be16(4).map_or(0, usize::from).saturating_sub(8));
    if matches!(place.next, Some(Proto::Dns | Proto::Mdns | Proto::Llmnr)) {
        return dns(bytes.from(8), length, place.next == Some(Proto::Mdns), out);
    }
    let (src, dst) = (bytes.be16(0).unwrap_or(0), bytes.be16(2).unwrap_or(0));
    if [src, dst].iter().any(|port| matches!(port, 67 | 68))
        && let (Some(operation @ 1..=2), Some(mac)) = (bytes.u8(8), bytes.mac(36))
    {
        let _ = match operation {
            1 => write!(out, "BOOTP/DHCP, Request from {mac}, length {length}"),
            _ => write!(out, "BOOTP/DHCP, Reply, length {length}"),
        };
        return;
    }
    if (src == 123 || dst == 123) && length >= 48 {
        const MODES: [&str; 8] = [
            "Reserved",
            "Symmetric Active",
            "Symmetric Passive",
            "Client",
            "Server",
            "Broadcast",
            "Control Message",
            "Reserved",
        ];
        let first = bytes.u8(8).unwrap_or(0);
        let _ = write!(out, "NTPv{}, {}, length {length}", first >> 3 & 7, MODES[usize::from(first & 7)]);
        return;
    }
    let _ = write!(out, "UDP, length {length}");
}

/// RFC 792.
pub fn icmp(place: &Place<'_>, out: &mut String) {
    let bytes = place.bytes;
    let (Some(kind), Some(code)) = (bytes.u8(0), bytes.u8(1)) else {
        out.push_str("[|icmp]");
        return;
    };
    let (id, seq) = (bytes.be16(4).unwrap_or(0), bytes.be16(6).unwrap_or(0));
    let quoted = bytes.from(8);
    let target = || quoted.ipv4(16).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    out.push_str("ICMP ");
    let _ = match (kind, code) {
        (8, _) => write!(out, "echo request, id {id}, seq {seq}"),
        (0, _) => write!(out, "echo reply, id {id}, seq {seq}"),
        (3, 0) => write!(out, "net {} unreachable", target()),
        (3, 1) => write!(out, "host {} unreachable", target()),
        (3, 2) => write!(out, "{} protocol {} unreachable", target(), quoted.u8(9).unwrap_or(0)),
        (3, 3) => {
            let transport = quoted.from(usize::from(quoted.u8(0).unwrap_or(0) & 0x0f) * 4);
            let port = transport.be16(2).unwrap_or(0);
            let name = protocol_name(quoted.u8(9).unwrap_or(0));
            write!(out, "{} {name} port {port} unreachable", target())
        }
        (3, 4) if seq != 0 => write!(out, "{} unreachable - need to frag (mtu {seq})", target()),
        (3, 4) => write!(out, "{} unreachable - need to frag", target()),
        (3, 10) => write!(out, "host {} unreachable - admin prohibited", target()),
        (3, 13) => write!(out, "host {} unreachable - admin prohibited filter", target()),
        (3, _) => write!(out, "{} unreachable - #{code}", target()),
        (4, _) => write!(out, "source quench"),
        (5, 0 | 2) => write!(out, "redirect {} to net {}", target(), gateway(bytes)),
        (5, _) => write!(out, "redirect {} to host {}", target(), gateway(bytes)),
        (9, _) => write!(out, "router advertisement"),
        (10, _) => write!(out, "router solicitation"),
        (11, 0) => write!(out, "time exceeded in-transit"),
        (11, _) => write!(out, "ip reassembly time exceeded"),
        (12, _) => write!(out, "parameter problem"),
        (13, _) => write!(out, "time stamp query id {id} seq {seq}"),
        (14, _) => write!(out, "time stamp reply id {id} seq {seq}"),
        _ => write!(out, "type-#{kind}"),
    };
    let _ = write!(out, ", length {}", place.wire);
}

fn gateway(bytes: Bytes<'_>) -> IpAddr {
    bytes.ipv4(4).map_or(IpAddr::from([0, 0, 0, 0]), IpAddr::V4)
}

/// RFC 4443, RFC 4861, RFC 3810.
pub fn icmpv6(place: &Place<'_>, out: &mut String) {
    let bytes = place.bytes;
    let (Some(kind), Some(code)) = (bytes.u8(0), bytes.u8(1)) else {
        out.push_str("[|icmp6]");
        return;
    };
    let (id, seq) = (bytes.be16(4).unwrap_or(0), bytes.be16(6).unwrap_or(0));
    let ip = |at| bytes.ipv6(at).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    out.push_str("ICMP6, ");
    let _ = match (kind, code) {
        (128, _) => write!(out, "echo request, id {id}, seq {seq}"),
        (129, _) => write!(out, "echo reply, id {id}, seq {seq}"),
        (1, 0) => write!(out, "destination unreachable, unreachable route {}", ip(32)),
        (1, 1) => write!(out, "destination unreachable, unreachable prohibited {}", ip(32)),
        (1, 3) => write!(out, "destination unreachable, unreachable address {}", ip(32)),
        (1, 4) => {
            let name = protocol_name(bytes.u8(14).unwrap_or(0));
            write!(
                out,
                "destination unreachable, unreachable port, {} {name} port {}",
                ip(32),
                bytes.be16(50).unwrap_or(0)
            )
        }
        (1, _) => write!(out, "destination unreachable, unknown unreach code ({code})"),
        (2, _) => write!(out, "packet too big, mtu {}", bytes.be32(4).unwrap_or(0)),
        (3, 0) => write!(out, "time exceeded in-transit for {}", ip(32)),
        (3, _) => write!(out, "ip6 reassembly time exceeded"),
        (4, _) => write!(out, "parameter problem"),
        (130, _) => write!(out, "multicast listener query"),
        (131, _) => write!(out, "multicast listener report"),
        (132, _) => write!(out, "multicast listener done"),
        (133, _) => write!(out, "router solicitation"),
        (134, _) => write!(out, "router advertisement"),
        (135, _) => write!(out, "neighbor solicitation, who has {}", ip(8)),
        (136, _) => write!(out, "neighbor advertisement, tgt is {}", ip(8)),
        (137, _) => write!(out, "redirect, {} to {}", ip(24), ip(8)),
        (143, _) => write!(out, "multicast listener report v2, {seq} group record(s)"),
        _ => write!(out, "icmp6-type-#{kind}"),
    };
    let _ = write!(out, ", length {}", place.wire);
}

/// Everything else; `false` ends the line.
pub fn other(proto: Proto, place: &Place<'_>, out: &mut String) -> bool {
    let bytes = place.bytes;
    let _ = match proto {
        Proto::Vxlan | Proto::VxlanGpe => {
            let flags = bytes.u8(0).unwrap_or(0);
            let name = if flags & 0x08 != 0 { "I" } else { "." };
            let kind = if proto == Proto::Vxlan { "VXLAN" } else { "VXLAN-GPE" };
            write!(out, "{kind}, flags [{name}] (0x{flags:02x}), vni {}: ", bytes.be32(4).unwrap_or(0) >> 8)
        }
        Proto::Geneve => {
            let flags = match bytes.u8(1).unwrap_or(0) >> 6 {
                0 => "none",
                1 => "C",
                2 => "O",
                _ => "OC",
            };
            let _ = write!(out, "Geneve, Flags [{flags}], vni 0x{:x}", bytes.be32(4).unwrap_or(0) >> 8);
            let options = usize::from(bytes.u8(0).unwrap_or(0) & 0x3f) * 4;
            if options > 0 {
                let _ = write!(out, ", options [{options} bytes]");
            }
            write!(out, ": ")
        }
        Proto::Gre => {
            let flags = bytes.be16(0).unwrap_or(0);
            let _ = write!(out, "GREv{}", flags & 7);
            let key_at = if flags & 0xc000 != 0 { 8 } else { 4 };
            if flags & 0x2007 == 0x2000 {
                let _ = write!(out, ", key=0x{:x}", bytes.be32(key_at).unwrap_or(0));
            }
            if flags & 0x1007 == 0x1000 {
                let seq_at = key_at + if flags & 0x2000 != 0 { 4 } else { 0 };
                let _ = write!(out, ", seq {}", bytes.be32(seq_at).unwrap_or(0));
            }
            let _ = write!(out, ", length {}: ", place.wire);
            match place.next {
                None | Some(Proto::Data) => write!(out, "gre-proto-0x{:x}", bytes.be16(2).unwrap_or(0)),
                _ => Ok(()),
            }
        }
        Proto::Mpls => {
            let entries = bytes.0.get(..place.header).unwrap_or(&[]).chunks_exact(4);
            out.push_str("MPLS (");
            for (index, entry) in entries.enumerate() {
                let entry = Bytes(entry).be32(0).unwrap_or(0);
                let comma = if index == 0 { "" } else { ") (" };
                let bottom = if entry & 0x100 != 0 { ", [S]" } else { "" };
                let (label, class, ttl) = (entry >> 12, entry >> 9 & 7, entry & 0xff);
                let _ = write!(out, "{comma}label {label}, tc {class}{bottom}, ttl {ttl}");
            }
            write!(out, ") ")
        }
        Proto::PppoeS => write!(out, "PPPoE  [ses 0x{:x}] ", bytes.be16(2).unwrap_or(0)),
        Proto::PppoeD => {
            let code = match bytes.u8(1) {
                Some(0x09) => "PADI",
                Some(0x07) => "PADO",
                Some(0x19) => "PADR",
                Some(0x65) => "PADS",
                Some(0xa7) => "PADT",
                _ => "PAD-unknown",
            };
            write!(out, "PPPoE {code}, length {}", place.wire)
        }
        Proto::Igmp => igmp(place, out),
        Proto::UdpEncap => {
            write!(out, "{}", if place.next == Some(Proto::Esp) { "UDP-encap: " } else { "NONESP-encap: isakmp" })
        }
        Proto::Gtp => write!(out, "GTP-U, teid 0x{:08x}: ", bytes.be32(4).unwrap_or(0)),
        Proto::L2tp => write!(out, "l2tp: "),
        Proto::Teredo => write!(out, "Teredo: "),
        Proto::Erspan => write!(out, "ERSPAN: "),
        Proto::Stp => stp(place, out),
        Proto::Lldp => write!(out, "LLDP, length {}", place.wire),
        Proto::Esp => {
            let (spi, seq) = (bytes.be32(0).unwrap_or(0), bytes.be32(4).unwrap_or(0));
            write!(out, "ESP(spi=0x{spi:08x},seq=0x{seq:x}), length {}", place.wire)
        }
        Proto::Ah => {
            write!(out, "AH(spi=0x{:08x},seq=0x{:x}): ", bytes.be32(4).unwrap_or(0), bytes.be32(8).unwrap_or(0))
        }
        Proto::Ipv6HopOpts => write!(out, "HBH "),
        Proto::Ipv6DstOpts => write!(out, "DSTOPT "),
        Proto::Ipv6Routing => write!(out, "srcrt "),
        Proto::Ipv6Frag => {
            let word = bytes.be16(2).unwrap_or(0);
            write!(out, "frag ({}|{}) ", word & 0xfff8, place.wire.saturating_sub(8))
        }
        // Only in front of others, or told by them.
        Proto::Netlink
        | Proto::Null
        | Proto::Raw
        | Proto::Sll
        | Proto::Sll2
        | Proto::Ppp
        | Proto::PppHdlc
        | Proto::Chdlc => Ok(()),
        Proto::Llc | Proto::Data | Proto::Http | Proto::Dns | Proto::Tls | Proto::Erspan1 => Ok(()),
        named => write!(out, "{}, length {}", named.name(), place.wire),
    };
    true
}

/// RFC 2236, RFC 3376.
fn igmp(place: &Place<'_>, out: &mut String) -> std::fmt::Result {
    let bytes = place.bytes;
    let group = bytes.ipv4(4).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    let of_group = if group == "0.0.0.0" { String::new() } else { format!(" [gaddr {group}]") };
    match bytes.u8(0) {
        Some(0x11) if place.wire >= 12 => write!(out, "igmp query v3{of_group}"),
        Some(0x11) if bytes.u8(1) == Some(0) => write!(out, "igmp query v1"),
        Some(0x11) => {
            let tenths = bytes.u8(1).unwrap_or(0);
            let wait = if tenths == 100 { String::new() } else { format!(" [max resp time {tenths}]") };
            write!(out, "igmp query v2{wait}{of_group}")
        }
        Some(0x12) => write!(out, "igmp v1 report {group}"),
        Some(0x16) => write!(out, "igmp v2 report {group}"),
        Some(0x17) => write!(out, "igmp leave {group}"),
        Some(0x22) => write!(out, "igmp v3 report, {} group record(s)", bytes.be16(6).unwrap_or(0)),
        other => write!(out, "igmp-{}", other.unwrap_or(0)),
    }
}
