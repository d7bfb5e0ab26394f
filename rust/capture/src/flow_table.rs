//! The flow table that a recording keeps.

use crate::error::CaptureError;
use crate::unfinished::Unfinished;
use sniffkit_core::table::file::FlowFile;
use sniffkit_core::track::{Options, Tracker};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

/// The flow table of a recording.
pub(crate) struct FlowTable {
    pub tracker: Tracker,
    rows: FlowFile<BufWriter<File>>,
    file: Unfinished,
    name: String,
}

impl FlowTable {
    /// Begins the file; rows end by these rules.
    pub fn create(path: PathBuf, rules: Options) -> Result<Self, CaptureError> {
        let tracker = Tracker::new(rules);
        let file = Unfinished::create(&path)?;
        let name = path.display().to_string();
        let rows = FlowFile::new(BufWriter::with_capacity(256 << 10, file.handle()?), &tracker)
            .map_err(|error| CaptureError::System(format!("{name}: {error}")))?;
        Ok(Self { tracker, rows, file, name })
    }

    /// Writes ended flows if there are enough of them.
    pub fn update(&mut self) -> Result<(), String> {
        self.rows.update(&mut self.tracker).map_err(|error| format!("{}: {}", self.name, reason(&error)))
    }

    /// Ends every flow, and the file is there; how many rows it has.
    pub fn finish(mut self) -> Result<u64, String> {
        let rows = self.rows.finish(&mut self.tracker).map_err(|error| format!("{}: {}", self.name, reason(&error)))?;
        self.file.finish().map_err(|error| error.to_string())?;
        Ok(rows)
    }
}

/// An error of the table's encoder without the names of its layers.
fn reason(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.trim_start_matches("External: ").to_owned()
}
