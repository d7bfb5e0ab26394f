//! Names of addresses in DNS answers (RFC 1035, 4.1; mDNS: RFC 6762).

use crate::decode::cursor::be16;
use crate::neighbor::Ip;
use std::fmt::Write as _;

/// Records looked at in one message.
const MAX_RECORDS: usize = 64;
/// Longest name, RFC 1035, 2.3.4.
const MAX_NAME: usize = 255;
/// Most labels that such a name can have; as many pointers are followed at most.
const MAX_LABELS: usize = 128;

/// The A and AAAA records of an answer: address and name.
#[must_use]
pub fn addresses(message: &[u8]) -> Vec<(Ip, String)> {
    let mut found = Vec::new();
    collect(message, &mut found);
    found
}

fn collect(message: &[u8], found: &mut Vec<(Ip, String)>) -> Option<()> {
    if message.len() < 12 || be16(message, 2) & 0x8000 == 0 {
        return None;
    }
    let count = |at| usize::from(be16(message, at));
    let mut at = 12;
    for _ in 0..count(4).min(MAX_RECORDS) {
        at = skip(message, at)? + 4;
    }
    // A CNAME chain ends in the addresses of another name: the name that was asked for comes first.
    let mut alias: Option<String> = None;
    for _ in 0..(count(6) + count(8) + count(10)).min(MAX_RECORDS) {
        let start = at;
        at = skip(message, at)?;
        let head = message.get(at..at + 10)?;
        let (kind, length) = (be16(head, 0), usize::from(be16(head, 8)));
        let data = message.get(at + 10..at + 10 + length)?;
        let ip = match (kind, data.len()) {
            (1, 4) => Some(Ip::v4([data[0], data[1], data[2], data[3]])),
            (28, 16) => data.first_chunk::<16>().copied().map(Ip::v6),
            (5, _) => {
                alias = alias.or_else(|| name(message, start));
                None
            }
            _ => None,
        };
        if let Some(ip) = ip
            && let Some(text) = alias.clone().or_else(|| name(message, start))
        {
            found.push((ip, text));
        }
        at += 10 + length;
    }
    Some(())
}

/// The end of the name at `at`.
fn skip(message: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..MAX_LABELS {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    None
}

/// The name at `at` as text, compression followed.
fn name(message: &[u8], mut at: usize) -> Option<String> {
    let mut out = String::new();
    for _ in 0..MAX_LABELS {
        let length = *message.get(at)?;
        if length & 0xc0 == 0xc0 {
            at = usize::from(be16(message.get(at..at + 2)?, 0) & 0x3fff);
            continue;
        }
        if length & 0xc0 != 0 {
            return None;
        }
        if length == 0 {
            return (!out.is_empty()).then_some(out);
        }
        let label = message.get(at + 1..at + 1 + usize::from(length))?;
        if !out.is_empty() {
            out.push('.');
        }
        escape(label, &mut out);
        if out.len() > 4 * MAX_NAME {
            return None;
        }
        at += 1 + usize::from(length);
    }
    None
}

/// Appends bytes, those that are no printable ASCII as `\DDD` (RFC 1035, 5.1).
fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'\\' {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "\\{byte:03}");
        }
    }
}

/// Bytes as text, the closing NUL that some clients send left out; `None` if nothing is left.
#[must_use]
pub fn printable(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let mut out = String::new();
    escape(bytes, &mut out);
    (!out.is_empty()).then_some(out)
}
