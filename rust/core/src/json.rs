//! Strings of JSON.

use std::fmt::Write;

/// Appends a string with its quotation marks (RFC 8259, 7).
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    if may_need_escape(text) {
        text.chars().for_each(|c| character(c, out));
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// Whether there may be a quotation mark, a backslash or a control character: 0xc2 begins those from U+0080 on.
pub(crate) fn may_need_escape(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f | 0xc2))
}

fn character(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        c => backslashed(c, "\\u00", out),
    }
}

/// A character; those that would end a value or a line, and the backslash, with a backslash before their letter; other control
/// characters, all below U+00A0, as two digits behind `number`.
pub(crate) fn backslashed(c: char, number: &str, out: &mut String) {
    match c {
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\\' => out.push_str("\\\\"),
        c if c.is_control() => {
            let _ = write!(out, "{number}{:02x}", c as u32); // writing to a String cannot fail
        }
        _ => out.push(c),
    }
}
