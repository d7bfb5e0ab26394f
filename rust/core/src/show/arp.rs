//! ARP in a line (RFC 826), in tcpdump's words.

use super::bytes::Bytes;
use super::line::Place;
use super::link::ethertype_name;
use std::fmt::Write;

/// Trailers, which are resolved as IP is (RFC 893).
const TRAIL: u16 = 0x1000;
/// Its addresses stand elsewhere (RFC 2225, 8).
const ATM: u16 = 19;

pub fn arp(place: &Place<'_>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    let (kind, protocol, operation) = (bytes.be16(0)?, bytes.be16(2)?, bytes.be16(6)?);
    let (hardware_len, protocol_len) = (usize::from(bytes.u8(4)?), usize::from(bytes.u8(5)?));
    if !matches!(protocol, 0x0800 | TRAIL) || protocol_len != 4 || hardware_len == 0 || kind == ATM {
        hardware_name(kind, out);
        let _ = match ethertype_name(protocol) {
            "Unknown" => write!(out, " (len {hardware_len}), Unknown Protocol (0x{protocol:04x})"),
            name => write!(out, " (len {hardware_len}), {name}"),
        };
        let _ = write!(out, " (len {protocol_len}), length {}", place.wire);
        return Some(());
    }
    let (sender, target) = (8, 8 + hardware_len + 4);
    let ip = |at: usize| bytes.ipv4(at + hardware_len);
    let address = |at: usize| hardware(bytes, at, hardware_len);
    let _ = match operation {
        1 => {
            let asked = bytes.0.get(target..target + hardware_len)?;
            let is_known = asked.iter().any(|&byte| byte != 0) && asked.iter().any(|&byte| byte != 0xff);
            let hint = if is_known { format!(" ({})", address(target)?) } else { String::new() };
            write!(out, "Request who-has {}{hint} tell {}", ip(target)?, ip(sender)?)
        }
        2 => write!(out, "Reply {} is-at {}", ip(sender)?, address(sender)?),
        3 => write!(out, "Reverse Request who-is {} tell {}", address(target)?, address(sender)?),
        4 => write!(out, "Reverse Reply {} at {}", address(target)?, ip(target)?),
        8 => write!(out, "Inverse Request who-is {} tell {}", address(target)?, address(sender)?),
        9 => write!(out, "Inverse Reply {} at {}", address(sender)?, ip(sender)?),
        10 => write!(out, "NACK Reply"),
        other => write!(out, "Unknown ({other})"),
    };
    let _ = write!(out, ", length {}", place.wire);
    Some(())
}

/// A hardware address of whatever length.
fn hardware(bytes: Bytes<'_>, at: usize, len: usize) -> Option<String> {
    Some(bytes.0.get(at..at + len)?.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

/// Source: IANA, ARP Hardware Types; those that tcpdump names.
fn hardware_name(kind: u16, out: &mut String) {
    let _ = match kind {
        1 => write!(out, "Ethernet"),
        6 => write!(out, "TokenRing"),
        7 => write!(out, "ArcNet"),
        15 => write!(out, "FrameRelay"),
        ATM => write!(out, "ATM"),
        23 => write!(out, "Strip"),
        24 => write!(out, "IEEE 1394"),
        32 => write!(out, "InfiniBand"),
        other => write!(out, "Unknown Hardware ({other})"),
    };
}
