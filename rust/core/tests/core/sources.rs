//! Every shape of capture that is read, and every way in which one is damaged: files of the fuzz targets' kept corpora,
//! which `scripts/capture_seeds.py` makes.

use proptest::prelude::*;
use sniffkit_core::frame::{Direction, FrameBatch, FrameMeta, Interfaces};
use sniffkit_core::source::{CaptureFiles, Input, ReadOptions, Source, SourceError, Warning};
use std::io::Read;
use std::path::PathBuf;

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;
const FRAME_LEN: u32 = 47;
/// What every buffer has in front, for the start of a record that was read before.
const ROOM: usize = 64 << 10;

/// What one input gave.
#[derive(Debug, Default, PartialEq)]
struct Found {
    frames: Vec<(FrameMeta, Vec<u8>)>,
    interfaces: Interfaces,
    warnings: Vec<Warning>,
    error: Option<String>,
    largest_buffer: usize,
}

impl Found {
    fn times(&self) -> Vec<i64> {
        self.frames.iter().map(|(meta, _)| meta.ts).collect()
    }

    fn lengths(&self) -> Vec<(u32, u32)> {
        self.frames.iter().map(|(meta, _)| (meta.frame_len, meta.cap_len)).collect()
    }

    fn complaint(&self) -> &str {
        self.error.as_deref().or(self.warnings.first().map(|warning| warning.what.as_str())).unwrap_or("")
    }
}

/// Gives a few bytes at a time, then perhaps an error.
struct Slowly(Vec<u8>, usize, Option<std::io::ErrorKind>);

impl Read for Slowly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.min(buffer.len()).min(self.0.len());
        if len == 0
            && let Some(kind) = self.2
        {
            return Err(kind.into());
        }
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0.drain(..len);
        Ok(len)
    }
}

fn read_inputs(inputs: Vec<Input>, chunk: usize) -> Found {
    let mut found = Found::default();
    let options = ReadOptions { chunk, ..ReadOptions::default() };
    let mut files = match CaptureFiles::with_options(inputs, options) {
        Ok(files) => files,
        Err(error) => return Found { error: Some(error.to_string()), ..found },
    };
    let mut batch = FrameBatch::default();
    loop {
        match files.next_batch(&mut batch) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                found.error = Some(error.to_string());
                break;
            }
        }
        found.largest_buffer = found.largest_buffer.max(batch.data.len());
        found.interfaces = batch.interfaces.clone();
        for meta in &batch.frames {
            assert!((meta.interface as usize) < batch.interfaces.len());
            // Where a frame stands in the buffer says nothing about the capture.
            found.frames.push((FrameMeta { offset: 0, ..*meta }, batch.bytes(meta).to_vec()));
        }
    }
    found.warnings = files.take_warnings();
    found
}

fn read(data: &[u8], chunk: usize) -> Found {
    read_inputs(vec![Input::Reader("x".to_owned(), Box::new(Slowly(data.to_vec(), chunk, None)))], chunk)
}

fn folder(target: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(target)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder("").join(name)).expect("scripts/capture_seeds.py made it")
}

fn seed(name: &str) -> Found {
    let path = folder("").join(name);
    read_inputs(vec![Input::from(path)], ReadOptions::default().chunk)
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for name in ["pcap/micros-le", "pcap/micros-be", "pcap/patched-le", "pcap/old-lengths"] {
        let found = seed(name);
        assert_eq!(found.times(), [START + 123_456_000, START + SECOND + 123_456_000], "{name}");
        assert_eq!(found.lengths(), [(FRAME_LEN, FRAME_LEN), (FRAME_LEN, 20)], "{name}");
        assert_eq!(found.complaint(), "", "{name}");
        assert!(found.frames[0].1.ends_with(b"hello"), "{name}");
    }
    for name in ["pcap/nanos-le", "pcap/nanos-be"] {
        assert_eq!(seed(name).times(), [START + 123_456_789, START + SECOND + 123_456_789], "{name}");
    }
}

