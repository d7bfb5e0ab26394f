//! Prints what a source says of every frame, file by file, for comparison with other tools.
//!
//! `dump_frames FILE…` writes tab-separated lines: `file NAME`, `frame NUMBER TIME WIRE_LENGTH CAPTURED_LENGTH INTERFACE
//! DIRECTION HASH` (time in seconds with nine decimals, `-` where there is none; FNV-1a hash of the bytes),
//! `interface INDEX LINK_TYPE SNAP_LENGTH NETNS NAME`, `warning OFFSET TEXT`, `error TEXT`.

use sniffkit_core::frame::FrameBatch;
use sniffkit_core::source::{CaptureFiles, Input, Source, SourceError};
use std::io::{self, BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    for name in std::env::args().skip(1) {
        writeln!(out, "file\t{name}")?;
        if let Err(error) = dump(&name, &mut out)? {
            writeln!(out, "error\t{error}")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn dump(name: &str, out: &mut impl Write) -> io::Result<Result<(), SourceError>> {
    let mut files = match CaptureFiles::open([Input::from(name)]) {
        Ok(files) => files,
        Err(error) => return Ok(Err(error)),
    };
    let mut batch = FrameBatch::default();
    let mut failure = Ok(());
    loop {
        match files.next_batch(&mut batch) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                failure = Err(error);
                break;
            }
        }
        for frame in &batch.frames {
            let time = if frame.ts_missing { "-".to_owned() } else { seconds(frame.ts) };
            let hash = batch
                .bytes(frame)
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
            writeln!(
                out,
                "frame\t{}\t{time}\t{}\t{}\t{}\t{:?}\t{hash:016x}",
                frame.number, frame.frame_len, frame.cap_len, frame.interface, frame.direction
            )?;
        }
    }
    for (index, interface) in batch.interfaces.iter().enumerate() {
        let text = |option: &Option<String>| {
            option.as_ref().map_or_else(|| "-".to_owned(), |text| text.escape_debug().to_string())
        };
        writeln!(
            out,
            "interface\t{index}\t{}\t{}\t{}\t{}",
            interface.link_type.0,
            interface.snap_len,
            text(&interface.netns),
            text(&interface.name)
        )?;
    }
    for warning in files.take_warnings() {
        writeln!(out, "warning\t{}\t{}", warning.offset.unwrap_or_default(), warning.what)?;
    }
    Ok(failure)
}

fn seconds(ts: i64) -> String {
    let (sign, ts) = (if ts < 0 { "-" } else { "" }, ts.unsigned_abs());
    format!("{sign}{}.{:09}", ts / 1_000_000_000, ts % 1_000_000_000)
}
