//! Addresses as text, by hand: tables have a million of them, and to go through the formatter takes five times as long.

use crate::track::uid::push_ascii;

/// Where text goes.
pub trait Text {
    /// Appends ASCII.
    fn push(&mut self, ascii: &[u8]);
}

impl Text for String {
    fn push(&mut self, ascii: &[u8]) {
        push_ascii(ascii, self);
    }
}

/// Nobody looks whether it is UTF-8, which takes as long as to write it.
impl Text for Vec<u8> {
    fn push(&mut self, ascii: &[u8]) {
        self.extend_from_slice(ascii);
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends a hardware address, `aa:bb:cc:dd:ee:ff`.
pub fn write_mac(mac: &[u8; 6], out: &mut impl Text) {
    let mut text = [b':'; 17];
    for (byte, digits) in mac.iter().zip(text.chunks_mut(3)) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    out.push(&text);
}

/// Appends an IP address of family 4, the first four bytes, or 6.
pub fn write_ip(family: u8, bytes: &[u8; 16], out: &mut impl Text) {
    let [a, b, c, d, ..] = *bytes;
    if family == 6 { write_ipv6(bytes, out) } else { write_ipv4([a, b, c, d], out) }
}

fn write_ipv4(bytes: [u8; 4], out: &mut impl Text) {
    let mut text = [b'.'; 16];
    let mut len = 0;
    for byte in bytes {
        let [hundreds, tens, ones] = [byte / 100, byte / 10 % 10, byte % 10].map(|digit| b'0' + digit);
        text[len] = hundreds;
        len += usize::from(byte >= 100);
        text[len] = tens;
        len += usize::from(byte >= 10);
        text[len] = ones;
        text[len + 1] = b'.';
        len += 2;
    }
    out.push(&text[..len - 1]);
}

/// RFC 5952: the first of the longest runs of two or more zeros is left out, and what is mapped from IPv4 (RFC 4291,
/// 2.5.5.2) ends with its dots.
fn write_ipv6(bytes: &[u8; 16], out: &mut impl Text) {
    if let Some([a, b, c, d]) = bytes.strip_prefix(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) {
        out.push(b"::ffff:");
        return write_ipv4([*a, *b, *c, *d], out);
    }
    let parts: [u16; 8] = std::array::from_fn(|at| u16::from_be_bytes([bytes[2 * at], bytes[2 * at + 1]]));
    let (zeros, count) = longest_zeros(&parts);
    // As long as the longest, 39, and a colon that is not wanted.
    let (mut text, mut len) = ([b':'; 40], 0);
    for (at, part) in parts.into_iter().enumerate() {
        if (zeros..zeros + count).contains(&at) {
            // One colon here, and one of the part before, or another at the beginning.
            if at == zeros {
                len += 1 + usize::from(at == 0);
            }
            continue;
        }
        for shift in [12, 8, 4, 0] {
            text[len] = DIGITS[usize::from(part >> shift & 15)];
            len += usize::from(part >> shift > 0 || shift == 0);
        }
        text[len] = b':';
        len += 1;
    }
    out.push(&text[..len - usize::from(zeros + count < 8 || count == 0)]);
}

/// Where the zeros begin that are left out, and how many they are.
fn longest_zeros(parts: &[u16; 8]) -> (usize, usize) {
    let (mut found, mut now) = ((0, 0), (0, 0));
    for (at, part) in parts.iter().enumerate() {
        now = match (*part, now.1) {
            (0, 0) => (at, 1),
            (0, count) => (now.0, count + 1),
            _ => (0, 0),
        };
        if now.1 > found.1 {
            found = now;
        }
    }
    if found.1 > 1 { found } else { (0, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn text(family: u8, bytes: [u8; 16]) -> String {
        let mut out = "x".to_owned();
        write_ip(family, &bytes, &mut out);
        out.split_off(1)
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        // Parts that are zero, short and long, at every place.
        const PARTS: [u16; 3] = [0, 0xa, 0xffff];
        for choice in 0..3usize.pow(8) {
            let parts: [u16; 8] = std::array::from_fn(|at| PARTS[choice / 3usize.pow(at as u32) % 3]);
            let address = Ipv6Addr::from(parts);
            assert_eq!(text(6, address.octets()), address.to_string());
        }
        for part in 0..=u16::MAX {
            let address = Ipv6Addr::from([0x2001, 0xdb8, part, 0, 0, 1, 0, part]);
            assert_eq!(text(6, address.octets()), address.to_string());
            let mapped = Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, part, 0x0102]);
            assert_eq!(text(6, mapped.octets()), mapped.to_string());
            let [high, low] = part.to_be_bytes();
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&[high, low, low, high]);
            assert_eq!(text(4, bytes), Ipv4Addr::new(high, low, low, high).to_string());
        }
        let mut mac = String::new();
        write_mac(&[0, 0x1b, 0x21, 0xff, 0x0a, 9], &mut mac);
        assert_eq!(mac, "00:1b:21:ff:0a:09");
    }
}
