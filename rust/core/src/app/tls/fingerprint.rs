//! Fingerprints of ClientHellos: JA3 and JA4.
//!
//! Sources: <https://github.com/salesforce/ja3> (the definition of JA3),
//! <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md> (JA4, the one under a BSD licence).

use super::hello::{ClientHello, Numbers};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::fmt::Write as _;

/// Values that clients send to keep servers tolerant (RFC 8701, 2).
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn kept(values: &[u16]) -> impl Iterator<Item = u16> {
    values.iter().copied().filter(|value| !is_grease(*value))
}

fn joined<T: std::fmt::Display>(values: impl Iterator<Item = T>, out: &mut String) {
    for (i, value) in values.enumerate() {
        write!(out, "{}{value}", if i > 0 { "-" } else { "" }).unwrap_or_default();
    }
}

/// The text that JA3 is the MD5 of.
#[must_use]
pub fn ja3_text(hello: &ClientHello) -> String {
    let mut out = format!("{},", hello.version);
    joined(kept(&hello.ciphers), &mut out);
    out.push(',');
    joined(kept(&hello.extensions), &mut out);
    out.push(',');
    joined(kept(&hello.groups), &mut out);
    out.push(',');
    joined(hello.point_formats.iter(), &mut out);
    out
}

/// JA3: 32 hexadecimal digits.
#[must_use]
pub fn ja3(hello: &ClientHello) -> String {
    let mut out = String::with_capacity(32);
    Md5::digest(ja3_text(hello).as_bytes()).iter().for_each(|byte| push_hex(&mut out, *byte));
    out
}

/// Adds two hexadecimal digits; this runs for every byte of every hello's fingerprints, where `write!` is slow.
fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Adds the first 12 hexadecimal digits of a list's SHA-256; zeros for an empty one.
fn push_short_hash(out: &mut String, list: &str) {
    if list.is_empty() {
        out.push_str("000000000000");
        return;
    }
    Sha256::digest(list.as_bytes()).iter().take(6).for_each(|byte| push_hex(out, *byte));
}

/// Adds a list of numbers, four hexadecimal digits each, with commas.
fn push_hex_list(out: &mut String, values: &[u16]) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        value.to_be_bytes().iter().for_each(|byte| push_hex(out, *byte));
    }
}

/// The first and last character of the first application protocol.
fn alpn_ends(hello: &ClientHello) -> [char; 2] {
    let Some((first, last)) = hello.alpn.first().and_then(|id| Some((*id.first()?, *id.last()?))) else {
        return ['0', '0'];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)]
}

/// Length of a JA4, bytes.
const JA4_LEN: usize = 36;

/// JA4; `quic` if the hello came in QUIC.
#[must_use]
pub fn ja4(hello: &ClientHello, quic: bool) -> String {
    let version = kept(&hello.versions).max().unwrap_or(hello.version);
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let mut ciphers: Numbers = kept(&hello.ciphers).collect();
    let mut extensions: Numbers = kept(&hello.extensions).collect();
    let mut out = String::with_capacity(JA4_LEN);
    out.push(if quic { 'q' } else { 't' });
    out.push_str(version);
    out.push(if hello.extensions.contains(&0) { 'd' } else { 'i' });
    for count in [ciphers.len().min(99), extensions.len().min(99)] {
        out.extend([count / 10, count % 10].map(|digit| char::from(b'0' + digit as u8)));
    }
    out.extend(alpn_ends(hello));
    out.push('_');
    ciphers.sort_unstable();
    let mut list = String::with_capacity(5 * ciphers.len().max(extensions.len() + hello.signatures.len()));
    push_hex_list(&mut list, &ciphers);
    push_short_hash(&mut out, &list);
    // Server name and application protocol are in the first part already.
    extensions.retain(|kind| !matches!(kind, 0 | 16));
    extensions.sort_unstable();
    list.clear();
    push_hex_list(&mut list, &extensions);
    let signatures: Numbers = kept(&hello.signatures).collect();
    if !list.is_empty() && !signatures.is_empty() {
        list.push('_');
        push_hex_list(&mut list, &signatures);
    }
    out.push('_');
    push_short_hash(&mut out, &list);
    out
}
