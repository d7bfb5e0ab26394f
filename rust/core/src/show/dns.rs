//! DNS messages in tcpdump's short form (RFC 1035, 4.1): id, flags, questions or answers, length.

use super::bytes::{Bytes, printable};
use crate::app::dns::type_name;
use std::fmt::Write;

/// How many records of one message are printed; those that are not are counted.
const MAX_RECORDS: u16 = 512;
/// How many compression pointers are followed in one name; each must lead backwards as well.
const MAX_POINTERS: usize = 64;
/// Octets of a name at most (RFC 1035, 3.1).
const MAX_NAME: usize = 255;
/// Length of a message without records.
const HEADER: usize = 12;
/// The pseudo-record of EDNS (RFC 6891, 6.1).
const OPT: u16 = 41;
/// Set in classes of mDNS, of which it is no part (RFC 6762, 5.4 and 10.2).
const MULTICAST_BIT: u16 = 0x8000;

/// tcpdump's words for operations.
const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];

/// tcpdump's words for response codes.
const ERRORS: [&str; 11] = [
    "",
    " FormErr",
    " ServFail",
    " NXDomain",
    " NotImp",
    " Refused",
    " YXDomain",
    " YXRRSet",
    " NXRRSet",
    " NotAuth",
    " NotZone",
];

/// Appends one message that is `length` bytes long on the wire; `None` where it ends early.
pub fn dns(message: Bytes<'_>, length: usize, multicast: bool, out: &mut String) -> Option<()> {
    let (id, flags) = (message.be16(0)?, message.be16(2)?);
    let (questions, answers) = (message.be16(4)?, message.be16(6)?);
    let (authorities, additional) = (message.be16(8)?, message.be16(10)?);
    let is = |bit: u16| flags & bit != 0;
    let operation = usize::from(flags >> 11 & 0x0f);
    let _ = write!(out, "{id}{}", OPERATIONS[operation]);
    let mut at = HEADER;
    if is(0x8000) {
        error_name(flags & 0x0f | extended_error(message).unwrap_or(0), out);
        out.push_str(if is(0x0400) { "*" } else { "" });
        out.push_str(if is(0x0080) { "" } else { "-" });
        out.push_str(if is(0x0200) { "|" } else { "" });
        out.push_str(if is(0x0020) { "$" } else { "" });
        if questions != 1 {
            let _ = write!(out, " [{questions}q]");
        }
        let _ = write!(out, " {answers}/{authorities}/{additional}");
        for _ in 0..questions {
            at = behind_name(message, at)? + 4;
        }
        for index in 0..answers.min(MAX_RECORDS) {
            out.push_str(if index == 0 { "" } else { "," });
            at = record(message, at, multicast, out)?;
        }
        more(answers, out);
    } else {
        out.push_str(if is(0x0100) { "+" } else { "" });
        out.push_str(if is(0x0010) { "%" } else { "" });
        // What only answers set.
        if is(0x06cf) {
            let _ = write!(out, " [b2&3=0x{flags:x}]");
        }
        // An inverse query has an answer, of which the question is sought (RFC 1035, 6.4.1).
        let (asked, given) = if operation == 1 { (0, 1) } else { (1, 0) };
        for (number, usual, what) in
            [(answers, given, "a"), (questions, asked, "q"), (authorities, 0, "n"), (additional, 0, "au")]
        {
            if number != usual {
                let _ = write!(out, " [{number}{what}]");
            }
        }
        for _ in 0..questions.min(MAX_RECORDS) {
            let end = behind_name(message, at)?;
            let (kind, class) = (message.be16(end)?, message.be16(end + 2)?);
            write_type(kind, out);
            write_class(if multicast { class & !MULTICAST_BIT } else { class }, out);
            out.push_str(match (multicast, class & MULTICAST_BIT != 0) {
                (false, _) => "? ",
                (true, false) => " (QM)? ",
                (true, true) => " (QU)? ",
            });
            name(message, at, out)?;
            at = end + 4;
        }
        more(questions, out);
    }
    let _ = write!(out, " ({length})");
    Some(())
}

/// How many of `count` were left out.
fn more(count: u16, out: &mut String) {
    if count > MAX_RECORDS {
        let _ = write!(out, " [{} more]", count - MAX_RECORDS);
    }
}

fn error_name(code: u16, out: &mut String) {
    let _ = match code {
        15 => write!(out, " NoChange"),
        16 => write!(out, " BadVers"),
        23 => write!(out, " BadCookie"),
        _ => match ERRORS.get(usize::from(code)) {
            Some(name) => write!(out, "{name}"),
            None => write!(out, " Resp{code}"),
        },
    };
}

/// The upper bits of the response code, which the additional section has (RFC 6891, 6.1.3).
fn extended_error(message: Bytes<'_>) -> Option<u16> {
    let mut at = HEADER;
    for _ in 0..message.be16(4)? {
        at = behind_name(message, at)? + 4;
    }
    let before = u32::from(message.be16(6)?) + u32::from(message.be16(8)?);
    for index in 0..before + u32::from(message.be16(10)?) {
        let end = behind_name(message, at)?;
        if index >= before && message.be16(end)? == OPT {
            return message.u8(end + 4).map(|upper| u16::from(upper) << 4);
        }
        at = end + 10 + usize::from(message.be16(end + 8)?);
    }
    None
}

