//! Rows of streams: read while the capture is, handed out in order of their first frame.

use super::{Making, Request, TableReader, record_batch};
use crate::app::spool::Directory;
use crate::table::column::select;
use crate::table::rows;
use crate::track::Options;

/// Rows of a stream table in a batch.
const STREAM_ROWS: usize = 1024;

/// Rows that are kept for the sake of their order.
const MAX_STREAM_ROWS: usize = 1 << 16;

impl TableReader {
    /// A table of what streams said: one of [`rows::TABLES`].
    ///
    /// # Errors
    /// A table or column name that is not there.
    pub fn streams(name: &str, request: Request) -> Result<Self, String> {
        let (table, all) = rows::find(name).ok_or_else(|| format!("no table {name:?}"))?;
        let columns = select(all, request.columns.as_deref())?;
        let hash = table.hash_column.is_some_and(|name| columns.iter().any(|column| column.name == name));
        let options = Options { streams: (table.wants)(hash), ..request.options };
        let kind = Making::Streams { table: table.name, columns, wait: STREAM_ROWS };
        Ok(Self::new(request.source, request.filter, options, kind))
    }

    /// Writes the bodies or streams of the table to files of this directory.
    pub fn write_to(&mut self, files: Directory) {
        if let Some(streams) = self.tracker.streams() {
            streams.write_to(files);
        }
    }

    /// Turns rows into batches, in order of their first frame: those before which nothing is to come, or all.
    pub(super) fn emit_rows(&mut self, all: bool) {
        let Making::Streams { columns, wait, .. } = &mut self.kind else { return };
        let Some(streams) = self.tracker.streams() else { return };
        if !all && streams.rows().len() < *wait {
            return;
        }
        streams.rows().sort_by_key(|row| row.first.frame);
        let oldest = if all { None } else { streams.oldest_open() };
        let found = streams.rows();
        let ready = oldest.map_or(found.len(), |frame| found.partition_point(|row| row.first.frame < frame));
        if !all && ready < found.len() / 2 && found.len() < MAX_STREAM_ROWS {
            *wait = found.len() * 2; // a long exchange holds the others up
            return;
        }
        // Beyond the bound they go out, in order among themselves.
        let ready = if !all && ready < found.len() / 2 { found.len() } else { ready };
        let rest = found.split_off(ready);
        let taken = std::mem::replace(found, rest);
        *wait = STREAM_ROWS;
        for chunk in taken.chunks(STREAM_ROWS) {
            let rows = rows::Rows { rows: chunk, points: self.tracker.points() };
            let arrays = columns.iter().map(|column| (column.fill)(&rows)).collect();
            self.ready.push_back(record_batch(&self.schema, arrays, chunk.len()));
        }
    }
}
