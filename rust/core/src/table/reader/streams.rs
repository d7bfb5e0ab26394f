//! Rows of streams: read while the capture is, handed out in order of their first frame.

use super::{Making, Request, TableReader, record_batch};
use crate::app::Row;
use crate::app::spool::Directory;
use crate::stream::Streams;
use crate::table::column::select;
use crate::table::rows;
use crate::track::Options;
use arrow_array::RecordBatch;

/// Rows of a stream table in a batch.
const STREAM_ROWS: usize = 1024;

/// Rows that are kept for the sake of their order.
const MAX_STREAM_ROWS: usize = 1 << 16;

/// Bytes of their texts, and of those of a batch but for its last row: a column holds 2 GiB, and a row can be of megabytes.
const MAX_STREAM_TEXT: usize = 1 << 26;

/// The rows that wait, by their texts. Those that went out early count as if they still did: the bounds are met as they
/// would be without.
#[derive(Default)]
pub(super) struct Weight {
    rows: usize,
    bytes: usize,
    early: usize,
}

impl Weight {
    /// Adds those that are new; whether all are too much.
    fn is_full(&mut self, rows: &[Row]) -> bool {
        self.bytes += rows.iter().skip(self.rows).map(|row| row.found.text_len()).sum::<usize>();
        self.rows = rows.len();
        self.bytes >= MAX_STREAM_TEXT
    }
}

/// How many of the rows, in order, are a batch.
fn batch_len(rows: &[Row]) -> usize {
    let before = rows.iter().take(STREAM_ROWS).scan(0, |sum, row| {
        let before = *sum;
        *sum += row.found.text_len();
        Some(before)
    });
    before.take_while(|bytes| *bytes < MAX_STREAM_TEXT).count()
}

/// Brings the rows that wait into the order of their first frame; how many there are.
fn sort(streams: &mut Streams) -> usize {
    streams.rows().sort_by_key(|row| row.first.frame);
    streams.rows().len()
}

/// The same, but how many of them nothing is to come before.
fn in_order(streams: &mut Streams) -> usize {
    let all = sort(streams);
    let oldest = streams.oldest_open();
    oldest.map_or(all, |frame| streams.rows().partition_point(|row| row.first.frame < frame))
}

impl TableReader {
    /// A table of what streams said: one of [`rows::TABLES`].
    ///
    /// # Errors
    /// A table or column name that is not there.
    pub fn streams(name: &str, request: Request) -> Result<Self, String> {
        let (table, all) = rows::find(name).ok_or_else(|| format!("no table {name:?}"))?;
        let columns = select(all, request.columns.as_deref())?;
        let options = Options { streams: (table.wants)(table.work(&columns)), ..request.options };
        let kind = Making::Streams { table: table.name, columns, wait: STREAM_ROWS, weight: Weight::default() };
        Ok(Self::new(request.source, request.filter, options, kind))
    }

    /// Rows that have changed since this was last asked, for tables that say so: see [`Stage::news`]. Of streams: rows that
    /// have ended, whatever is still to come before them. Where they are several batches, the others are taken.
    ///
    /// [`Stage::news`]: crate::table::stage::Stage::news
    #[must_use]
    pub fn news(&mut self) -> Option<RecordBatch> {
        match &mut self.kind {
            Making::Stage(stage) => stage.news(),
            Making::Streams { .. } => {
                self.emit_rows(true);
                self.take()
            }
            _ => None,
        }
    }

    /// Writes the bodies or streams of the table to files of this directory.
    pub fn write_to(&mut self, files: Directory) {
        if let Some(streams) = self.tracker.streams() {
            streams.write_to(files);
        }
    }

    /// Turns rows into batches, in order of their first frame: those before which nothing is to come, or all.
    pub(super) fn emit_rows(&mut self, all: bool) {
        let Making::Streams { wait, weight, .. } = &mut self.kind else { return };
        let Some(streams) = self.tracker.streams() else { return };
        let is_full = weight.is_full(streams.rows());
        let early = weight.early;
        if !all && !is_full && streams.rows().len() + early < *wait {
            return;
        }
        let ready = if all { sort(streams) } else { in_order(streams) };
        let waiting = streams.rows().len();
        let is_half = ready + early >= (waiting + early) / 2;
        if !all && !is_half && waiting + early < MAX_STREAM_ROWS && !is_full {
            *wait = (waiting + early) * 2; // a long exchange holds the others up
            return;
        }
        (*wait, *weight) = (STREAM_ROWS, Weight::default());
        // Beyond the bound they go out, in order among themselves.
        self.hand_out(if all || is_half { ready } else { waiting });
    }

    /// Hands out rows before which nothing is to come, though they are few. For who follows a slow input and has a clock.
    pub fn emit_early(&mut self) {
        let Making::Streams { weight, .. } = &mut self.kind else { return };
        let Some(streams) = self.tracker.streams() else { return };
        if streams.rows().is_empty() {
            return;
        }
        weight.is_full(streams.rows());
        let ready = in_order(streams);
        weight.rows -= ready;
        weight.early += ready;
        self.hand_out(ready);
    }

    /// Turns the first rows into batches.
    fn hand_out(&mut self, ready: usize) {
        let Making::Streams { columns, .. } = &self.kind else { return };
        let Some(streams) = self.tracker.streams() else { return };
        let found = streams.rows();
        let rest = found.split_off(ready);
        let taken = std::mem::replace(found, rest);
        let mut taken = &taken[..];
        while !taken.is_empty() {
            let (chunk, behind) = taken.split_at(batch_len(taken));
            taken = behind;
            let rows = rows::Rows { rows: chunk, points: self.tracker.points() };
            let arrays = columns.iter().map(|column| (column.fill)(&rows)).collect();
            self.ready.push_back(record_batch(&self.schema, arrays, chunk.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Found, Who, dhcp};
    use crate::stream::Place;

    fn rows(lens: &[usize]) -> Vec<Row> {
        let row = |len: &usize| {
            let message = dhcp::Message { host_name: Some("x".repeat(*len)), ..dhcp::Message::default() };
            Row { who: Who::default(), first: Place::default(), found: Found::Dhcp(Box::new(message)) }
        };
        lens.iter().map(row).collect()
    }

    #[test]
    fn batches_end_by_rows_and_by_text() {
        let half = MAX_STREAM_TEXT / 2;
        assert_eq!(batch_len(&rows(&[0; STREAM_ROWS + 1])), STREAM_ROWS);
        assert_eq!(batch_len(&rows(&[half, half - 1, 1, 1])), 3);
        assert_eq!(batch_len(&rows(&[2 * half, 1])), 1);
    }

    #[test]
    fn rows_that_wait_are_weighed_once() {
        let mut weight = Weight::default();
        let mut all = rows(&[MAX_STREAM_TEXT - 1]);
        assert!(!weight.is_full(&all) && !weight.is_full(&all));
        all.extend(rows(&[1]));
        assert!(weight.is_full(&all));
    }
}
