//! Parameters of SVCB and HTTPS records as text (RFC 9460, 2.1 and appendix A).

use super::rdata::{SHORT, quoted};
use crate::decode::cursor::be16;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

/// Keys by number (RFC 9460, 14.3.2; RFC 9848, 3; RFC 9461, 5; RFC 9540, 4).
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

/// Appends the parameters in `data`, a space in front of each, in their order on the wire. A key without a name, and a
/// value that is not as its key has it, are `keyN="…"` with the value's bytes (RFC 9460, 2.1), so nothing is lost.
pub(super) fn parameters(mut data: &[u8], out: &mut String) -> Result<(), &'static str> {
    while data.len() >= 4 {
        let (key, len) = (be16(data, 0), usize::from(be16(data, 2)));
        let value = data.get(4..4 + len).ok_or(SHORT)?;
        data = &data[4 + len..];
        out.push(' ');
        let start = out.len();
        if named(key, value, out).is_none() {
            out.truncate(start);
            write!(out, "key{key}").unwrap_or_default();
            if !value.is_empty() {
                out.push('=');
                quoted(value, out);
            }
        }
    }
    if data.is_empty() { Ok(()) } else { Err(SHORT) }
}

/// A parameter whose key has a name; `None` if it has none, or the value is malformed: then `out` may have a part of it.
fn named(key: u16, value: &[u8], out: &mut String) -> Option<()> {
    out.push_str(KEYS.get(usize::from(key))?);
    if matches!(key, NO_DEFAULT_ALPN | OHTTP) {
        return value.is_empty().then_some(());
    }
    // None of the others may be empty.
    if value.is_empty() {
        return None;
    }
    out.push('=');
    match key {
        MANDATORY => mandatory(value, out)?,
        ALPN => {
            let list = alpn(value)?;
            // What may stand without quotes (RFC 9460, appendix A: non-special), as the usual ids do.
            match std::str::from_utf8(&list) {
                Ok(text) if list.iter().all(|byte| byte.is_ascii_graphic() && !b"\"();\\".contains(byte)) => {
                    out.push_str(text);
                }
                _ => quoted(&list, out),
            }
        }
        PORT => write!(out, "{}", u16::from_be_bytes(value.try_into().ok()?)).ok()?,
        IPV4HINT => addresses::<4, Ipv4Addr>(value, out)?,
        ECH => {
            out.push('"');
            base64(value, out);
            out.push('"');
        }
        IPV6HINT => addresses::<16, Ipv6Addr>(value, out)?,
        DOHPATH => {
            // RFC 9461, 5: a URI template in UTF-8.
            std::str::from_utf8(value).ok()?;
            quoted(value, out);
        }
        _ => return None,
    }
    Some(())
}

/// Keys that a client must know, which ascend and do not include this one (RFC 9460, 8).
fn mandatory(value: &[u8], out: &mut String) -> Option<()> {
    let (keys, []) = value.as_chunks::<2>() else { return None };
    let mut last = MANDATORY;
    for (i, key) in keys.iter().map(|key| u16::from_be_bytes(*key)).enumerate() {
        if key <= last {
            return None;
        }
        last = key;
        if i > 0 {
            out.push(',');
        }
        match KEYS.get(usize::from(key)) {
            Some(name) => out.push_str(name),
            None => write!(out, "key{key}").ok()?,
        }
    }
    Some(())
}