#[test]
fn bytes_that_were_never_on_the_wire_do_not_count() {
    let found = seed("pcap/pseudo-header");
    assert_eq!(found.lengths(), [(FRAME_LEN - 1, FRAME_LEN - 1), (FRAME_LEN - 1, 19)]);
    assert_eq!(found.frames[0].1, bytes("pcap/micros-le")[41..40 + FRAME_LEN as usize]);
}

#[test]
fn compressed_is_the_same() {
    for target in ["pcap", "pcapng"] {
        let data = bytes(&format!("{target}/gzip"));
        let plain = read(&data, 1 << 16);
        assert!(!plain.frames.is_empty(), "{target}");
        assert_eq!(plain.complaint(), "");
    }
    let data = bytes("pcapng/sections-le");
    let zstd = zstd::encode_all(data.as_slice(), 3).expect("compressed");
    assert_eq!(read(&zstd, 1 << 16).frames, read(&data, 1 << 16).frames);
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::bufread::GzEncoder::new(data, flate2::Compression::default()).read_to_end(&mut packed).expect("compressed");
    packed
}

/// As gzip(1): members one behind the other, zeros behind the last; anything else is told, and no damage of what is before.
#[test]
fn what_stands_behind_a_gzip_member() {
    let data = bytes("pcap/micros-le");
    let members: Vec<u8> = data.chunks(50).flat_map(gzip).collect();
    let whole = read(&data, 1 << 16).frames;
    for (behind, complaint) in [
        (&[0; 512][..], ""),
        (b"\0", ""),
        (b"", ""),
        (b"more", "damaged gzip data: something else follows its end"),
        (b"\0\0\x1f\x8b", "damaged gzip data: something else follows its end"),
        (b"\x1f\x8b", "the gzip data end too early"),
    ] {
        for chunk in [1, 100, 1 << 16] {
            let found = read(&[&members, behind].concat(), chunk);
            assert_eq!(found.frames, whole, "{behind:?}");
            assert_eq!(found.complaint(), complaint, "{behind:?}");
        }
    }
}

/// Its options before the first packet, in a section of one interface with one frame at second 5.
fn with_options(options: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = (12 + body.len() as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &len].concat()
    };
    let section = block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0], [0xff; 8].as_slice()].concat());
    let interface = block(1, &[&[1, 0, 0, 0, 0, 0, 0, 0], options].concat());
    let packet = [0, 0, 5_000_000, 4, 4, 0].map(u32::to_le_bytes).concat();
    [section, interface.clone(), interface, block(6, &packet)].concat()
}

#[test]
fn an_option_of_a_wrong_length_costs_no_packet_and_is_told_once() {
    for option in [b"\x09\0\x02\0\x06\x06\0\0".as_slice(), b"\x09\0\0\0", b"\x0e\0\x04\0\x06\0\0\0"] {
        let what = format!("interface block: option {} of {} bytes is passed over", option[0], option[2]);
        for chunk in [1, 1 << 16] {
            let data = with_options(option);
            let found = read(&data, chunk);
            assert_eq!((found.times(), found.warnings.len()), (vec![5 * SECOND], 1));
            assert_eq!((found.complaint(), found.warnings[0].offset), (what.as_str(), Some(28)));
            // Damage behind it is told instead: a file has one warning.
            let cut = read(&data[..data.len() - 1], chunk);
            assert_eq!((cut.frames.len(), cut.warnings.len()), (0, 1));
            assert!(cut.complaint().starts_with("cut short"), "{}", cut.complaint());
        }
    }
    assert_eq!(read(&with_options(b""), 1 << 16).complaint(), "");
}

