//! Fuzz targets are the files of `fuzz_targets/`, one each, found by their being there.
//!
//! A target takes bytes and calls one public entry of the core; it checks more than "no panic" where there is more to
//! check (a limit held, the same answer for the same bytes cut differently). Code that several targets share goes here.

use sniffkit_core::frame::{FrameBatch, FrameMeta};
use sniffkit_core::source::{CaptureFiles, Input, ReadOptions, Source};
use std::io::Cursor;

/// Bytes of an input that decompresses to more than its own length may be many; the reader's buffer stays small.
const MOST_BUFFER: usize = 1 << 20;

/// Reads `capture` to its end, `chunk` bytes at a time; gives every frame and the complaint.
fn read(capture: &[u8], chunk: usize) -> (Vec<(FrameMeta, Vec<u8>)>, String) {
    let input = Input::Reader("fuzz".to_owned(), Box::new(Cursor::new(capture.to_vec())));
    let options = ReadOptions { chunk, ..ReadOptions::default() };
    let mut files = match CaptureFiles::with_options([input], options) {
        Ok(files) => files,
        Err(error) => return (Vec::new(), error.to_string()),
    };
    let (mut frames, mut batch) = (Vec::new(), FrameBatch::default());
    let error = loop {
        match files.next_batch(&mut batch) {
            Ok(true) => {}
            Ok(false) => break String::new(),
            Err(error) => break error.to_string(),
        }
        assert!(batch.data.len() <= MOST_BUFFER + 4 * capture.len(), "a length field was believed");
        for meta in &batch.frames {
            assert!((meta.interface as usize) < batch.interfaces.len());
            frames.push((FrameMeta { offset: 0, ..*meta }, batch.bytes(meta).to_vec()));
        }
    };
    let warnings = files.take_warnings();
    assert!(warnings.len() <= 1);
    (frames, warnings.first().map_or(error, ToString::to_string))
}

/// A capture file of hostile bytes: no panic, memory in bounds, and the same answer however it is cut into reads.
pub fn capture_file(input: &[u8]) {
    // Compressed data may hold a thousand times its length; reading that byte by byte only wastes time.
    let compressed = input.starts_with(b"\x1f\x8b") || input.get(1..4) == Some(b"\xb5\x2f\xfd");
    let whole = read(input, 256 << 10);
    assert!(compressed || whole.0.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= input.len());
    if !compressed {
        assert_eq!(read(input, 61), whole);
    }
}
