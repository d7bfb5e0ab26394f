//! Record data as text, the way zone files write it (RFC 1035, 5.1 and the RFC of each type).

use super::message::{name, octet};
use super::svcb::parameters;
use crate::decode::cursor::{be16, be32};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const SHORT: &str = "record data cut short";

/// Class of the Internet (RFC 1035, 3.2.4).
pub(super) const IN: u16 = 1;
/// Classes of records without data in updates (RFC 2136, 2.4 and 2.5).
const NONE: u16 = 254;
const ANY: u16 = 255;

/// The data of a record of type `rtype` and class `class`, without mDNS's bit, at `at`, `len` bytes that are inside the
/// message.
///
/// Types that are the Internet's alone are unknown ones in other classes (RFC 3597, 5). No data in the classes ANY and
/// NONE, which updates name records by (RFC 2136, 2.4 and 2.5), is an empty text whatever the type.
pub fn text(bytes: &[u8], at: usize, len: usize, rtype: u16, class: u16) -> Result<String, &'static str> {
    let data = &bytes[at..at + len];
    let mut out = String::new();
    if data.is_empty() && matches!(class, NONE | ANY) {
        return Ok(out);
    }
    let fixed = |n: usize| data.get(..n).ok_or(SHORT);
    // As they are in `query`, so that tables join on them. They may be compressed with the whole message.
    let name_at = |offset: usize| {
        let mut pos = at + offset;
        name(&bytes[..at + len], &mut pos).map(|name| (name, pos - at))
    };
    let number = |value: u64, out: &mut String| write!(out, "{value} ").unwrap_or_default();
    match rtype {
        // RFC 1035, 3.4.1; RFC 3596, 2.1; RFC 2782; RFC 9460, 2: in other classes they have another form or none.
        1 | 28 | 33 | 64 | 65 if class != IN => unknown(data, &mut out),
        1 => {
            let octets: [u8; 4] = data.try_into().map_err(|_| "A record not of 4 bytes")?;
            write!(out, "{}", Ipv4Addr::from(octets)).unwrap_or_default();
        }
        28 => {
            let octets: [u8; 16] = data.try_into().map_err(|_| "AAAA record not of 16 bytes")?;
            write!(out, "{}", Ipv6Addr::from(octets)).unwrap_or_default();
        }
        2 | 5 | 12 | 39 => out = name_at(0)?.0,
        15 | 18 => {
            number(u64::from(be16(fixed(2)?, 0)), &mut out);
            out.push_str(&name_at(2)?.0);
        }
        16 | 99 => strings(data, &mut out)?,
        13 => strings(data, &mut out)?,
        6 => {
            let (primary, next) = name_at(0)?;
            let (mailbox, next) = name_at(next)?;
            let rest = data.get(next..next + 20).ok_or(SHORT)?;
            write!(out, "{primary} {mailbox}").unwrap_or_default();
            for i in 0..5 {
                write!(out, " {}", be32(rest, i * 4)).unwrap_or_default();
            }
        }
        33 => {
            let head = fixed(6)?;
            for i in 0..3 {
                number(u64::from(be16(head, i * 2)), &mut out);
            }
            out.push_str(&name_at(6)?.0);
        }
        35 => {
            let head = fixed(4)?;
            number(u64::from(be16(head, 0)), &mut out);
            number(u64::from(be16(head, 2)), &mut out);
            let mut next = 4;
            for _ in 0..3 {
                let len = usize::from(*data.get(next).ok_or(SHORT)?);
                quoted(data.get(next + 1..next + 1 + len).ok_or(SHORT)?, &mut out);
                out.push(' ');
                next += 1 + len;
            }
            out.push_str(&name_at(next)?.0);
        }
        257 => {
            let head = fixed(2)?;
            let tag = data.get(2..2 + usize::from(head[1])).ok_or(SHORT)?;
            number(u64::from(head[0]), &mut out);
            // Letters and digits (RFC 8659, 4.1); what else is there may not end the word.
            for byte in tag {
                match byte {
                    b' ' => out.push_str("\\032"),
                    b'(' | b')' | b';' => out.extend(['\\', char::from(*byte)]),
                    _ => escaped(*byte, &mut out),
                }
            }
            out.push(' ');
            quoted(&data[2 + tag.len()..], &mut out);
        }
        43 | 59 => {
            let head = fixed(4)?;
            write!(out, "{} {} {} ", be16(head, 0), head[2], head[3]).unwrap_or_default();
            hex(&data[4..], &mut out);
        }
        64 | 65 => {
            number(u64::from(be16(fixed(2)?, 0)), &mut out);
            let (target, next) = name_at(2)?;
            out.push_str(&target);
            parameters(&data[next..], &mut out)?;
        }
        _ => unknown(data, &mut out),
    }
    Ok(out)
}

