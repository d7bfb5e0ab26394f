//! The fields of a head: lines, names and values (RFC 9112, 5).

use super::head::{Head, Length, lower, short};
use compact_str::CompactString;

/// Without white space at either end.
#[inline]
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\r'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A head, line by line.
pub(super) struct Lines<'a> {
    /// What has not been handed out.
    pub(super) rest: &'a [u8],
    /// The line handed out last was the empty one that ends a head.
    pub(super) at_empty: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at_empty: false }
    }

    /// Hands out the field lines up to the empty one, until `each` has seen enough.
    pub(super) fn fields(&mut self, mut each: impl FnMut(&[u8]) -> bool) {
        // A line that begins with white space right behind the start line is none (RFC 9112, 2.2).
        while self.goes_on() {
            self.next();
        }
        let mut folded = Vec::new();
        while let Some(line) = self.next().filter(|line| !is_empty(line)) {
            // A line that begins with white space goes on with the one before (obs-fold, RFC 9112, 5.2).
            let mut whole = line;
            if self.goes_on() {
                folded.clear();
                folded.extend_from_slice(trim(line));
                while self.goes_on() {
                    let Some(more) = self.next() else { break };
                    folded.push(b' ');
                    folded.extend_from_slice(trim(more));
                }
                whole = &folded;
            }
            if !each(whole) {
                return;
            }
        }
    }

    fn goes_on(&self) -> bool {
        matches!(self.rest.first(), Some(b' ' | b'\t'))
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.at_empty = end.is_some() && is_empty(line);
        self.rest = rest;
        Some(line)
    }
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, [] | [b'\r'])
}

/// Name and value of a field line.
pub(super) fn named(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((trim(&line[..colon]), trim(&line[colon + 1..])))
}

/// The value of a field line if it has that name.
#[inline]
fn value<'a, const N: usize>(line: &'a [u8], name: &[u8; N]) -> Option<&'a [u8]> {
    let (own, behind) = line.split_first_chunk::<N>()?;
    let value = match behind {
        [b':', value @ ..] => value,
        [b' ' | b'\t' | b'\r', ..] => trim(behind).strip_prefix(b":")?,
        _ => return None,
    };
    // As most write it, which is one comparison of numbers, or else letter by letter.
    (own == name || own.eq_ignore_ascii_case(name)).then(|| trim(value))
}

/// Keeps the first value of a field in `slot`, if the line is of that name: whether it is.
#[inline]
fn first<const N: usize>(slot: &mut Option<CompactString>, line: &[u8], name: &[u8; N]) -> bool {
    let value = value(line, name);
    if let Some(value) = value
        && slot.is_none()
    {
        *slot = Some(short(value));
    }
    value.is_some()
}

/// Keeps what a field line says, if it is one of those that matter. Its first letter tells most of the others apart.
pub(super) fn field(head: &mut Head, line: &[u8]) {
    let line = match line {
        [b' ' | b'\t' | b'\r', ..] => trim(line),
        _ => line,
    };
    match line.first().map_or(0, u8::to_ascii_lowercase) {
        b'h' => {
            let is_host = first(&mut head.host, line, b"Host");
            head.http2_settings |= !is_host && value(line, b"HTTP2-Settings").is_some();
        }
        b'u' => {
            if let Some(value) = value(line, b"Upgrade") {
                head.upgrade = Some(lower(value));
            } else {
                first(&mut head.user_agent, line, b"User-Agent");
            }
        }
        b'r' => {
            first(&mut head.referrer, line, b"Referer");
        }
        b'c' => {
            if let Some(value) = value(line, b"Content-Length") {
                length(&mut head.length, value);
            } else if let Some(value) = value(line, b"Content-Encoding") {
                list(&mut head.content_encoding, value);
            } else if !first(&mut head.content_type, line, b"Content-Type")
                && !first(&mut head.disposition, line, b"Content-Disposition")
                && head.is_part()
            {
                head.whole_range |= value(line, b"Content-Range").is_some_and(is_whole);
            }
        }
        b't' => {
            if let Some(value) = value(line, b"Transfer-Encoding") {
                list(&mut head.transfer_encoding, value);
            }
        }
        _ => {}
    }
}

/// Adds what a Content-Length field says.
pub(in crate::app) fn length(length: &mut Length, value: &[u8]) {
    for part in value.split(|byte| *byte == b',') {
        *length = match (number(trim(part)), *length) {
            (None, _) | (_, Length::Bad) => Length::Bad,
            (Some(value), Length::Absent) => Length::Bytes(value),
            (Some(value), Length::Bytes(before) | Length::Several(before)) if value != before => {
                Length::Several(before)
            }
            (Some(_), same) => same,
        };
    }
}

/// Whether a Content-Range is that of all bytes there are: `bytes 0-99/100` (RFC 9110, 14.4).
pub(in crate::app) fn is_whole(value: &[u8]) -> bool {
    let Some((unit, range)) = value.split_at_checked(8) else { return false };
    let mut parts = range.splitn(2, |byte| *byte == b'/').map(number);
    let [last, all] = [parts.next(), parts.next()].map(Option::flatten);
    let is_all = last.and_then(|last| last.checked_add(1)).is_some_and(|len| Some(len) == all);
    unit.eq_ignore_ascii_case(b"bytes 0-") && is_all // units: RFC 9110, 14.1
}

/// Several fields of one name are one list (RFC 9110, 5.3).
pub(in crate::app) fn list(slot: &mut Option<CompactString>, value: &[u8]) {
    let value = lower(value);
    match slot {
        Some(before) => {
            before.push_str(", ");
            before.push_str(&value);
        }
        None => *slot = Some(value),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}
