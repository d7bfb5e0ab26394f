//! ICMPv6 in a line (RFC 4443, RFC 4861, RFC 2710, RFC 3810), in tcpdump's words.

use super::bytes::Bytes;
use super::line::Place;
use super::transport::protocol_name;
use std::fmt::Write;

pub fn icmpv6(place: &Place<'_>, out: &mut String) -> Option<()> {
    let (bytes, kind) = (place.bytes, place.bytes.u8(0)?);
    let _ = match type_name(kind) {
        Some(name) => write!(out, "ICMP6, {name}"),
        None => write!(out, "ICMP6, unknown icmp6 type ({kind})"),
    };
    let code = bytes.u8(1)?;
    let number = |at| bytes.be16(at);
    let quoted = bytes.from(8);
    let _ = match (kind, code) {
        (1, _) => return unreachable(code, quoted, place.wire, out),
        (2, _) => write!(out, ", mtu {}", bytes.be32(4)?),
        (3, 0) => write!(out, " for {}", quoted.ipv6(24)?),
        (3, 1) => write!(out, " (reassembly)"),
        (3, _) => write!(out, ", unknown code ({code})"),
        (4, _) => {
            let octet = bytes.be32(4)?;
            match code {
                0 => write!(out, ", erroneous - octet {octet}"),
                1 => write!(out, ", next header - octet {octet}"),
                2 => write!(out, ", option - octet {octet}"),
                3 => write!(out, ", incomplete header chain - octet {octet}"),
                _ => write!(out, ", code-#{code}"),
            }
        }
        (128 | 129, _) => write!(out, ", id {}, seq {}", number(4)?, number(6)?),
        (130, _) if place.wire >= 28 => {
            let _ = write!(out, " v2 [gaddr {}", bytes.ipv6(8)?);
            match number(26)? {
                0 => write!(out, "]"),
                sources => write!(out, ", {sources} source(s)]"),
            }
        }
        (130..=132, _) => write!(out, " max resp delay: {} addr: {}", number(4)?, bytes.ipv6(8)?),
        (135, _) => write!(out, ", who has {}", bytes.ipv6(8)?),
        (136, _) => write!(out, ", tgt is {}", bytes.ipv6(8)?),
        (137, _) => write!(out, ", {} to {}", bytes.ipv6(24)?, bytes.ipv6(8)?),
        (138, _) => {
            let _ = match code {
                0 => write!(out, ", command"),
                1 => write!(out, ", result"),
                255 => write!(out, ", sequence number reset"),
                _ => write!(out, ", code-#{code}"),
            };
            write!(out, ", seq={}", bytes.be32(4)?)
        }
        (143, _) => write!(out, ", {} group record(s)", number(6)?),
        (144 | 146, _) => write!(out, ", id 0x{:04x}", number(4)?),
        _ => Ok(()),
    };
    let _ = write!(out, ", length {}", place.wire);
    Some(())
}

/// Source: IANA, ICMPv6 Parameters.
fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded in-transit",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        137 => "redirect",
        138 => "router renumbering",
        139 => "node information query",
        140 => "node information reply",
        141 => "inverse neighbor solicitation",
        142 => "inverse neighbor advertisement",
        143 => "multicast listener report v2",
        144 => "ha discovery request",
        145 => "ha discovery reply",
        146 => "mobile router solicitation",
        147 => "mobile router advertisement",
        155 => "RPL",
        _ => return None,
    })
}

/// RFC 4443, 3.1.
fn unreachable(code: u8, quoted: Bytes<'_>, length: usize, out: &mut String) -> Option<()> {
    let _ = match code {
        0 => write!(out, ", unreachable route"),
        1 => write!(out, ", unreachable prohibited"),
        2 => write!(out, ", beyond scope"),
        3 => write!(out, ", unreachable address"),
        4 => write!(out, ", unreachable port"),
        _ => write!(out, ", unknown unreach code ({code})"),
    };
    let _ = match code {
        2 => write!(out, " {}, source address {}", quoted.ipv6(24)?, quoted.ipv6(8)?),
        0..4 => write!(out, " {}", quoted.ipv6(24)?),
        4 => {
            let (number, at) = upper_layer(quoted)?;
            let (target, port) = (quoted.ipv6(24)?, quoted.be16(at + 2)?);
            match number {
                6 | 17 => write!(out, ", {target} {} port {port}", protocol_name(number)),
                _ => write!(out, ", {target} protocol {number} port {port} unreachable"),
            }
        }
        _ => Ok(()),
    };
    let _ = write!(out, ", length {length}");
    Some(())
}

/// The protocol behind the extension headers of a quoted packet, and where its header begins (RFC 8200, 4).
fn upper_layer(quoted: Bytes<'_>) -> Option<(u8, usize)> {
    let (mut number, mut at) = (quoted.u8(6)?, 40);
    loop {
        let length = match number {
            0 | 43 | 60 => (usize::from(quoted.u8(at + 1)?) + 1) * 8,
            44 if quoted.be16(at + 2)? & 0xfff8 == 0 => 8,
            51 => (usize::from(quoted.u8(at + 1)?) + 2) * 4,
            _ => return Some((number, at)),
        };
        number = quoted.u8(at)?;
        at += length;
    }
}
