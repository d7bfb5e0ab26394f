//! DNS messages in tcpdump's short form (RFC 1035, 4.1): id, flags, questions or answers, length.

use super::bytes::Bytes;
use std::fmt::Write;

/// How many records of one message are printed.
const MAX_RECORDS: u16 = 64;
/// How many compression pointers are followed in one name; each must lead backwards as well.
const MAX_POINTERS: usize = 16;

/// Appends one message that is `length` bytes long on the wire.
pub fn dns(message: Bytes<'_>, length: usize, multicast: bool, out: &mut String) {
    let (Some(id), Some(flags)) = (message.be16(0), message.be16(2)) else {
        let _ = write!(out, "UDP, length {length}");
        return;
    };
    let count = |at| message.be16(at).unwrap_or(0);
    let (questions, answers, authorities, additional) = (count(4), count(6), count(8), count(10));
    let is = |bit: u16| flags & bit != 0;
    let _ = write!(out, "{id}");
    let mut at = 12;
    if is(0x8000) {
        const ERRORS: [&str; 6] = ["", " FormErr", " ServFail", " NXDomain", " NotImp", " Refused"];
        out.push_str(ERRORS.get(usize::from(flags & 0x0f)).copied().unwrap_or(" Error"));
        out.push_str(if is(0x0400) { "*" } else { "" });
        out.push_str(if is(0x0080) { "" } else { "-" });
        out.push_str(if is(0x0200) { "|" } else { "" });
        out.push_str(if is(0x0020) { "$" } else { "" });
        if questions != 1 {
            let _ = write!(out, " [{questions}q]");
        }
        let _ = write!(out, " {answers}/{authorities}/{additional}");
        for _ in 0..questions.min(MAX_RECORDS) {
            let Some(end) = name(message, at).map(|(_, end)| end) else { break };
            at = end + 4;
        }
        for index in 0..answers.min(MAX_RECORDS) {
            let mut text = String::new();
            let Some(end) = record(message, at, multicast, &mut text) else { break };
            let _ = write!(out, "{} {text}", if index == 0 { "" } else { "," });
            at = end;
        }
    } else {
        out.push_str(if is(0x0100) { "+" } else { "" });
        out.push_str(if is(0x0010) { "%" } else { "" });
        for (number, usual, what) in
            [(answers, 0, "a"), (questions, 1, "q"), (authorities, 0, "n"), (additional, 0, "au")]
        {
            if number != usual {
                let _ = write!(out, " [{number}{what}]");
            }
        }
        for _ in 0..questions.min(MAX_RECORDS) {
            let Some((name, end)) = name(message, at) else { break };
            let (Some(kind), Some(class)) = (message.be16(end), message.be16(end + 2)) else { break };
            let asked = match (multicast, class & 0x8000 != 0) {
                (false, _) => "",
                (true, false) => " (QM)",
                (true, true) => " (QU)",
            };
            let _ = write!(out, " {}{asked}? {name}", type_name(kind));
            at = end + 4;
        }
    }
    let _ = write!(out, " ({length})");
}

/// Appends a resource record; gives where the next one starts.
fn record(message: Bytes<'_>, at: usize, multicast: bool, out: &mut String) -> Option<usize> {
    let (_, at) = name(message, at)?;
    let (kind, class, length) = (message.be16(at)?, message.be16(at + 2)?, usize::from(message.be16(at + 8)?));
    let data = at + 10;
    if multicast && class & 0x8000 != 0 {
        out.push_str("(Cache flush) ");
    }
    out.push_str(&type_name(kind));
    let _ = match kind {
        1 => write!(out, " {}", message.ipv4(data)?),
        28 => write!(out, " {}", message.ipv6(data)?),
        2 | 5 | 12 => write!(out, " {}", name(message, data)?.0),
        15 => write!(out, " {} {}", name(message, data + 2)?.0, message.be16(data)?),
        33 => write!(
            out,
            " {}:{} {} {}",
            name(message, data + 6)?.0,
            message.be16(data + 4)?,
            message.be16(data)?,
            message.be16(data + 2)?
        ),
        _ => Ok(()),
    };
    Some(data + length)
}

/// A name with its final dot, and where it ends.
fn name(message: Bytes<'_>, start: usize) -> Option<(String, usize)> {
    let (mut at, mut end, mut text, mut pointers) = (start, None, String::new(), 0);
    loop {
        match message.u8(at)? {
            0 => break,
            length @ 1..=63 => {
                let label = message.0.get(at + 1..at + 1 + usize::from(length))?;
                text.extend(label.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }));
                text.push('.');
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let target = usize::from(message.be16(at)? & 0x3fff);
                end = end.or(Some(at + 2));
                pointers += 1;
                if target >= at || pointers > MAX_POINTERS {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    Some((text, end.unwrap_or(at + 1)))
}

fn type_name(kind: u16) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        other => return format!("Type{other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &[u8]) -> String {
        let mut out = String::new();
        dns(Bytes(message), message.len(), false, &mut out);
        out
    }

    #[test]
    fn query_and_answer() {
        let mut message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01".to_vec();
        assert_eq!(text(&message), "4660+ A? a.bc. (22)");
        message[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
        message.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01");
        assert_eq!(text(&message), "4660 1/0/0 A 10.0.0.1 (38)");
    }

    #[test]
    fn pointers_that_turn_in_circles_end() {
        let message =
            b"\x12\x34\x81\x80\x00\x00\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x00";
        assert_eq!(text(message), "4660 [0q] 1/0/0 (24)");
    }
}
