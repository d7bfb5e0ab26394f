//! Reads, decodes and follows the flows of a capture on one thread, and nothing else: `core FILE`; with `core FILE facts`
//! also what the columns of the application layer need, with `core FILE http` what that table does. What `make bench`
//! measures as the core alone.

use sniffkit_core::app::Wants;
use sniffkit_core::app::content::Work;
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use sniffkit_core::table::rows;
use sniffkit_core::track::{Options, Tracker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: core FILE [facts|TABLE]")?;
    let mut source = CaptureFiles::open([Input::from(path.as_str())])?;
    let streams = match std::env::args().nth(2).as_deref() {
        None => Wants::default(),
        Some("facts") => Wants { facts: true, ..Wants::default() },
        Some(name) => (rows::find(name).ok_or("no such table")?.0.wants)(Work::Count),
    };
    let mut tracker = Tracker::new(Options { streams, ..Options::default() });
    let mut decoded = Decoded::default();
    while source.next_batch(&mut decoded.batch)? {
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
        if let Some(streams) = tracker.streams() {
            streams.rows().clear();
        }
    }
    tracker.finish();
    println!("{} frames, {} flows", tracker.counters().frames, tracker.finished_len());
    Ok(())
}
