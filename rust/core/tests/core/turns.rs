//! Threads that take turns with a file make the table that one after the other makes.

use sniffkit_core::bpf::{Instruction, Program};
use sniffkit_core::frame::FrameBatch;
use sniffkit_core::pipeline::FrameFilter;
use sniffkit_core::source::{CaptureFiles, Input, ReadOptions, Source, SourceError, Warning};
use sniffkit_core::table::keep::Keep;
use sniffkit_core::table::reader::{Request, TableReader};
use sniffkit_core::track::Options;
use std::path::PathBuf;

/// Files of which nobody is told how many bytes they have, as of a pipe.
struct Slow(CaptureFiles);

impl Source for Slow {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError> {
        self.0.next_batch(batch)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.0.take_warnings()
    }
}

/// What makes a table.
type Table = fn(Request) -> Result<TableReader, String>;

/// A table as a file, its rows, the frames read, and the warnings. Frames of every third length are left out.
fn written(table: Table, files: &[PathBuf], in_turns: bool) -> (Vec<u8>, u64, u64, Vec<Warning>) {
    let options = ReadOptions { chunk: 1 << 12, ..ReadOptions::default() }; // many batches
    let inputs = files.iter().map(|path| Input::from(path.clone()));
    let files = CaptureFiles::with_options(inputs, options).expect("captures");
    let source: Box<dyn Source> = if in_turns { Box::new(files) } else { Box::new(Slow(files)) };
    // ret len % 3
    let code = [(0x80, 0), (0x94, 3), (0x16, 0)].map(|(code, k)| Instruction { code, jt: 0, jf: 0, k });
    let filter = FrameFilter::new("", Box::new(move |_, _| Program::new(code.to_vec()).map_err(str::to_owned)));
    let request =
        Request { source, filter: Some(filter), columns: None, options: Options::default(), keep: Keep::default() };
    let mut reader = table(request).expect("all columns");
    let mut bytes = Vec::new();
    let rows = reader.write(&mut bytes, |_| true).expect("a whole table");
    (bytes, rows, reader.frames(), reader.take_warnings())
}

#[test]
fn the_table_is_the_same_to_the_byte() {
    let files = crate::captures::of(&["pcap", "pcapng"]);
    for table in [TableReader::flows, TableReader::packets] {
        let (bytes, rows, frames, warnings) = written(table, &files, false);
        assert!(rows > 100 && frames > 500, "{rows} rows of {frames} frames");
        for _ in 0..10 {
            assert!(written(table, &files, true) == (bytes.clone(), rows, frames, warnings.clone()));
        }
    }
}

#[test]
fn a_table_that_is_stopped_is_whole() {
    let files = crate::captures::of(&["pcapng"]);
    let source = Box::new(CaptureFiles::open(files.iter().map(|path| Input::from(path.clone()))).expect("captures"));
    let request = Request { source, filter: None, columns: None, options: Options::default(), keep: Keep::default() };
    let mut reader = TableReader::flows(request).expect("all columns");
    let (mut bytes, mut asked) = (Vec::new(), 0);
    let rows = reader.write(&mut bytes, |_| {
        asked += 1;
        asked < 3
    });
    rows.expect("what was read until then");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert_eq!(reader.advance().ok(), Some(false));
}