#[test]
fn pcapng_sections_interfaces_and_every_packet_block() {
    for name in ["pcapng/sections-le", "pcapng/sections-be"] {
        let found = seed(name);
        assert_eq!(found.complaint(), "", "{name}");
        // if_tsresol 9; 2^-10 with if_tsoffset; none in a simple packet block; microseconds without an option.
        assert_eq!(found.times(), [START + 5, START + SECOND / 2, START + SECOND / 2, START], "{name}");
        let missing: Vec<bool> = found.frames.iter().map(|(meta, _)| meta.ts_missing).collect();
        assert_eq!(missing, [false, false, true, false], "{name}");
        let whole = (FRAME_LEN, FRAME_LEN);
        assert_eq!(found.lengths(), [whole, (FRAME_LEN - 14, FRAME_LEN - 14), (FRAME_LEN, 20), whole], "{name}");
        let interfaces: Vec<u32> = found.frames.iter().map(|(meta, _)| meta.interface).collect();
        assert_eq!(interfaces, [0, 1, 2, 2], "a second section counts its own interfaces, {name}");
        assert_eq!(found.frames[0].0.direction, Direction::In, "{name}");
        let first = &found.interfaces[0];
        assert_eq!((first.netns.as_deref(), first.name.as_deref()), (Some("ns1"), Some("veth1")));
        assert_eq!(found.interfaces.iter().map(|i| i.link_type.0).collect::<Vec<_>>(), [1, 101, 1]);
    }
}

