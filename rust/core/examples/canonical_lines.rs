//! Prints every frame's layers, for comparison with the corpus answers.
//!
//! `canonical_lines FILE…` writes `file NAME`, `NUMBER LINE` a frame, and `error TEXT` (tab-separated).

use sniffkit_core::decode::decode;
use sniffkit_core::frame::FrameBatch;
use sniffkit_core::packet::Packet;
use sniffkit_core::show::canonical_line;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use std::io::{self, BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    for name in std::env::args().skip(1) {
        writeln!(out, "file\t{name}")?;
        if let Err(error) = lines(&name, &mut out) {
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