/// Appends a resource record; gives where the next one starts.
fn record(message: Bytes<'_>, at: usize, multicast: bool, out: &mut String) -> Option<usize> {
    let at = behind_name(message, at)?;
    let (kind, class, length) = (message.be16(at)?, message.be16(at + 2)?, usize::from(message.be16(at + 8)?));
    let (data, end) = (at + 10, at + 10 + length);
    if kind != OPT {
        write_class(if multicast { class & !MULTICAST_BIT } else { class }, out);
    }
    out.push_str(if multicast && class & MULTICAST_BIT != 0 { " (Cache flush)" } else { "" });
    write_type(kind, out);
    let rest = message.0.get(data..end)?;
    let number = |at: usize| message.be16(data + at);
    let _ = match kind {
        // Records without data are those of updates (RFC 2136, 2.4).
        _ if rest.is_empty() => Ok(()),
        1 => write!(out, " {}", message.ipv4(data)?),
        28 => write!(out, " {}", message.ipv6(data)?),
        2 | 5 | 12 | 39 => {
            out.push(' ');
            name(message, data, out)?;
            Ok(())
        }
        15 => {
            out.push(' ');
            name(message, data + 2, out)?;
            write!(out, " {}", number(0)?)
        }
        16 => {
            let mut rest = rest;
            while let [length, text @ ..] = rest {
                let text = text.get(..usize::from(*length))?;
                out.push_str(" \"");
                printable(text, out);
                out.push('"');
                rest = &rest[1 + text.len()..];
            }
            Ok(())
        }
        33 => {
            out.push(' ');
            name(message, data + 6, out)?;
            write!(out, ":{} {} {}", number(4)?, number(0)?, number(2)?)
        }
        OPT => write!(
            out,
            " UDPsize={class}{}",
            if number(0).is_some() && message.be16(at + 6)? & 0x8000 != 0 { " DO" } else { "" }
        ),
        256 => {
            let _ = write!(out, " {} {} ", number(0)?, number(2)?);
            printable(rest.get(4..)?, out);
            Ok(())
        }
        _ => Ok(()),
    };
    Some(end)
}

/// A type, behind a space.
fn write_type(kind: u16, out: &mut String) {
    let _ = match type_name(kind) {
        Some(name) => write!(out, " {name}"),
        None => write!(out, " Type{kind}"),
    };
}

/// A class, behind a space, if it is not the Internet's.
fn write_class(class: u16, out: &mut String) {
    let _ = match class {
        1 => Ok(()),
        3 => write!(out, " CHAOS"),
        4 => write!(out, " HS"),
        255 => write!(out, " ANY"),
        other => write!(out, " (Class {other})"),
    };
}

/// Where a name ends.
fn behind_name(message: Bytes<'_>, mut at: usize) -> Option<usize> {
    loop {
        match message.u8(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Appends a name with its final dot.
fn name(message: Bytes<'_>, mut at: usize, out: &mut String) -> Option<()> {
    let (begin, mut pointers, mut octets) = (out.len(), 0, 1);
    loop {
        match message.u8(at)? {
            0 => break,
            length @ 1..=63 => {
                octets += 1 + usize::from(length);
                if octets > MAX_NAME {
                    return None;
                }
                printable(message.0.get(at + 1..at + 1 + usize::from(length))?, out);
                out.push('.');
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let target = usize::from(message.be16(at)? & 0x3fff);
                pointers += 1;
                if target >= at || pointers > MAX_POINTERS {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
    out.push_str(if out.len() == begin { "." } else { "" });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &[u8]) -> String {
        let mut out = String::new();
        let whole = dns(Bytes(message), message.len(), false, &mut out);
        out + if whole.is_none() { " [|domain]" } else { "" }
    }

    #[test]
    fn query_and_answer() {
        let mut message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01".to_vec();
        assert_eq!(text(&message), "4660+ A? a.bc. (22)");
        message[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
        message.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01");
        assert_eq!(text(&message), "4660 1/0/0 A 10.0.0.1 (38)");
    }

    /// Labels of 63 bytes 63 in an answer, whose name and alias are read from different places of them.
    #[test]
    fn a_name_longer_than_names_are_is_none() {
        let mut message = b"\x12\x34\x81\x80\x00\x00\x00\x01\x00\x00\x00\x00".to_vec();
        message.extend(b"\x00\x00\x05\x00\x01\x00\x00\x00\x3c\x10\x00");
        message.extend([63; 0x1000]);
        let line = text(&message);
        assert!(line.ends_with(" [|domain]") && line.len() < 300, "{line}");
    }

    #[test]
    fn pointers_that_turn_in_circles_end() {
        let message =
            b"\x12\x34\x81\x80\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x17";
        assert_eq!(text(message), "4660 [0q] 1/0/0 CNAME  [|domain]");
    }

    #[test]
    fn a_message_that_is_cut_anywhere() {
        let message =
            b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\0\0\x10\0\x01\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x03\x02hi";
        assert_eq!(text(message), "4660 1/0/0 TXT \"hi\" (34)");
        for end in 0..message.len() {
            let mut out = String::new();
            assert_eq!(dns(Bytes(&message[..end]), message.len(), false, &mut out), None, "{end}: {out}");
        }
    }
}