/// Data of an unknown type (RFC 3597, 5).
fn unknown(data: &[u8], out: &mut String) {
    write!(out, "\\# {}", data.len()).unwrap_or_default();
    if !data.is_empty() {
        out.push(' ');
        hex(data, out);
    }
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
    }
}

/// Character strings, each quoted (RFC 1035, 3.3.14).
fn strings(mut data: &[u8], out: &mut String) -> Result<(), &'static str> {
    while let [len, rest @ ..] = data {
        let text = rest.get(..usize::from(*len)).ok_or(SHORT)?;
        if !out.is_empty() {
            out.push(' ');
        }
        quoted(text, out);
        data = &rest[text.len()..];
    }
    Ok(())
}

/// A character string in quotes: printable ASCII, other bytes as `\DDD` (RFC 1035, 5.1).
pub(super) fn quoted(text: &[u8], out: &mut String) {
    out.push('"');
    text.iter().for_each(|byte| escaped(*byte, out));
    out.push('"');
}

fn escaped(byte: u8, out: &mut String) {
    match byte {
        b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
        0x20..=0x7e => out.push(char::from(byte)),
        _ => out.extend(octet(byte).map(char::from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CH: u16 = 3;

    fn of(rtype: u16, class: u16, data: &[u8]) -> Result<String, &'static str> {
        text(data, 0, data.len(), rtype, class)
    }

    #[test]
    fn no_data_of_updates() {
        for rtype in [1, 2, 6, 16, 28, 33, 65, 255, 999] {
            for class in [NONE, ANY] {
                assert_eq!(of(rtype, class, b"").as_deref(), Ok(""), "{rtype} {class}");
            }
        }
        assert_eq!(of(1, IN, b""), Err("A record not of 4 bytes"));
        assert_eq!(of(1, CH, b"").as_deref(), Ok("\\# 0"));
    }

    #[test]
    fn types_of_the_internet_in_other_classes() {
        assert_eq!(of(1, CH, b"\x06ch-net\0\x124\0").as_deref(), Ok(r"\# 11 0663682d6e657400123400"));
        assert_eq!(of(1, CH, &[192, 0, 2, 1]).as_deref(), Ok(r"\# 4 c0000201"));
        for rtype in [28, 33, 64, 65] {
            assert_eq!(of(rtype, 4, b"\x01").as_deref(), Ok(r"\# 1 01"));
        }
        // Those of every class (RFC 1035, 3.3).
        assert_eq!(of(16, CH, b"\x02ab").as_deref(), Ok(r#""ab""#));
        assert_eq!(of(5, CH, b"\x02ab\0").as_deref(), Ok("ab"));
    }

    #[test]
    fn unknown_data_has_no_space_behind_it() {
        assert_eq!(of(65280, IN, b"").as_deref(), Ok(r"\# 0"));
        assert_eq!(of(65280, IN, b"a").as_deref(), Ok(r"\# 1 61"));
    }

    #[test]
    fn a_tag_that_does_not_print() {
        assert_eq!(of(257, IN, b"\0\x05\x1b[31mxy").as_deref(), Ok(r#"0 \027[31m "xy""#));
        assert_eq!(of(257, IN, b"\x80\x06\xff \"\\;(\xc3\xa9").as_deref(), Ok(r#"128 \255\032\"\\\;\( "\195\169""#));
    }

    #[test]
    fn a_service_as_a_zone_file_has_it() {
        let data = b"\0\x01\0\0\0\0\x02\0\x01\0\x01\0\x06\x05a,b\\c\0\x02\0\0\0\x05\0\x02\x01\x02\x02\x9b\0\x05hello";
        let expected = r#"1 . mandatory=alpn alpn="a\\,b\\\\c" no-default-alpn ech="AQI=" key667="hello""#;
        assert_eq!(of(65, IN, data).as_deref(), Ok(expected));
        for end in 0..data.len() {
            let _ = of(65, IN, &data[..end]);
        }
    }

    proptest! {
        #[test]
        fn any_data_is_read_without_panic(
            rtype in prop_oneof![0..66_u16, Just(99), Just(257), any::<u16>()],
            class in prop_oneof![Just(IN), Just(CH), Just(NONE), Just(ANY), any::<u16>()],
            data in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..120),
        ) {
            for end in 0..=data.len() {
                if let Ok(text) = of(rtype, class, &data[..end]) {
                    prop_assert!(!text.contains(char::is_control));
                }
            }
        }
    }
}
