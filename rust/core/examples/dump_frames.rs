//! Prints what a source says of every frame, file by file, for comparison with other tools.
//!
//! `dump_frames FILE…` writes tab-separated lines: `file NAME`, `frame NUMBER TIME WIRE_LENGTH CAPTURED_LENGTH INTERFACE
//! DIRECTION HASH` (time in seconds with nine decimals, `-` where there is none; FNV-1a hash of the bytes),
//! `interface INDEX LINK_TYPE SNAP_LENGTH NETNS NAME`, `warning OFFSET TEXT`, `error TEXT`.
//! `dump_frames --time FILE…` reads all files as one input and prints frames, bytes and rate.

use sniffkit_core::frame::FrameBatch;
use sniffkit_core::source::{CaptureFiles, Input, Source, SourceError};
use std::io::{self, BufWriter, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.first().is_some_and(|name| name == "--time") {
        names.remove(0);
        return time(&names);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for name in &names {
        writeln!(out, "file\t{name}")?;
        if let Err(error) = dump(name, &mut out)? {
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
        writeln!(out, "warning\t{}\t{}", warning.offset, warning.what)?;
    }
    Ok(failure)
}

fn seconds(ts: i64) -> String {
    let (sign, ts) = (if ts < 0 { "-" } else { "" }, ts.unsigned_abs());
    format!("{sign}{}.{:09}", ts / 1_000_000_000, ts % 1_000_000_000)
}

fn time(names: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut files = CaptureFiles::open(names.iter().map(|name| Input::from(name.as_str())))?;
    let mut batch = FrameBatch::default();
    let (mut frames, mut captured, mut batches) = (0_u64, 0_u64, 0_u64);
    while files.next_batch(&mut batch)? {
        batches += 1;
        frames += batch.frames.len() as u64;
        captured += batch.frames.iter().map(|frame| u64::from(frame.cap_len)).sum::<u64>();
    }
    let elapsed = start.elapsed().as_secs_f64();
    let bytes: u64 = names.iter().filter_map(|name| std::fs::metadata(name).ok()).map(|meta| meta.len()).sum();
    println!(
        "{frames} frames, {captured} bytes captured, {batches} batches, {elapsed:.4} s, {:.2} GB/s of file, {:.1} M frames/s",
        bytes as f64 / elapsed / 1e9,
        frames as f64 / elapsed / 1e6
    );
    for warning in files.take_warnings() {
        println!("{warning}");
    }
    Ok(())
}
