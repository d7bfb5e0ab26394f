//! Record data as text, the way zone files write it (RFC 1035, 5.1 and the RFC of each type).

use super::message::name;
use crate::decode::cursor::{be16, be32};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

const SHORT: &str = "record data cut short";

/// The data of a record of type `rtype` at `at`, `len` bytes that are inside the message.
pub fn text(bytes: &[u8], at: usize, len: usize, rtype: u16) -> Result<String, &'static str> {
    let data = &bytes[at..at + len];
    let mut out = String::new();
    let fixed = |n: usize| data.get(..n).ok_or(SHORT);
    // Names within the data may be compressed with the whole message.
    let name_at = |offset: usize| {
        let mut pos = at + offset;
        name(&bytes[..at + len], &mut pos).map(|name| (name, pos - at))
    };
    let number = |value: u64, out: &mut String| write!(out, "{value} ").unwrap_or_default();
    match rtype {
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
            write!(out, "{} {} ", head[0], String::from_utf8_lossy(tag)).unwrap_or_default();
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
        _ => {
            // RFC 3597, 5: unknown types.
            write!(out, "\\# {len} ").unwrap_or_default();
            hex(data, &mut out);
        }
    }
    Ok(out)
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        write!(out, "{byte:02x}").unwrap_or_default();
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

fn quoted(text: &[u8], out: &mut String) {
    out.push('"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => write!(out, "\\{byte:03}").unwrap_or_default(),
        }
    }
    out.push('"');
}

/// Parameters of SVCB and HTTPS records (RFC 9460, 2.1): the ones with names, others as `keyN`.
fn parameters(mut data: &[u8], out: &mut String) -> Result<(), &'static str> {
    while data.len() >= 4 {
        let (key, len) = (be16(data, 0), usize::from(be16(data, 2)));
        let value = data.get(4..4 + len).ok_or(SHORT)?;
        data = &data[4 + len..];
        match key {
            1 => {
                out.push_str(" alpn=");
                let mut rest = value;
                let mut first = true;
                while let [len, more @ ..] = rest {
                    let id = more.get(..usize::from(*len)).ok_or(SHORT)?;
                    if !std::mem::take(&mut first) {
                        out.push(',');
                    }
                    out.push_str(&String::from_utf8_lossy(id));
                    rest = &more[id.len()..];
                }
            }
            3 if len == 2 => write!(out, " port={}", be16(value, 0)).unwrap_or_default(),
            4 if len % 4 == 0 => {
                for (i, octets) in value.chunks_exact(4).enumerate() {
                    let lead = if i == 0 { " ipv4hint=" } else { "," };
                    write!(out, "{lead}{}.{}.{}.{}", octets[0], octets[1], octets[2], octets[3]).unwrap_or_default();
                }
            }
            6 if len % 16 == 0 => {
                for (i, octets) in value.chunks_exact(16).enumerate() {
                    let lead = if i == 0 { " ipv6hint=" } else { "," };
                    let octets: [u8; 16] = octets.try_into().unwrap_or_default();
                    write!(out, "{lead}{}", Ipv6Addr::from(octets)).unwrap_or_default();
                }
            }
            _ => {
                write!(out, " key{key}=").unwrap_or_default();
                hex(value, out);
            }
        }
    }
    if data.is_empty() { Ok(()) } else { Err(SHORT) }
}
