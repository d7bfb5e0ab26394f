//! UDP and SCTP in a line, in tcpdump's words.

use super::bytes::Bytes;
use super::dns::dns;
use super::line::Place;
use crate::decode::{LONGEST, Proto};
use std::fmt::Write;

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

/// Both ends with their ports, as far as they are there.
pub fn ports(place: &Place<'_>, out: &mut String) -> Option<()> {
    let (src, dst) = place.ends?;
    let _ = match (place.bytes.be16(0), place.bytes.be16(2)) {
        (Some(from), Some(to)) => write!(out, "{src}.{from} > {dst}.{to}: "),
        _ => {
            let _ = write!(out, "{src} > {dst}:");
            return None;
        }
    };
    Some(())
}

/// RFC 768. With `opened` a layer inside has the text.
pub fn udp(place: &Place<'_>, opened: bool, out: &mut String) -> Option<()> {
    if ports(place, out).is_none() {
        out.push(' ');
        return None;
    }
    let Some(there) = place.wire.checked_sub(8) else {
        let _ = write!(out, "truncated-udp {}", place.wire);
        return Some(());
    };
    let told = match usize::from(place.bytes.be16(4)?) {
        0 if place.wire > LONGEST => there, // jumbogram (RFC 2675, 4) or offloaded
        short @ ..8 => {
            let _ = write!(out, "truncated-udplength {short}");
            return Some(());
        }
        length => length - 8,
    };
    if place.fault {
        return None;
    }
    if opened {
        return Some(());
    }
    let name = application(place, told.min(there), out);
    if name == Some("udp") {
        let _ = match told > there && !place.fragment {
            true => write!(out, "UDP, bad length {told} > {there}"),
            false => write!(out, "UDP, length {told}"),
        };
    } else if let Some(name) = name {
        let _ = write!(out, " [|{name}]");
    }
    Some(())
}

/// Payloads that are not opened, `length` bytes on the wire. Gives what was cut, or `udp` for what is not known.
fn application(place: &Place<'_>, length: usize, out: &mut String) -> Option<&'static str> {
    let payload = place.bytes.from(8);
    let is = |port: u16| [0, 2].iter().any(|&at| place.bytes.be16(at) == Some(port));
    let cut = |told: Option<()>, name| if told.is_some() { None } else { Some(name) };
    let too_short_to_tell = payload.0.len() < 12 && length >= 12;
    if matches!(place.next, Some(Proto::Dns | Proto::Mdns | Proto::Llmnr)) || too_short_to_tell && (is(53) || is(5353))
    {
        return cut(dns(payload, length, place.next == Some(Proto::Mdns), out), "domain");
    }
    if length > 0 && (is(67) || is(68)) && matches!(payload.u8(0), Some(1 | 2) | None) {
        return cut(bootp(payload, length, out), "bootp");
    }
    if length > 0 && is(123) {
        return cut(ntp(payload, length, out), "ntp");
    }
    Some("udp")
}

/// BOOTP and DHCP (RFC 951, 3).
fn bootp(payload: Bytes<'_>, length: usize, out: &mut String) -> Option<()> {
    let is_request = payload.u8(0)? == 1;
    let _ = write!(out, "BOOTP/DHCP, {}", if is_request { "Request" } else { "Reply" });
    if is_request && [payload.u8(1)?, payload.u8(2)?] == [1, 6] {
        let _ = write!(out, " from {}", payload.mac(28)?);
    }
    let _ = write!(out, ", length {length}");
    Some(())
}

/// NTP (RFC 5905, 7.3); control messages are shorter (RFC 9327, 2).
fn ntp(payload: Bytes<'_>, length: usize, out: &mut String) -> Option<()> {
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
    let first = payload.u8(0)?;
    let _ = write!(out, "NTPv{}, {}, length {length}", first >> 3 & 7, MODES[usize::from(first & 7)]);
    Some(())
}

/// RFC 9260: the chunks, and what the usual ones begin with.
pub fn sctp(place: &Place<'_>, out: &mut String) -> Option<()> {
    ports(place, out)?;
    out.push_str("sctp");
    let (bytes, mut at) = (place.bytes, 12);
    for number in 1.. {
        if at >= place.wire {
            break;
        }
        let (kind, flags, length) = (bytes.u8(at)?, bytes.u8(at + 1)?, usize::from(bytes.be16(at + 2)?));
        let _ = write!(out, "{} ({number}) ", if number == 1 { "" } else { "," });
        let _ = match chunk_name(kind) {
            Some(name) => write!(out, "[{name}] "),
            None => write!(out, "[Unknown chunk type: 0x{kind:x}] "),
        };
        if length < 4 {
            let _ = write!(out, "[Bad chunk length {length}, < size of chunk descriptor]");
            break;
        }
        chunk(kind, flags, bytes.from(at + 4), out)?;
        at += length.next_multiple_of(4);
    }
    Some(())
}

/// Source: IANA, SCTP Chunk Types; tcpdump's short names.
fn chunk_name(kind: u8) -> Option<&'static str> {
    const NAMES: [&str; 15] = [
        "DATA",
        "INIT",
        "INIT ACK",
        "SACK",
        "HB REQ",
        "HB ACK",
        "ABORT",
        "SHUTDOWN",
        "SHUTDOWN ACK",
        "OP ERR",
        "COOKIE ECHO",
        "COOKIE ACK",
        "ECN ECHO",
        "ECN CWR",
        "SHUTDOWN COMPLETE",
    ];
    if kind == 0xc0 { Some("FOR CUM TSN") } else { NAMES.get(usize::from(kind)).copied() }
}

/// The fixed part of data, of openings and of acknowledgments (RFC 9260, 3.3.1 to 3.3.4).
fn chunk(kind: u8, flags: u8, bytes: Bytes<'_>, out: &mut String) -> Option<()> {
    let (long, short) = (|at| bytes.be32(at), |at| bytes.be16(at));
    match kind {
        0 => {
            out.extend(
                [(4, "(U)"), (2, "(B)"), (1, "(E)")].iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name),
            );
            out.push_str(if flags & 7 == 0 { "" } else { " " });
            let _ =
                write!(out, "[TSN: {}] [SID: {}] [SSEQ {}] [PPID 0x{:x}] ", long(0)?, short(4)?, short(6)?, long(8)?);
        }
        1 | 2 => {
            let (tag, window, sent, received, first) = (long(0)?, long(4)?, short(8)?, short(10)?, long(12)?);
            let _ =
                write!(out, "[init tag: {tag}] [rwnd: {window}] [OS: {sent}] [MIS: {received}] [init TSN: {first}] ");
        }
        3 => {
            let (to, window, gaps, repeated) = (long(0)?, long(4)?, short(8)?, short(10)?);
            let _ = write!(out, "[cum ack {to}] [a_rwnd {window}] [#gap acks {gaps}] [#dup tsns {repeated}] ");
        }
        _ => {}
    }
    Some(())
}
