//! How long each stage takes on a capture, one thread, nothing overlapped: `stages FILE [ROUNDS]`.
// Measuring needs a clock; the library itself has none.
#![allow(clippy::disallowed_methods)]

use sniffkit_core::app::Wants;
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use sniffkit_core::table::{column, flows, parquet::TableFile, reader, write::write_flows};
use sniffkit_core::track::{Options, Tracker};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: stages FILE [ROUNDS]")?;
    let rounds: u32 = args.next().map_or(Ok(3), |text| text.parse())?;
    for _ in 0..rounds {
        let mut source = CaptureFiles::open([Input::from(path.as_str())])?;
        let streams = Wants { facts: true, ..Wants::default() };
        let mut tracker = Tracker::new(Options { streams, ..Options::default() });
        let mut decoded = Decoded::default();
        let (mut read, mut decode, mut track) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let mut frames = 0;
        loop {
            let start = Instant::now();
            let more = source.next_batch(&mut decoded.batch)?;
            read += start.elapsed();
            if !more {
                break;
            }
            frames += decoded.batch.frames.len();
            let start = Instant::now();
            decoded.decode();
            decode += start.elapsed();
            let start = Instant::now();
            tracker.batch(&decoded.batch, decoded.packets(), None);
            track += start.elapsed();
        }
        let start = Instant::now();
        tracker.finish();
        let columns = column::select(&flows::COLUMNS, None)?;
        let schema = column::schema(&columns, reader::metadata("flows", &tracker));
        let ended = tracker.finished_len();
        let finish = start.elapsed();
        let start = Instant::now();
        let out = std::fs::File::create(std::env::temp_dir().join("stages.parquet"))?;
        let mut file = TableFile::new(out, &schema)?;
        write_flows(&mut file, &mut tracker, &columns, 1)?;
        file.finish(&schema)?;
        let write = start.elapsed();
        println!(
            "{frames} frames {ended} flows: read {read:.0?} decode {decode:.0?} track {track:.0?} finish {finish:.0?} \
             write {write:.0?}; core {:.2} M packets/s",
            frames as f64 / (read + decode + track).as_secs_f64() / 1e6
        );
    }
    Ok(())
}
