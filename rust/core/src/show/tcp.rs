//! TCP in a line (RFC 9293), in tcpdump's words.

use super::bytes::Bytes;
use super::line::Place;
use super::sequence::{Base, End, Sequences};
use super::transport::ports;
use crate::decode::Proto;
use std::fmt::Write;

const FIN: u16 = 0x01;
const SYN: u16 = 0x02;
const RST: u16 = 0x04;
const ACK: u16 = 0x10;
const URG: u16 = 0x20;

/// In the order in which they are printed.
const FLAGS: [(u16, char); 8] =
    [(FIN, 'F'), (SYN, 'S'), (RST, 'R'), (0x08, 'P'), (ACK, '.'), (URG, 'U'), (0x40, 'E'), (0x80, 'W')];

/// A segment; numbers count from those that `sequences` knows, or are whole without.
pub fn tcp(place: &Place<'_>, sequences: Option<&mut Sequences>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    ports(place, out)?;
    let (seq, ack, word) = (bytes.be32(4)?, bytes.be32(8)?, bytes.be16(12)?);
    let (flags, header) = (word & 0x01ff, usize::from(word >> 12) * 4);
    let length = place.wire.saturating_sub(header) as u32;
    if header < 20 {
        let _ = write!(out, " tcp {length} [bad hdr length {header} - too short, < 20]");
        return Some(());
    }
    let is = |flag: u16| flags & flag != 0;
    let base = match (place.ends, sequences) {
        (Some((src, dst)), Some(sequences)) if is(ACK) => {
            let ends: (End, End) = ((src, bytes.be16(0)?), (dst, bytes.be16(2)?));
            sequences.base(ends.0, ends.1, seq, ack, is(SYN))
        }
        _ => Base::default(),
    };
    out.push_str("Flags [");
    if flags & 0xff == 0 {
        out.push_str("none");
    }
    out.extend(FLAGS.iter().filter(|(flag, _)| is(*flag)).map(|(_, name)| name));
    out.push(']');
    if header > place.wire {
        let _ = write!(out, " [bad hdr length {header} - too long, > {}]", place.wire);
        return Some(());
    }
    let seq = seq.wrapping_sub(base.seq);
    if length > 0 {
        let _ = write!(out, ", seq {seq}:{}", seq.wrapping_add(length));
    } else if is(SYN) || is(FIN) || is(RST) {
        let _ = write!(out, ", seq {seq}");
    }
    if is(ACK) {
        let _ = write!(out, ", ack {}", ack.wrapping_sub(base.ack));
    }
    let _ = write!(out, ", win {}", bytes.be16(14)?);
    if is(URG) {
        let _ = write!(out, ", urg {}", bytes.be16(18)?);
    }
    if header > 20 {
        out.push_str(", options [");
        options(bytes.from(20), header - 20, base.ack, out)?;
        out.push(']');
    }
    let _ = write!(out, ", length {length}");
    let by_port = [bytes.be16(0), bytes.be16(2)].iter().any(|port| matches!(port, Some(80 | 8080 | 3128)));
    if length > 0 && (by_port || place.next == Some(Proto::Http)) {
        http(bytes.from(header).0, place.next == Some(Proto::Http), out);
    }
    Some(())
}

/// Options, `length` bytes on the wire (RFC 9293, 3.2; RFC 7323; RFC 2018); `base` is subtracted from selective
/// acknowledgments.
fn options(bytes: Bytes<'_>, length: usize, base: u32, out: &mut String) -> Option<()> {
    let mut at = 0;
    while at < length {
        out.push_str(if at == 0 { "" } else { "," });
        let kind = bytes.u8(at)?;
        let size = if kind < 2 { 1 } else { usize::from(bytes.u8(at + 1)?) };
        if kind > 1 && (size < 2 || at + size > length) {
            out.push_str("[bad opt]");
            break;
        }
        let _ = match option_name(kind) {
            Some(name) => write!(out, "{name}"),
            None => write!(out, "unknown-{kind}"),
        };
        if kind > 1 {
            option(kind, bytes, at..at + size, base, out)?;
        }
        if kind == 0 {
            break;
        }
        at += size;
    }
    Some(())
}

/// Source: IANA, TCP Option Kind Numbers; tcpdump's short names.
fn option_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "eol",
        1 => "nop",
        2 => "mss",
        3 => "wscale",
        4 => "sackOK",
        5 => "sack",
        6 => "echo",
        7 => "echoreply",
        8 => "TS",
        11 => "cc",
        12 => "ccnew",
        13 => "ccecho",
        19 => "md5",
        20 => "scps",
        28 => "uto",
        29 => "tcp-ao",
        30 => "mptcp",
        34 => "tfo",
        254 => "exp",
        _ => return None,
    })
}

/// The value of one option of two bytes or more.
fn option(kind: u8, bytes: Bytes<'_>, span: std::ops::Range<usize>, base: u32, out: &mut String) -> Option<()> {
    let (at, data) = (span.start + 2, span.len() - 2);
    let _ = match (kind, data) {
        (_, 0) if kind != 34 => Ok(()),
        (2, 2) => write!(out, " {}", bytes.be16(at)?),
        (3, 1) => write!(out, " {}", bytes.u8(at)?),
        (5, _) if data % 8 == 0 => {
            let _ = write!(out, " {} ", data / 8);
            for edge in (at..span.end).step_by(8) {
                let (from, to) = (bytes.be32(edge)?.wrapping_sub(base), bytes.be32(edge + 4)?.wrapping_sub(base));
                let _ = write!(out, "{{{from}:{to}}}");
            }
            Ok(())
        }
        (6 | 7 | 11..=13, 4) => write!(out, " {}", bytes.be32(at)?),
        (8, 8) => write!(out, " val {} ecr {}", bytes.be32(at)?, bytes.be32(at + 4)?),
        (20, 2) => write!(out, " cap {:02x} id {}", bytes.u8(at)?, bytes.u8(at + 1)?),
        // The lowest bit says minutes (RFC 5482, 2).
        (28, 2) => {
            let timeout = u32::from(bytes.be16(at)?);
            write!(out, " 0x{timeout:x} {}", (timeout >> 1) * if timeout & 1 == 0 { 1 } else { 60 })
        }
        (29, 2..) => {
            let _ = write!(out, " keyid {} rnextkeyid {}", bytes.u8(at)?, bytes.u8(at + 1)?);
            digits(bytes.0.get(at + 2..span.end)?, " mac 0x", out)
        }
        (34, 0) => write!(out, " cookiereq"),
        (34, _) => digits(bytes.0.get(at..span.end)?, " cookie ", out),
        // RFC 6994; 0xf989 is Fast Open before it had a number.
        (254, 2..) => match bytes.be16(at)? {
            0xf989 if data == 2 => write!(out, "-tfo cookiereq"),
            0xf989 => digits(bytes.0.get(at + 2..span.end)?, "-tfo cookie ", out),
            magic => write!(out, "-{magic:04x}"),
        },
        _ => digits(bytes.0.get(at..span.end)?, " 0x", out),
    };
    Some(())
}

/// Bytes in hexadecimal behind what introduces them; nothing of none.
fn digits(bytes: &[u8], before: &str, out: &mut String) -> std::fmt::Result {
    out.push_str(if bytes.is_empty() { "" } else { before });
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// HTTP, with the first line where a message begins.
fn http(payload: &[u8], begins: bool, out: &mut String) {
    if !begins {
        out.push_str(": HTTP");
        return;
    }
    let line = payload.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or(&[]);
    out.push_str(": HTTP: ");
    out.extend(line.iter().take(512).map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }));
}
