//! PPP and PPP over Ethernet in a line (RFC 1661, RFC 2516), in tcpdump's words.

use super::bytes::{Bytes, printable};
use super::line::Place;
use crate::decode::Proto;
use std::fmt::Write;

/// Source: IANA, PPP DLL Protocol Numbers; tcpdump's short names.
const PROTOCOLS: [(u16, &str); 34] = [
    (0x0021, "IP"),
    (0x0023, "OSI"),
    (0x0025, "NS"),
    (0x0027, "DECNET"),
    (0x0029, "APPLE"),
    (0x002b, "IPX"),
    (0x002d, "VJC IP"),
    (0x002f, "VJNC IP"),
    (0x0031, "BRPDU"),
    (0x0033, "STII"),
    (0x0035, "VINES"),
    (0x003d, "MLPPP"),
    (0x0057, "IP6"),
    (0x00fd, "Compressed"),
    (0x0201, "HELLO"),
    (0x0281, "MPLS"),
    (0x0283, "MPLS"),
    (0x8021, "IPCP"),
    (0x8023, "OSICP"),
    (0x8027, "DECNETCP"),
    (0x8029, "APPLECP"),
    (0x802b, "IPXCP"),
    (0x8035, "VINESCP"),
    (0x8057, "IP6CP"),
    (0x80fd, "CCP"),
    (0x8281, "MPLSCP"),
    (0xc021, "LCP"),
    (0xc023, "PAP"),
    (0xc025, "LQM"),
    (0xc02b, "BACP"),
    (0xc02d, "BAP"),
    (0xc123, "SPAP-OLD"),
    (0xc223, "CHAP"),
    (0xc227, "EAP"),
];

/// A frame of PPP, alone or with address and control in front; what it carries is printed unless that is a layer.
pub fn ppp(proto: Proto, place: &Place<'_>, link: bool, out: &mut String) -> Option<()> {
    let framed = proto == Proto::PppHdlc && place.bytes.u8(0)? == 0xff;
    let bytes = place.bytes.from(if framed { 2 } else { 0 });
    // One byte where the first is odd (RFC 1661, 6.5).
    let (protocol, size) = match bytes.u8(0)? {
        odd if odd & 1 == 1 => (u16::from(odd), 1),
        _ => (bytes.be16(0)?, 2),
    };
    let name = PROTOCOLS.iter().find(|(number, _)| *number == protocol).map(|(_, name)| *name);
    if link {
        let _ = write!(out, "{} (0x{protocol:04x}), length {}: ", name.unwrap_or("unknown"), place.wire);
    }
    if !place.is_last() {
        return Some(());
    }
    let length = place.wire.saturating_sub(if framed { 2 + size } else { size });
    let bytes = bytes.from(size);
    let _ = match (protocol, name) {
        (0xc021 | 0x8021 | 0x8023 | 0x8057 | 0x80fd | 0x8281 | 0xc02b, Some(name)) => {
            let _ = write!(out, "{name}, ");
            let code = bytes.u8(0)?;
            let _ = write!(out, "{} (0x{code:02x}), id {}", control_name(code), bytes.u8(1)?);
            write!(out, ", length {}", length + 2)
        }
        (0xc023, _) => return password(bytes, out),
        (0xc223, _) => return challenge(bytes, out),
        (0x00fd, _) => write!(out, "compressed PPP data, length {length}"),
        (_, Some(name)) => write!(out, "{name}, length {length}"),
        (_, None) if link => Ok(()),
        (_, None) => write!(out, "unknown PPP protocol (0x{protocol:04x}), length {length}"),
    };
    Some(())
}

/// Codes of control protocols (RFC 1661, 5; RFC 1570; RFC 1962; RFC 2153).
fn control_name(code: u8) -> &'static str {
    const NAMES: [&str; 16] = [
        "Vendor-Extension",
        "Conf-Request",
        "Conf-Ack",
        "Conf-Nack",
        "Conf-Reject",
        "Term-Request",
        "Term-Ack",
        "Code-Reject",
        "Prot-Reject",
        "Echo-Request",
        "Echo-Reply",
        "Disc-Req",
        "Ident",
        "Time-Rem",
        "Reset-Req",
        "Reset-Ack",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("Unknown Opcode")
}

