//! A flow table that is written while the capture goes on: ended flows go out in runs, the rest at the end.

use super::column::{Column, schema, select};
use super::flows::{COLUMNS, Flows};
use super::metadata::metadata;
use super::parquet::{ParquetError, TableFile};
use super::write::write_flows;
use crate::track::Tracker;
use std::io::Write;

/// Ended flows that are kept for the sake of their order.
const RUN: usize = 1 << 17;

/// An open flow table.
pub struct FlowFile<W: Write> {
    file: TableFile<W>,
    columns: Vec<&'static Column<Flows>>,
}

impl<W: Write + Send> FlowFile<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// What the output refused.
    pub fn new(out: W, tracker: &Tracker) -> Result<Self, ParquetError> {
        let columns = select(&COLUMNS, None).unwrap_or_default();
        let file = TableFile::new(out, &schema(&columns, metadata("flows", tracker)))?;
        Ok(Self { file, columns })
    }

    /// Writes ended flows if there are enough of them.
    ///
    /// # Errors
    /// What the output refused.
    pub fn update(&mut self, tracker: &mut Tracker) -> Result<(), ParquetError> {
        if tracker.finished_len() >= RUN { self.write(tracker) } else { Ok(()) }
    }

    /// Ends every flow and the file. Returns how many rows it has.
    ///
    /// # Errors
    /// What the output refused.
    pub fn finish(mut self, tracker: &mut Tracker) -> Result<u64, ParquetError> {
        tracker.finish();
        self.write(tracker)?;
        self.file.finish(&schema(&self.columns, metadata("flows", tracker)))
    }

    /// On one thread: a capture leaves the other processors to what it watches, and what one row group needed of memory
    /// serves the next.
    fn write(&mut self, tracker: &mut Tracker) -> Result<(), ParquetError> {
        write_flows(&mut self.file, tracker, &self.columns, 1)
    }
}
