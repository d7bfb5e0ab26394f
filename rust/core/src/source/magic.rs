//! Which kind of file it is, by its first bytes; the suffix never counts.

use super::compress::Compression;
use super::record::Order;
use std::fmt::Write as _;

/// Enough first bytes to tell every kind apart, and a whole pcap file header.
pub(super) const HEAD_LEN: usize = 24;

/// How a pcap file writes its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PcapFlavour {
    pub order: Order,
    /// Nanoseconds of one unit of the second timestamp field.
    pub nanos: i64,
    /// Length of a record header: 16, or 24 as a patched libpcap of 1999 wrote it (interface index, protocol and packet
    /// type behind the lengths).
    pub record_header: usize,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap(PcapFlavour),
    Pcapng,
    Compressed(Compression),
    Unknown,
}

/// Recognises captures and compressed files.
pub(super) fn identify(head: &[u8]) -> Kind {
    let Some(&magic) = head.first_chunk::<4>() else {
        return Kind::Unknown;
    };
    let pcap = |order, nanos, record_header| Kind::Pcap(PcapFlavour { order, nanos, record_header });
    match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => pcap(Order::Little, 1_000, 16),
        [0xa1, 0xb2, 0xc3, 0xd4] => pcap(Order::Big, 1_000, 16),
        [0x4d, 0x3c, 0xb2, 0xa1] => pcap(Order::Little, 1, 16),
        [0xa1, 0xb2, 0x3c, 0x4d] => pcap(Order::Big, 1, 16),
        [0x34, 0xcd, 0xb2, 0xa1] => pcap(Order::Little, 1_000, 24),
        [0xa1, 0xb2, 0xcd, 0x34] => pcap(Order::Big, 1_000, 24),
        [0x0a, 0x0d, 0x0d, 0x0a] => Kind::Pcapng,
        [0x1f, 0x8b, ..] => Kind::Compressed(Compression::Gzip),
        // A frame, or a skippable frame, which some tools put first.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Kind::Compressed(Compression::Zstd),
        _ => Kind::Unknown,
    }
}

/// Files that people hand over by mistake, and captures in formats that are not read.
const KNOWN: &[(&[u8], &str)] = &[
    (b"snoop\0\0\0", "a Solaris snoop capture: convert it with editcap"),
    (b"GMBU", "a Microsoft Network Monitor capture: convert it with editcap"),
    (b"RTSS", "a Microsoft Network Monitor capture: convert it with editcap"),
    (b"TRSNIFF data", "a Sniffer capture: convert it with editcap"),
    (b"XCP\0", "a NetXray capture: convert it with editcap"),
    (b"BZh", "bzip2-compressed: only gzip and zstd are read"),
    (b"\xfd7zXZ\0", "xz-compressed: only gzip and zstd are read"),
    (b"\x04\x22\x4d\x18", "lz4-compressed: only gzip and zstd are read"),
    (b"\x1f\x9d", "compressed with compress(1): only gzip and zstd are read"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "a Parquet table, not frames: `sniffkit sql` reads it, as do pandas and DuckDB"),
    (b"ARROW1", "an Arrow table, not frames: pandas and DuckDB read it"),
    (b"\x7fELF", "an ELF program"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "an SQLite database"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
];

/// What a file that is no capture seems to be, in one line.
pub(super) fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "empty file".to_owned();
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("not a pcap or pcapng capture: {what}");
    }
    if head.iter().all(|&byte| byte == 0) {
        return "not a capture: it starts with zero bytes".to_owned();
    }
    let shown = &head[..head.len().min(16)];
    if shown.iter().all(|&byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
        return format!("not a capture: text, starting {:?}", String::from_utf8_lossy(shown));
    }
    let mut hex = String::new();
    for byte in shown.iter().take(4) {
        let _ = write!(hex, " {byte:02x}");
    }
    format!("not a capture: it starts with{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pcap_magic_is_known() {
        for (magic, nanos, record_header) in
            [(0xa1b2_c3d4_u32, 1_000, 16), (0xa1b2_3c4d, 1, 16), (0xa1b2_cd34, 1_000, 24)]
        {
            for (order, bytes) in [(Order::Little, magic.to_le_bytes()), (Order::Big, magic.to_be_bytes())] {
                assert_eq!(identify(&bytes), Kind::Pcap(PcapFlavour { order, nanos, record_header }));
            }
        }
    }

    #[test]
    fn compressed_files_are_known_by_content() {
        assert_eq!(identify(&[0x1f, 0x8b, 8, 0]), Kind::Compressed(Compression::Gzip));
        assert_eq!(identify(&[0x28, 0xb5, 0x2f, 0xfd]), Kind::Compressed(Compression::Zstd));
        assert_eq!(identify(&[0x5e, 0x2a, 0x4d, 0x18]), Kind::Compressed(Compression::Zstd));
        assert_eq!(identify(&[0x1f, 0x8b, 8]), Kind::Unknown);
    }

    #[test]
    fn says_what_a_wrong_file_is() {
        assert_eq!(describe(b""), "empty file");
        assert_eq!(describe(b"\x89PNG\r\n\x1a\n"), "not a pcap or pcapng capture: a PNG image");
        assert_eq!(describe(b"12:00:01 IP 10.0.0.1 > "), "not a capture: text, starting \"12:00:01 IP 10.0\"");
        assert_eq!(describe(&[0; 24]), "not a capture: it starts with zero bytes");
        assert_eq!(describe(&[0xde, 0xad, 0xbe, 0xef, 1]), "not a capture: it starts with de ad be ef");
        assert_eq!(describe(&[0xde]), "not a capture: it starts with de");
    }
}