/// PAP (RFC 1334, 2).
fn password(bytes: Bytes<'_>, out: &mut String) -> Option<()> {
    const NAMES: [&str; 4] = ["unknown", "Auth-Req", "Auth-ACK", "Auth-NACK"];
    let at = opened("PAP", &NAMES, bytes, out)?;
    match bytes.u8(0)? {
        1 => {
            let at = counted(", Peer ", bytes, at, out)?;
            counted(", Name ", bytes, at, out)?;
        }
        2 | 3 => {
            counted(", Msg ", bytes, at, out)?;
        }
        _ => {}
    }
    Some(())
}

/// CHAP (RFC 1994, 4).
fn challenge(bytes: Bytes<'_>, out: &mut String) -> Option<()> {
    const NAMES: [&str; 5] = ["unknown", "Challenge", "Response", "Success", "Fail"];
    let at = opened("CHAP", &NAMES, bytes, out)?;
    let end = usize::from(bytes.be16(2)?);
    match bytes.u8(0)? {
        1 | 2 => {
            let value = bytes.0.get(at + 1..at + 1 + usize::from(bytes.u8(at)?))?;
            out.push_str(", Value ");
            value.iter().for_each(|byte| write!(out, "{byte:02x}").unwrap_or_default());
            out.push_str(", Name ");
            printable(bytes.0.get(at + 1 + value.len()..end)?, out);
        }
        3 | 4 => {
            out.push_str(", Msg ");
            printable(bytes.0.get(at..end)?, out);
        }
        _ => {}
    }
    Some(())
}

/// What PAP and CHAP begin with; where what follows begins.
fn opened(protocol: &str, names: &[&str], bytes: Bytes<'_>, out: &mut String) -> Option<usize> {
    let code = bytes.u8(0)?;
    let name = names.get(usize::from(code)).unwrap_or(&"unknown");
    let _ = write!(out, "{protocol}, {name} (0x{code:02x}), id {}", bytes.u8(1)?);
    Some(4)
}

/// A text behind its length; where what follows it begins.
fn counted(before: &str, bytes: Bytes<'_>, at: usize, out: &mut String) -> Option<usize> {
    let end = at + 1 + usize::from(bytes.u8(at)?);
    out.push_str(before);
    printable(bytes.0.get(at + 1..end)?, out);
    Some(end)
}

/// PPPoE's discovery (RFC 2516, 5): the code, the session and the tags.
pub fn discovery(place: &Place<'_>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    let _ = match bytes.u8(1)? {
        0x09 => write!(out, "PPPoE PADI"),
        0x07 => write!(out, "PPPoE PADO"),
        0x19 => write!(out, "PPPoE PADR"),
        0x65 => write!(out, "PPPoE PADS"),
        0xa7 => write!(out, "PPPoE PADT"),
        other => write!(out, "PPPoE PAD-{other:x}"),
    };
    let session = bytes.be16(2)?;
    if session != 0 {
        let _ = write!(out, " [ses 0x{session:x}]");
    }
    let end = 6 + usize::from(bytes.be16(4)?).min(place.wire.saturating_sub(6));
    let mut at = 6;
    while at + 4 <= end {
        let (kind, length) = (bytes.be16(at)?, usize::from(bytes.be16(at + 2)?));
        tag(kind, bytes.0.get(at + 4..at + 4 + length)?, out);
        at += 4 + length;
        if kind == 0 {
            break;
        }
    }
    Some(())
}

/// Source: IANA, PPPoE TAG Values.
fn tag(kind: u16, value: &[u8], out: &mut String) {
    let _ = match kind {
        0x0000 => write!(out, " [EOL"),
        0x0101 => write!(out, " [Service-Name"),
        0x0102 => write!(out, " [AC-Name"),
        0x0103 => write!(out, " [Host-Uniq"),
        0x0104 => write!(out, " [AC-Cookie"),
        0x0105 => write!(out, " [Vendor-Specific"),
        0x0110 => write!(out, " [Relay-Session-ID"),
        0x0120 => write!(out, " [PPP-Max-Payload"),
        0x0201 => write!(out, " [Service-Name-Error"),
        0x0202 => write!(out, " [AC-System-Error"),
        0x0203 => write!(out, " [Generic-Error"),
        other => write!(out, " [TAG-0x{other:x}"),
    };
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
    if value.iter().filter(|byte| is_text(byte)).count() * 2 > value.len() {
        out.push_str(" \"");
        out.extend(value.iter().take(79).map(|byte| if is_text(byte) { char::from(*byte) } else { '.' }));
        out.push('"');
    } else if !value.is_empty() {
        out.push_str(" 0x");
        value.iter().for_each(|byte| write!(out, "{byte:02X}").unwrap_or_default());
    }
    out.push(']');
}