#[test]
fn sections_of_both_byte_orders_in_one_file() {
    let found = seed("pcapng/both-orders");
    assert_eq!(found.frames.len(), 8);
    let numbers: Vec<u64> = found.frames.iter().map(|(meta, _)| meta.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(found.interfaces.len(), 3, "the same interfaces again");
    assert_eq!(found.times()[..4], found.times()[4..]);
}

#[test]
fn damage_is_named_with_its_place() {
    for (name, frames, offset, what) in [
        ("pcap/cut", 1, 24 + 16 + 47, "cut short: 36 bytes needed for the next packet record, 33 left"),
        ("pcap/long", 0, 24, "a packet of 4294967295 bytes, more than the possible 262144"),
        ("pcapng/huge-block", 0, 48, "a packet of 0 bytes"),
        ("pcapng/no-interface", 0, 28, "a packet before any interface block"),
        ("pcapng/cut", 0, 48, "cut short: 80 bytes needed for the next block, 73 left"),
    ] {
        let found = seed(name);
        assert_eq!(found.frames.len(), frames, "{name}");
        assert_eq!(found.warnings.len(), 1, "{name}: {found:?}");
        assert_eq!(found.warnings[0].offset, Some(offset), "{name}");
        assert!(found.warnings[0].input.ends_with(name));
        assert!(name == "pcapng/huge-block" || found.warnings[0].what == what, "{name}: {}", found.warnings[0].what);
        assert!(found.largest_buffer <= 1 << 20, "{name}: a length field was believed");
    }
}

#[test]
fn no_capture_at_all_is_an_error() {
    for (data, what) in [
        (&b""[..], "x: empty file"),
        (b"12:00 IP 10.0.0.1 > 10.0.0.2", "x: not a capture: text, starting \"12:00 IP 10.0.0.\""),
        (
            b"PAR1\x15\x04",
            "x: not a pcap or pcapng capture: a Parquet table, not frames: `sniffkit sql` reads it, as do pandas and DuckDB",
        ),
        (b"\xd4\xc3\xb2\xa1\x02\0", "x: truncated in the pcap file header: 24 bytes needed, 6 there"),
        (
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0",
            "x: not a readable pcapng file: cut short: 12 bytes needed for the next block, 8 left",
        ),
        (b"\x1f\x8b\x08\0", "x: the gzip data end too early"),
    ] {
        let found = read(data, 64);
        assert_eq!(found.error.as_deref(), Some(what));
        assert_eq!(found.warnings, []);
    }
}

#[test]
fn a_read_error_underway_keeps_the_frames_before() {
    let mut data = bytes("pcap/micros-le");
    data.truncate(24 + 16 + 47 + 10);
    let input = |data: &[u8]| Slowly(data.to_vec(), 50, Some(std::io::ErrorKind::PermissionDenied));
    let found = read_inputs(vec![Input::Reader("x".to_owned(), Box::new(input(&data)))], 50);
    assert_eq!((found.frames.len(), found.error), (1, None));
    assert_eq!(found.warnings[0].to_string(), "x: at byte 97: cannot be read on: permission denied");
    // Without anything before it there is nothing to keep.
    let found = read_inputs(vec![Input::Reader("x".to_owned(), Box::new(input(&[])))], 50);
    assert_eq!(found.error.as_deref(), Some("x: permission denied"));
}

#[test]
fn a_damaged_file_does_not_stop_the_next() {
    let files = ["pcap/cut", "pcap/micros-le", "pcapng/cut", "pcapng/sections-be"];
    let inputs = files.iter().map(|name| Input::from(folder("").join(name))).collect();
    let found = read_inputs(inputs, 4096);
    assert_eq!(found.frames.len(), 1 + 2 + 4);
    assert_eq!(found.warnings.len(), 2);
    let missing = CaptureFiles::open([Input::from(folder("pcap/cut")), Input::from("nosuch.pcap")]);
    let Err(SourceError::Io { input, .. }) = missing else { panic!("opened before anything is read") };
    assert_eq!(input, "nosuch.pcap");
}

/// Cut anywhere, and read in pieces of any size: the frames before the cut, one complaint, never a panic.
#[test]
fn every_prefix_of_every_seed() {
    let mut seeds = 0;
    for target in ["pcap", "pcapng"] {
        for entry in std::fs::read_dir(folder(target)).expect("the kept corpus is there") {
            let data = std::fs::read(entry.expect("readable").path()).expect("readable");
            let whole = read(&data, 1 << 16);
            for len in 0..data.len() {
                let found = read(&data[..len], 1 << 16);
                assert_eq!(found.frames[..], whole.frames[..found.frames.len()]);
                assert!(found.warnings.len() + usize::from(found.error.is_some()) <= 1);
            }
            for chunk in [1, 7, 64] {
                let found = read(&data, chunk);
                assert_eq!(
                    (found.frames, found.warnings, found.error),
                    (whole_of(&whole), whole.warnings.clone(), whole.error.clone())
                );
            }
            seeds += 1;
        }
    }
    assert!(seeds >= 19, "scripts/capture_seeds.py makes them");
}

fn whole_of(found: &Found) -> Vec<(FrameMeta, Vec<u8>)> {
    found.frames.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Random bytes behind each magic: an answer, and no more memory than the bytes that came.
    #[test]
    fn random_bytes(start in 0..4_usize, data in prop::collection::vec(any::<u8>(), 0..600), chunk in 1..300_usize) {
        let starts: [&[u8]; 4] = [
            b"",
            b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        ];
        let found = read(&[starts[start], &data].concat(), chunk);
        prop_assert!(start == 3 || found.largest_buffer <= ROOM + 4 * (data.len() + chunk + 64));
        prop_assert!(found.warnings.len() <= 1);
    }

    /// Sound captures with a few bytes changed.
    #[test]
    fn mutated_captures(big in any::<bool>(), pcapng in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), chunk in 1..300_usize) {
        let target = if pcapng { "pcapng/sections" } else { "pcap/micros" };
        let mut data = bytes(&format!("{target}-{}", if big { "be" } else { "le" }));
        for (place, value) in changes {
            let at = place.index(data.len());
            data[at] = value;
        }
        let found = read(&data, chunk);
        prop_assert!(found.largest_buffer <= ROOM + 4 * (data.len() + chunk));
        prop_assert_eq!(read(&data, 1 << 16).frames, found.frames);
    }
}
