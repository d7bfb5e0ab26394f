//! A flow table that is written while the capture goes on: ended flows go out in runs, the rest at the end.

use super::column::{Column, schema, select};
use super::flows::{COLUMNS, Flows};
use super::parquet::Writer;
use super::reader::{flow_batches, metadata};
use crate::track::Tracker;
use ::parquet::errors::ParquetError;
use arrow_schema::SchemaRef;
use std::io::Write;
use std::sync::Arc;

/// Ended flows that are kept for the sake of their order.
const RUN: usize = 1 << 17;

/// An open flow table.
pub struct FlowFile<W: Write + Send> {
    writer: Writer<W>,
    columns: Vec<&'static Column<Flows>>,
    schema: SchemaRef,
}

impl<W: Write + Send> FlowFile<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// What the output refused.
    pub fn new(out: W, tracker: &Tracker) -> Result<Self, ParquetError> {
        let columns = select(&COLUMNS, None).unwrap_or_default();
        let schema = Arc::new(schema(&columns, metadata("flows", tracker)));
        Ok(Self { writer: Writer::new(out, schema.clone())?, columns, schema })
    }

    /// Writes ended flows if there are enough of them.
    ///
    /// # Errors
    /// What the output refused.
    pub fn update(&mut self, tracker: &mut Tracker) -> Result<(), ParquetError> {
        if tracker.finished_len() >= RUN { self.write(tracker) } else { Ok(()) }
    }

    fn write(&mut self, tracker: &mut Tracker) -> Result<(), ParquetError> {
        for batch in flow_batches(tracker, &self.columns, &self.schema) {
            self.writer.write(&batch)?;
        }
        Ok(())
    }

    /// Ends every flow and the file. Returns how many rows it has.
    ///
    /// # Errors
    /// What the output refused.
    pub fn finish(mut self, tracker: &mut Tracker) -> Result<u64, ParquetError> {
        tracker.finish();
        self.write(tracker)?;
        self.writer.finish(metadata("flows", tracker))
    }
}
