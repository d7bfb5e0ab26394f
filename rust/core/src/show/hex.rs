//! Dumps of bytes in tcpdump's layout.

use std::fmt::Write;

/// `-x`: offset and hexadecimal pairs, 16 bytes a line, each line after a newline and a tab.
pub fn hex(bytes: &[u8], out: &mut String) {
    for (index, row) in bytes.chunks(16).enumerate() {
        let _ = write!(out, "\n\t0x{:04x}: ", index * 16);
        pairs(row, out);
    }
}

/// `-X`: the same with the printable characters beside.
pub fn hex_and_ascii(bytes: &[u8], out: &mut String) {
    let mut row_text = String::new();
    for (index, row) in bytes.chunks(16).enumerate() {
        row_text.clear();
        pairs(row, &mut row_text);
        let _ = write!(out, "\n\t0x{:04x}: {row_text:<40}  ", index * 16);
        out.extend(row.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }));
    }
}

/// `-A`: the characters, on new lines; a carriage return before a newline is left out.
pub fn ascii(bytes: &[u8], out: &mut String) {
    out.push('\n');
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'\r' if after.first() == Some(&b'\n') => {}
            b'\t' | b' ' | b'\n' => out.push(char::from(*byte)),
            graphic if graphic.is_ascii_graphic() => out.push(char::from(*graphic)),
            _ => out.push('.'),
        }
    }
}

fn pairs(row: &[u8], out: &mut String) {
    for pair in row.chunks(2) {
        out.push(' ');
        for byte in pair {
            let _ = write!(out, "{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_tcpdump() {
        let mut out = String::new();
        hex_and_ascii(b"E..<.F@.@......cXYZ", &mut out);
        assert_eq!(
            out,
            "\n\t0x0000:  452e 2e3c 2e46 402e 402e 2e2e 2e2e 2e63  E..<.F@.@......c\
             \n\t0x0010:  5859 5a                                  XYZ"
        );
        out.clear();
        ascii(b"a\r\nb\x01 c", &mut out);
        assert_eq!(out, "\na\nb. c");
    }
}