/// Protocol ids, each behind its length, which is not 0 (RFC 9460, 7.1.1), as a comma-separated list: commas and
/// backslashes inside an id are escaped (appendix A.1), before the list is escaped again as any character string.
fn alpn(mut value: &[u8]) -> Option<Vec<u8>> {
    let mut list = Vec::with_capacity(value.len());
    while let [len @ 1..=255, rest @ ..] = value {
        let (id, rest) = rest.split_at_checked(usize::from(*len))?;
        if !list.is_empty() {
            list.push(b',');
        }
        for byte in id {
            if matches!(byte, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(*byte);
        }
        value = rest;
    }
    value.is_empty().then_some(list)
}

/// Addresses of `N` bytes each (RFC 9460, 7.3).
fn addresses<const N: usize, A: From<[u8; N]> + std::fmt::Display>(value: &[u8], out: &mut String) -> Option<()> {
    let (each, []) = value.as_chunks::<N>() else { return None };
    for (i, octets) in each.iter().enumerate() {
        let lead = if i == 0 { "" } else { "," };
        write!(out, "{lead}{}", A::from(*octets)).ok()?;
    }
    Some(())
}

/// Base 64 with padding (RFC 4648, 4), which the configurations of ECH are written in (RFC 9848, 3).
fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let octet = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = octet(0) << 16 | octet(1) << 8 | octet(2);
        for digit in 0..4 {
            // n bytes are n + 1 digits.
            let sextet = (word >> (18 - 6 * digit) & 0x3f) as usize;
            out.push(if digit <= chunk.len() { char::from(DIGITS[sextet]) } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(data: &[u8]) -> Result<String, &'static str> {
        let mut out = String::new();
        parameters(data, &mut out).map(|()| out)
    }

    fn one(key: u16, value: &[u8]) -> String {
        text(&[&key.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value].concat()).unwrap()
    }

    #[test]
    fn plain_values_have_no_quotes() {
        assert_eq!(one(1, b"\x02h2\x08http/1.1\x05h3-29"), " alpn=h2,http/1.1,h3-29");
        assert_eq!(one(3, &[1, 0xbb]), " port=443");
        assert_eq!(one(4, &[192, 0, 2, 1, 192, 0, 2, 2]), " ipv4hint=192.0.2.1,192.0.2.2");
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(one(6, &[v6, v6].concat()), " ipv6hint=2001:db8::1,2001:db8::1");
    }

    #[test]
    fn keys_have_their_names() {
        assert_eq!(one(0, &[0, 1]), " mandatory=alpn");
        assert_eq!(one(0, &[0, 1, 0, 4, 2, 0x9b]), " mandatory=alpn,ipv4hint,key667");
        assert_eq!(one(2, b""), " no-default-alpn");
        assert_eq!(one(7, b"/dns-query{?dns}"), r#" dohpath="/dns-query{?dns}""#);
        assert_eq!(one(7, "/\u{e9}".as_bytes()), r#" dohpath="/\195\169""#);
        assert_eq!(one(8, b""), " ohttp");
    }

    /// RFC 9460, appendix D.2: figures 5, 6 and 10, save for quotes.
    #[test]
    fn the_vectors_of_the_standard() {
        assert_eq!(one(667, b"hello"), r#" key667="hello""#);
        assert_eq!(one(667, b"hello\xd2qoo"), r#" key667="hello\210qoo""#);
        assert_eq!(one(1, b"\x08f\\oo,bar\x02h2"), r#" alpn="f\\\\oo\\,bar,h2""#);
    }

    #[test]
    fn bytes_that_do_not_print_are_escaped() {
        assert_eq!(one(1, b"\x04\x1b[3m"), r#" alpn="\027[3m""#);
        assert_eq!(one(1, b"\x02\xff \x02a\"\x03a;b"), r#" alpn="\255 ,a\",a;b""#);
        assert_eq!(one(9, b"\x1b\"\\\x85"), r#" key9="\027\"\\\133""#);
        assert_eq!(one(65535, b""), " key65535");
    }

    #[test]
    fn ech_is_base_64() {
        for (bytes, digits) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\0?~", "AD9+")]
        {
            assert_eq!(one(5, bytes.as_bytes()), format!(r#" ech="{digits}""#));
        }
    }

    #[test]
    fn malformed_values_are_shown_by_number() {
        for key in [0, 1, 3, 4, 5, 6, 7] {
            assert_eq!(one(key, b""), format!(" key{key}"));
        }
        // A half key, mandatory itself, and keys that do not ascend.
        for value in [[0, 1, 0].as_slice(), &[0, 0], &[0, 4, 0, 1], &[0, 1, 0, 1]] {
            assert!(one(0, value).starts_with(" key0=\""));
        }
        assert_eq!(one(1, b"\x03h2"), r#" key1="\003h2""#);
        assert_eq!(one(1, b"\x02h2\0"), r#" key1="\002h2\000""#);
        assert_eq!(one(2, b"a"), r#" key2="a""#);
        assert_eq!(one(3, b"abc"), r#" key3="abc""#);
        assert_eq!(one(4, b"abcde"), r#" key4="abcde""#);
        assert_eq!(one(6, b"abcde"), r#" key6="abcde""#);
        assert_eq!(one(7, b"/\xff"), r#" key7="/\255""#);
        assert_eq!(one(8, b"a"), r#" key8="a""#);
    }

    #[test]
    fn every_prefix_is_read_as_far_as_it_goes() {
        let whole = b"\0\x01\0\x03\x02h2\0\x03\0\x02\x01\xbb";
        for end in 0..whole.len() {
            assert_eq!(text(&whole[..end]).is_ok(), matches!(end, 0 | 7), "{end}");
        }
        assert_eq!(text(whole).unwrap(), " alpn=h2 port=443");
    }

    proptest! {
        #[test]
        fn any_value_is_printable_and_little_longer(key in 0..12_u16, value in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = one(key, &value);
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert!(text.len() <= 20 + 10 * value.len());
        }
    }
}
