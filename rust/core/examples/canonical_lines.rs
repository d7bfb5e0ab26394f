//! Prints every frame's layers, for comparison with the corpus answers.
//!
//! `canonical_lines FILE…` writes `file NAME`, `NUMBER LINE` a frame, and `error TEXT` (tab-separated).
//! `canonical_lines --time FILE…` decodes everything ten times and prints the rate.

use sniffkit_core::decode::decode;
use sniffkit_core::frame::FrameBatch;
use sniffkit_core::packet::Packet;
use sniffkit_core::show::canonical_line;
use sniffkit_core::source::{CaptureFiles, Input, Source, SourceError};
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.first().is_some_and(|name| name == "--time") {
        names.remove(0);
        return Ok(time(&names)?);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for name in &names {
        writeln!(out, "file\t{name}")?;
        if let Err(error) = lines(name, &mut out) {
            writeln!(out, "error\t{error}")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn lines(name: &str, out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let mut files = CaptureFiles::open([Input::from(name)])?;
    let (mut batch, mut packet) = (FrameBatch::default(), Packet::default());
    while files.next_batch(&mut batch)? {
        for meta in &batch.frames {
            let bytes = batch.bytes(meta);
            decode(bytes, meta.frame_len, batch.interfaces[meta.interface as usize].link_type, &mut packet);
            writeln!(out, "{}\t{}", meta.number, canonical_line(bytes, &packet))?;
        }
    }
    Ok(())
}

fn time(names: &[String]) -> Result<(), SourceError> {
    let mut files = CaptureFiles::open(names.iter().map(|name| Input::from(name.as_str())))?;
    let (mut batch, mut packet) = (FrameBatch::default(), Packet::default());
    let (mut frames, mut ports, mut spent) = (0_u64, 0_u64, Duration::ZERO);
    while files.next_batch(&mut batch)? {
        let start = Instant::now();
        for _ in 0..10 {
            for meta in &batch.frames {
                let link_type = batch.interfaces[meta.interface as usize].link_type;
                decode(batch.bytes(meta), meta.frame_len, link_type, &mut packet);
                ports += u64::from(packet.has_ports);
            }
        }
        spent += start.elapsed();
        frames += 10 * batch.frames.len() as u64;
    }
    println!("{frames} frames, {ports} with ports, {:.1} M frames/s", frames as f64 / spent.as_secs_f64() / 1e6);
    Ok(())
}
