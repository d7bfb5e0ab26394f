//! Prints captures as lines: `read_lines [-e] [-t] FILE…`.

use sniffkit_core::decode::decode;
use sniffkit_core::frame::FrameBatch;
use sniffkit_core::packet::Packet;
use sniffkit_core::show::{LineOptions, LinePrinter, Time};
use sniffkit_core::source::{CaptureFiles, Input, Source};
use std::io::{self, BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|name| name.starts_with('-'));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let time = if has("-t") { Time::None } else { Time::Clock };
    let mut printer = LinePrinter::new(LineOptions { link: has("-e"), time, ..LineOptions::default() });
    let mut files = CaptureFiles::open(names.iter().map(|name| Input::from(name.as_str())))?;
    let (mut batch, mut packet, mut line) = (FrameBatch::default(), Packet::default(), String::new());
    let mut out = BufWriter::new(io::stdout().lock());
    while files.next_batch(&mut batch)? {
        for meta in &batch.frames {
            let bytes = batch.bytes(meta);
            decode(bytes, meta.frame_len, batch.interfaces[meta.interface as usize].link_type, &mut packet);
            line.clear();
            printer.print(meta, bytes, &packet, &mut line);
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}
