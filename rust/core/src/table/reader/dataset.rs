//! Tables of many files, in pieces that are written as they become ready: rows that have ended so far, and the state from
//! which another reader goes on.

use super::{Making, Request, TableReader, flow_options};
use crate::frame::Reached;
use crate::source::SourceError;
use crate::table::column::select;
use crate::table::flows;
use crate::table::metadata::counters;
use crate::table::write::{WriteError, batches_by_hour, flows_by_hour};
use crate::track::{Counters, Tracker, share::Share};
use arrow_schema::Schema;

/// Rows of one hour as a Parquet file: the hour of their `ts`, counted from 1970-01-01T00Z (`None` without a time), how
/// many rows, and the file.
pub type HourFile = (Option<i64>, u64, Vec<u8>);

impl TableReader {
    /// The flows of a share, from the beginning or from a saved state on.
    ///
    /// # Errors
    /// A column name that is not there; bytes that are no state of these options.
    pub fn flows_from(request: Request, share: Share, state: Option<&[u8]>) -> Result<Self, String> {
        let columns = select(&flows::COLUMNS, request.columns.as_deref())?;
        let options = flow_options(&columns, request.options);
        let mut tracker = match state {
            Some(bytes) => Tracker::restore(options, bytes)?,
            None => Tracker::new(options),
        };
        tracker.keep_state();
        let share = (!share.is_all()).then_some(share);
        Ok(Self::with(request.source, request.filter, tracker, share, Making::Flows(columns, Vec::new())))
    }

    /// Reads on by one batch of frames; `false` at the end of the input. Rows come from [`TableReader::take_hours`].
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn read_on(&mut self) -> Result<bool, SourceError> {
        self.read()
    }

    /// Rows that are ready, by hour.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub fn take_hours(&mut self) -> Result<Vec<HourFile>, WriteError> {
        // Counters are of the whole table, and this is a part of it.
        let mut metadata = self.schema.metadata().clone();
        counters(Counters::default()).for_each(|(key, _)| drop(metadata.remove(&key)));
        let schema = Schema::new_with_metadata(self.schema.fields().clone(), metadata);
        match &self.kind {
            Making::Flows(columns, _) => {
                Ok(flows_by_hour(&mut self.tracker, columns, &schema, !self.pipeline.is_ahead())?)
            }
            _ => Ok(batches_by_hour(self.ready.drain(..), &schema)?),
        }
    }

    /// How many rows are ready.
    #[must_use]
    pub fn rows_ready(&self) -> usize {
        match &self.kind {
            Making::Flows(..) => self.tracker.finished_len(),
            _ => self.ready.iter().map(arrow_array::RecordBatch::num_rows).sum(),
        }
    }

    /// The state from which [`TableReader::flows_from`] goes on; rows that are ready are to be taken before.
    ///
    /// # Errors
    /// A table whose state is not kept.
    pub fn save(&self) -> Result<Vec<u8>, String> {
        self.tracker.save()
    }

    /// The place in a list of files to which that state belongs.
    #[must_use]
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// What the flow table has seen and what did not fit, from the beginning on.
    #[must_use]
    pub fn counters(&self) -> crate::track::Counters {
        self.tracker.counters()
    }
}
