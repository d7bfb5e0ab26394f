//! ICMP in a line (RFC 792), in tcpdump's words.

use super::bytes::Bytes;
use super::line::Place;
use super::transport::protocol_name;
use std::fmt::Write;
use std::net::Ipv4Addr;

/// Nothing but the mark where a part of the text was not captured, as in tcpdump.
pub fn icmp(place: &Place<'_>, out: &mut String) -> Option<()> {
    let text = text(place.bytes)?;
    let _ = write!(out, "ICMP {text}, length {}", place.wire);
    Some(())
}

fn text(bytes: Bytes<'_>) -> Option<String> {
    let (kind, code) = (bytes.u8(0)?, bytes.u8(1)?);
    let number = |at| bytes.be16(at);
    let name = match kind {
        8 => format!("echo request, id {}, seq {}", number(4)?, number(6)?),
        0 => format!("echo reply, id {}, seq {}", number(4)?, number(6)?),
        3 => return unreachable(code, number(6)?, bytes.from(8)),
        4 => "source quench".to_owned(),
        5 => {
            let (target, gateway) = (quoted_target(bytes.from(8))?, bytes.ipv4(4)?);
            match code {
                0 => format!("redirect {target} to net {gateway}"),
                1 => format!("redirect {target} to host {gateway}"),
                2 => format!("redirect-tos {target} to net {gateway}"),
                3 => format!("redirect-tos {target} to host {gateway}"),
                _ => format!("redirect-#{code} {target} to {gateway}"),
            }
        }
        9 => return advertisement(bytes),
        10 => "router solicitation".to_owned(),
        11 => {
            quoted_target(bytes.from(8))?;
            match code {
                0 => "time exceeded in-transit".to_owned(),
                1 => "ip reassembly time exceeded".to_owned(),
                _ => format!("time exceeded-#{code}"),
            }
        }
        12 if code == 0 => format!("parameter problem - octet {}", bytes.u8(4)?),
        12 => format!("parameter problem - code {code}"),
        13 => format!("time stamp query id {} seq {}", number(4)?, number(6)?),
        14 => {
            let [sent, received, answered] = [clock(bytes.be32(8)?), clock(bytes.be32(12)?), clock(bytes.be32(16)?)];
            let (id, seq) = (number(4)?, number(6)?);
            format!("time stamp reply id {id} seq {seq}: org {sent}, recv {received}, xmit {answered}")
        }
        15 => "information request".to_owned(),
        16 => "information reply".to_owned(),
        17 => "address mask request".to_owned(),
        18 => format!("address mask is 0x{:08x}", bytes.be32(8)?),
        _ => format!("type-#{kind}"),
    };
    Some(name)
}

/// Where the quoted packet was to go.
fn quoted_target(quoted: Bytes<'_>) -> Option<Ipv4Addr> {
    quoted.ipv4(16)
}

/// Codes of RFC 792, RFC 1122 (3.2.2.1) and RFC 1812 (5.2.7.1); `mtu` is that of RFC 1191, or 0.
fn unreachable(code: u8, mtu: u16, quoted: Bytes<'_>) -> Option<String> {
    let target = quoted_target(quoted)?;
    let (subject, reason) = match code {
        0 => return Some(format!("net {target} unreachable")),
        1 => return Some(format!("host {target} unreachable")),
        2 => return Some(format!("{target} protocol {} unreachable", quoted.u8(9)?)),
        3 => {
            let port = quoted.be16(usize::from(quoted.u8(0)? & 0x0f) * 4 + 2)?;
            return Some(match quoted.u8(9)? {
                number @ (6 | 17) => format!("{target} {} port {port} unreachable", protocol_name(number)),
                number => format!("{target} protocol {number} port {port} unreachable"),
            });
        }
        4 if mtu != 0 => return Some(format!("{target} unreachable - need to frag (mtu {mtu})")),
        4 => ("", "need to frag"),
        5 => ("", "source route failed"),
        6 => ("net ", "unknown"),
        7 => ("host ", "unknown"),
        8 => ("", "source host isolated"),
        9 => ("net ", "admin prohibited"),
        10 => ("host ", "admin prohibited"),
        11 => ("net ", "tos prohibited"),
        12 => ("host ", "tos prohibited"),
        13 => ("host ", "admin prohibited filter"),
        14 => ("host ", "host precedence violation"),
        15 => ("host ", "precedence cutoff"),
        _ => return Some(format!("{target} unreachable - #{code}")),
    };
    Some(format!("{subject}{target} unreachable - {reason}"))
}

/// RFC 1256.
fn advertisement(bytes: Bytes<'_>) -> Option<String> {
    let (count, size, seconds) = (bytes.u8(4)?, bytes.u8(5)?, bytes.be16(6)?);
    let lifetime = match seconds {
        0..60 => format!("{seconds}"),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60),
    };
    let mut text = format!("router advertisement lifetime {lifetime} {count}:");
    if size != 2 {
        let _ = write!(text, " [size {size}]");
        return Some(text);
    }
    for at in (8..).step_by(8).take(usize::from(count)) {
        let _ = write!(text, " {{{} {}}}", bytes.ipv4(at)?, bytes.be32(at + 4)?);
    }
    Some(text)
}

/// Milliseconds since midnight UTC (RFC 792).
fn clock(time: u32) -> String {
    let seconds = time / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, time % 1000)
}
