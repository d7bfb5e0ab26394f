//! Link headers in a line, in tcpdump's words.

use super::line::Place;
use crate::decode::Proto;
use std::fmt::Write;

/// tcpdump's name of an Ethernet type.
pub fn ethertype_name(ethertype: u16) -> &'static str {
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

pub fn ethernet(place: &Place<'_>, show: bool, out: &mut String) -> Option<()> {
    let kind = place.bytes.be16(12)?;
    if !show {
        return Some(());
    }
    let _ = write!(out, "{} > {}, ", place.bytes.mac(6)?, place.bytes.mac(0)?);
    if kind < 0x0600 {
        let _ = write!(out, "802.3, length {kind}: ");
    } else {
        let _ = write!(out, "ethertype {} (0x{kind:04x}), length {}: ", ethertype_name(kind), place.wire);
    }
    Some(())
}

pub fn vlan(place: &Place<'_>, show: bool, out: &mut String) -> Option<()> {
    let (tci, kind) = (place.bytes.be16(0)?, place.bytes.be16(2)?);
    if show {
        let dei = if tci & 0x1000 != 0 { ", DEI" } else { "" };
        let _ = write!(out, "vlan {}, p {}{dei}, ", tci & 0x0fff, tci >> 13);
        if kind >= 0x0600 {
            let _ = write!(out, "ethertype {} (0x{kind:04x}), ", ethertype_name(kind));
        }
    }
    Some(())
}

/// BSD loopback: the address family, in whichever byte order.
pub fn loopback(place: &Place<'_>, show: bool, out: &mut String) -> Option<()> {
    let told = place.bytes.be32(0)?;
    let family = if told > 0xffff { told.swap_bytes() } else { told };
    let name = match family {
        2 => "IPv4",
        6 => "NS",
        7 => "ISO",
        16 => "Appletalk",
        23 => "IPX",
        24 | 28 | 30 => "IPv6",
        _ => "Unknown",
    };
    if show {
        let _ = write!(out, "AF {name} ({family}), length {}: ", place.wire);
    }
    Some(())
}

/// No link header at all.
pub fn raw(place: &Place<'_>, show: bool, out: &mut String) -> Option<()> {
    let _ = match (place.bytes.u8(0)? >> 4, show) {
        (4, true) => write!(out, "ip: "),
        (6, true) => write!(out, "ip6: "),
        (4 | 6, false) => Ok(()),
        (other, _) => write!(out, "unknown ip {other}"),
    };
    Some(())
}

/// Linux "cooked" captures, version 1.
pub fn cooked(place: &Place<'_>, show: bool, out: &mut String) -> Option<()> {
    let (kind, address_len, protocol) = (place.bytes.be16(0)?, place.bytes.be16(4)?, place.bytes.be16(14)?);
    if show {
        let _ = write!(out, "{:>3} ", direction(kind));
        sender(place, (address_len == 6).then_some(6), protocol, out)?;
    }
    Some(())
}

/// Version 2. The interface and the direction are printed always; the interface's name the frame does not tell.
pub fn cooked_v2(place: &Place<'_>, name: Option<&str>, show: bool, out: &mut String) -> Option<()> {
    let (protocol, interface) = (place.bytes.be16(0)?, place.bytes.be32(4)?);
    let (kind, address_len) = (place.bytes.u8(10)?, place.bytes.u8(11)?);
    let _ = match name {
        Some(name) => write!(out, "{name:<5} "), // in a column, as tcpdump does
        None => write!(out, "ifindex {interface} "),
    };
    let _ = write!(out, "{:<3} ", direction(u16::from(kind)));
    if show {
        sender(place, (address_len == 6).then_some(12), protocol, out)?;
    }
    Some(())
}

fn direction(kind: u16) -> &'static str {
    match kind {
        0 => "In",
        1 => "B",
        2 => "M",
        3 => "P",
        4 => "Out",
        _ => "?",
    }
}

/// Who sent a cooked frame, if that is a MAC address, and what the frame carries.
fn sender(place: &Place<'_>, address: Option<usize>, protocol: u16, out: &mut String) -> Option<()> {
    if let Some(at) = address {
        let _ = write!(out, "{} ", place.bytes.mac(at)?);
    }
    let _ = match protocol {
        1 => write!(out, "802.3"),
        4 => write!(out, "802.2"),
        _ => write!(out, "ethertype {} (0x{protocol:04x})", ethertype_name(protocol)),
    };
    let _ = write!(out, ", length {}: ", place.wire);
    Some(())
}

/// Cisco HDLC (RFC 1547, 4.3.1).
pub fn cisco(place: &Place<'_>, show: bool, out: &mut String) -> Option<()> {
    let (address, protocol) = (place.bytes.u8(0)?, place.bytes.be16(2)?);
    if show {
        let _ = match address {
            0x0f => write!(out, "unicast"),
            0x8f => write!(out, "bcast"),
            other => write!(out, "0x{other:02x}"),
        };
        let name = ethertype_name(protocol);
        let _ = write!(out, ", ethertype {name} (0x{protocol:04x}), length {}: ", place.wire);
    }
    if place.next == Some(Proto::Data) {
        if protocol == 0x8035 {
            return keepalive(place, out);
        }
        if !show {
            let _ = write!(out, "unknown CHDLC protocol (0x{protocol:04x}), length {}", place.wire);
        }
    }
    Some(())
}

/// Cisco's serial line address resolution, which also keeps the line alive.
fn keepalive(place: &Place<'_>, out: &mut String) -> Option<()> {
    let (bytes, length) = (place.bytes.from(4), place.wire.saturating_sub(4));
    let _ = write!(out, "SLARP (length: {length}), ");
    let _ = match bytes.be32(0)? {
        0 => write!(out, "request"),
        1 => write!(out, "reply {}/{}", bytes.ipv4(4)?, bytes.ipv4(8)?),
        2 => {
            let (mine, yours, reliability) = (bytes.be32(4)?, bytes.be32(8)?, bytes.be16(12)?);
            let _ = write!(
                out,
                "keepalive: mineseen=0x{mine:08x}, yourseen=0x{yours:08x}, reliability=0x{reliability:04x}"
            );
            if length < 18 {
                return Some(());
            }
            let seconds = bytes.be32(14)? / 1000;
            let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
            write!(out, ", link uptime={days}d{hours}h{minutes}m{}s", seconds % 60)
        }
        other => write!(out, "0x{other:02x} unknown"),
    };
    Some(())
}
