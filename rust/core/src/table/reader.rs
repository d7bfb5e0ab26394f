//! Tables as streams of record batches, made while the capture is read.

mod batches;
mod dataset;
mod groups;
mod packets;
mod streams;

use super::column::{Column, schema, select};
use super::keep::{Keep, Test, tests};
pub use super::metadata::metadata;
use super::metadata::rules;
use super::parquet::{ParquetError, TableFile};
use super::stage::{Stage, hand_over};
use super::write::{BatchWriter, WriteError, write_flows};
use super::{flows, rows};
use crate::app::Wants;
use crate::frame::{FrameBatch, Reached};
use crate::pipeline::{Decoded, FrameFilter, Make, Pipeline, Received, processors};
use crate::source::{Source, SourceError, Warning};
use crate::track::{Options, Tracker, share::Share};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
pub use dataset::HourFile;
use packets::{Made, Packets};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

/// Rows of a flow table that are turned into columns at a time: their flows fit the cache.
const FLOW_ROWS: usize = 1024;

/// Batches of rows that wait for the thread that writes them.
const AHEAD: usize = 8;

/// Ended flows that are kept for the sake of their order; beyond, they go out in order among themselves.
const MAX_ORDERED: usize = 1 << 20;

/// What a table is made from.
pub struct Request {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// Which frames count; all without.
    pub filter: Option<FrameFilter>,
    /// Columns by name, in this order; all without.
    pub columns: Option<Vec<String>>,
    /// Rules of the flow table.
    pub options: Options,
    /// Rows that the reader will not look at need not be made: flows, and packets without their `uid`.
    pub keep: Keep,
}

/// A run of rows as a record batch.
pub(super) fn record_batch(schema: &SchemaRef, arrays: Vec<ArrayRef>, count: usize) -> RecordBatch {
    RecordBatch::try_new_with_options(schema.clone(), arrays, &RecordBatchOptions::new().with_row_count(Some(count)))
        .expect("every column is filled with its declared type, one value a row")
}

/// A table that is being made.
pub struct TableReader {
    pipeline: Pipeline<Made>,
    tracker: Tracker,
    kind: Making,
    schema: SchemaRef,
    ready: VecDeque<RecordBatch>,
    ended: bool,
    frames: u64,
    reached: Reached,
    warnings: Vec<Warning>,
}

/// What a column of flows must be.
pub type FlowTest = (&'static Column<flows::Flows>, Test);

enum Making {
    Flows(Vec<&'static Column<flows::Flows>>, Vec<FlowTest>),
    Streams { table: &'static str, columns: Vec<&'static Column<rows::Streams>>, wait: usize, weight: streams::Weight },
    Packets(Box<Packets>),
    Stage(Box<dyn Stage>),
}

/// The rules of a flow table: streams are followed only for the columns that say what they carry.
fn flow_options(columns: &[&Column<flows::Flows>], options: Options) -> Options {
    let facts = columns.iter().any(|column| flows::FACTS.contains(&column.name));
    Options { streams: Wants { facts, ..Wants::default() }, ..options }
}

impl TableReader {
    /// The flow table of a capture.
    ///
    /// # Errors
    /// A column name that is not there.
    pub fn flows(request: Request) -> Result<Self, String> {
        let columns = select(&flows::COLUMNS, request.columns.as_deref())?;
        let options = flow_options(&columns, request.options);
        let tests = tests(&flows::COLUMNS, &request.keep)?;
        Ok(Self::new(request.source, request.filter, options, Making::Flows(columns, tests)))
    }

    /// A table of another kind.
    #[must_use]
    pub fn stage(source: Box<dyn Source>, filter: Option<FrameFilter>, stage: Box<dyn Stage>) -> Self {
        let options = Options { streams: stage.wants(), ..Options::default() };
        Self::new(source, filter, options, Making::Stage(stage))
    }

    /// What a later run can start from: see [`Stage::known`].
    #[must_use]
    pub fn known(&self) -> Vec<crate::neighbor::Known> {
        match &self.kind {
            Making::Stage(stage) => stage.known(),
            _ => Vec::new(),
        }
    }

    fn new(source: Box<dyn Source>, filter: Option<FrameFilter>, options: Options, kind: Making) -> Self {
        Self::with(source, filter, Tracker::new(options), None, kind)
    }

    fn with(
        source: Box<dyn Source>,
        filter: Option<FrameFilter>,
        tracker: Tracker,
        share: Option<Share>,
        kind: Making,
    ) -> Self {
        let schema = match &kind {
            Making::Flows(columns, _) => Arc::new(schema(columns, rules("flows", &tracker))),
            Making::Packets(making) => Arc::new(schema(&making.columns, rules("packets", &tracker))),
            Making::Streams { table, columns, .. } => Arc::new(schema(columns, rules(table, &tracker))),
            Making::Stage(stage) => stage.schema(),
        };
        let make: Make<Made> = match &kind {
            Making::Flows(..) | Making::Streams { .. } => preparing(&tracker),
            Making::Stage(_) => Box::new(|_| Made::Nothing),
            Making::Packets(making) => making.arrays(&tracker),
        };
        let little = matches!(kind, Making::Streams { .. }) && tracker.options().streams.little();
        Self {
            pipeline: Pipeline::start_share(source, filter, share, make, little),
            tracker,
            kind,
            schema,
            ready: VecDeque::new(),
            ended: false,
            frames: 0,
            reached: Reached::default(),
            warnings: Vec::new(),
        }
    }

    /// The schema. A flow table's metadata has its counters once [`TableReader::advance`] has returned `false`.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// How many frames have been read.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Reads one batch of frames, or waits a moment for a slow input. `false` at the end; record batches come from
    /// [`TableReader::take`].
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn advance(&mut self) -> Result<bool, SourceError> {
        let more = self.read();
        if self.flows_are_due(&more) {
            self.emit_flows();
        }
        more
    }

    /// Takes no more input: the table ends as if that did, and [`TableReader::advance`] says so.
    pub fn stop(&mut self) {
        if !self.ended {
            self.end();
            if self.flows_are_due(&Ok(false)) {
                self.emit_flows();
            }
        }
    }

    /// No more frames are taken: every flow ends, and the schema becomes complete.
    fn end(&mut self) {
        self.ended = true;
        self.tracker.finish();
        let complete = |table: &str| {
            let fields = self.schema.fields().clone();
            Arc::new(arrow_schema::Schema::new_with_metadata(fields, metadata(table, &self.tracker)))
        };
        match &mut self.kind {
            Making::Packets(making) => making.end(&mut self.tracker, &mut self.ready),
            Making::Flows(..) => self.schema = complete("flows"),
            Making::Streams { table, .. } => self.schema = complete(table),
            Making::Stage(stage) => {
                hand_over(&mut self.tracker, stage.as_mut());
                stage.end(&mut self.ready);
                self.schema = stage.schema();
            }
        }
        self.emit_rows(true);
    }

    /// The input has ended, or enough flows have.
    fn flows_are_due(&self, more: &Result<bool, SourceError>) -> bool {
        matches!(self.kind, Making::Flows(..))
            && (!matches!(more, Ok(true)) || self.tracker.finished_len() >= MAX_ORDERED)
    }

    /// Accounts one batch of frames, and makes the batch of packets of it.
    fn read(&mut self) -> Result<bool, SourceError> {
        if self.ended {
            return Ok(false);
        }
        let received = self.pipeline.receive();
        if matches!(received, Received::Waiting) {
            return Ok(true);
        }
        let Received::Batch(mut decoded, made) = received else {
            self.end();
            self.warnings.extend(self.pipeline.end()?);
            return Ok(false);
        };
        self.frames += decoded.batch.frames.len() as u64;
        note_files(&mut decoded.batch, &mut self.reached, &mut self.warnings);
        match &mut self.kind {
            Making::Flows(..) | Making::Streams { .. } => {
                decoded.account(&mut self.tracker, None);
            }
            Making::Stage(stage) => {
                stage.frames(&decoded, &mut self.ready);
                if self.tracker.streams().is_some() {
                    self.tracker.some(&decoded.batch, decoded.packets(), |packet| stage.listens(packet));
                    hand_over(&mut self.tracker, stage.as_mut());
                }
            }
            Making::Packets(making) => {
                making.frames(&mut decoded, made, &mut self.tracker, &self.schema, &mut self.ready);
            }
        }
        self.pipeline.recycle(decoded);
        if matches!(self.kind, Making::Streams { .. }) {
            self.tracker.release();
            self.emit_rows(false);
        }
        Ok(true)
    }

    /// Writes the whole table as a Parquet file; returns how many rows it has. `go_on` is asked again and again, from
    /// this thread and with the number of frames read; once it says no, the table ends as if the input did.
    ///
    /// # Errors
    /// When the input cannot be read or the output cannot be written.
    pub fn write<W: Write + Send>(&mut self, out: W, mut go_on: impl FnMut(u64) -> bool) -> Result<u64, WriteError> {
        let columns = match &mut self.kind {
            Making::Flows(columns, _) => columns,
            Making::Packets(making) if self.pipeline.make_instead(making.looks(&self.tracker)) => {
                let filling = making.begin_groups()?;
                return self.write_groups(out, filling, go_on);
            }
            _ => return self.write_batches(out, go_on),
        };
        let columns = columns.clone();
        let mut file = TableFile::new(out, &self.schema)?;
        self.follow_in_turns(&mut file, &columns, &mut go_on)?;
        loop {
            let more = self.read_while(&mut go_on);
            if self.flows_are_due(&more) {
                write_flows(&mut file, &mut self.tracker, &columns, processors())?;
            }
            if !more? {
                return Ok(file.finish(&self.schema)?);
            }
        }
    }

    /// Follows all flows of an input that is at hand; of another, none.
    fn follow_in_turns<W: Write + Send>(
        &mut self,
        file: &mut TableFile<W>,
        columns: &[&'static Column<flows::Flows>],
        go_on: &mut impl FnMut(u64) -> bool,
    ) -> Result<(), WriteError> {
        // A third thread would have nothing to do: to follow flows, one at a time, is half of the work.
        let others = (1..processors().min(2)).map(|_| preparing(&self.tracker)).collect();
        let Self { pipeline, tracker, frames, warnings, reached, .. } = self;
        let seen = AtomicU64::new(*frames);
        let each = |decoded: &mut Decoded, _| {
            seen.fetch_add(decoded.batch.frames.len() as u64, Ordering::Relaxed);
            note_files(&mut decoded.batch, reached, warnings);
            decoded.account(tracker, None);
            if tracker.finished_len() < MAX_ORDERED {
                return Ok(());
            }
            write_flows(file, tracker, columns, processors())
        };
        let go_on = || go_on(seen.load(Ordering::Relaxed));
        let done = pipeline.in_turns(others, go_on, |_, made| made, each, || Ok(false));
        *frames = seen.into_inner();
        done.unwrap_or(Ok(())).map_err(WriteError::from)
    }

    fn read_while(&mut self, go_on: &mut impl FnMut(u64) -> bool) -> Result<bool, SourceError> {
        if go_on(self.frames) {
            return self.read();
        }
        self.end();
        Ok(false)
    }

    /// Rows of streams and others.
    fn write_batches<W: Write + Send>(&mut self, out: W, go_on: impl FnMut(u64) -> bool) -> Result<u64, WriteError> {
        let writer = BatchWriter::new(out, &self.schema)?;
        let writer = self.write_behind(writer, AHEAD, go_on, Self::take, |writer, batch| writer.write(&batch))?;
        Ok(writer.finish(&self.schema)?)
    }

    /// Reads on, and hands whatever is ready to a thread of its own that encodes and writes it, behind the one that
    /// decodes and this one that follows flows; at most `ahead` of it waits. The writer comes back.
    fn write_behind<T: Send, W: Send>(
        &mut self,
        mut writer: W,
        ahead: usize,
        mut go_on: impl FnMut(u64) -> bool,
        take: impl Fn(&mut Self) -> Option<T>,
        write: impl Fn(&mut W, T) -> Result<(), ParquetError> + Send,
    ) -> Result<W, WriteError> {
        std::thread::scope(|scope| {
            let (to_writer, ready) = sync_channel(ahead);
            let thread = scope.spawn(move || {
                for part in ready {
                    write(&mut writer, part)?;
                }
                Ok::<_, ParquetError>(writer)
            });
            let mut more = Ok(true);
            'reading: while matches!(more, Ok(true)) {
                more = self.read_while(&mut go_on);
                while let Some(part) = take(self) {
                    if to_writer.send(part).is_err() {
                        break 'reading; // the output refused; it says why below
                    }
                }
            }
            drop(to_writer);
            let writer = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            more?;
            Ok(writer)
        })
    }

    fn emit_flows(&mut self) {
        let Making::Flows(columns, tests) = &self.kind else { return };
        self.ready.extend(flow_batches(&mut self.tracker, columns, tests, &self.schema));
    }

    /// The next finished record batch, if there is one.
    pub fn take(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// The warnings of the input, once it has ended.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Puts warnings back, for whoever takes the rest of the table.
    pub fn return_warnings(&mut self, warnings: Vec<Warning>) {
        self.warnings.splice(0..0, warnings);
    }
}

/// Takes what a batch says of the files that it was read from.
fn note_files(batch: &mut FrameBatch, reached: &mut Reached, warnings: &mut Vec<Warning>) {
    *reached = std::mem::take(&mut batch.reached);
    warnings.append(&mut reached.warnings);
}

/// What prepares batches for a tracker.
fn preparing(tracker: &Tracker) -> Make<Made> {
    let mut preparer = tracker.preparer();
    Box::new(move |decoded| {
        decoded.prepare(&mut preparer);
        Made::Nothing
    })
}

/// The ended flows of a tracker as record batches, in order of their first frame, on as many threads as help; then
/// the tracker forgets them.
#[must_use]
pub fn flow_batches(
    tracker: &mut Tracker,
    columns: &[&'static Column<flows::Flows>],
    tests: &[FlowTest],
    schema: &SchemaRef,
) -> Vec<RecordBatch> {
    let ordered = tracker.finished_order();
    let chunks: Vec<&[u32]> = ordered.chunks(FLOW_ROWS).collect();
    let shared: &Tracker = tracker;
    let make = |chunk: &[u32]| {
        let mut flows: Vec<_> = chunk.iter().map(|slot| shared.flow(*slot)).collect();
        if !tests.is_empty() {
            let mut keep = vec![true; flows.len()];
            let rows = flows::Rows::new(&flows, shared);
            tests.iter().for_each(|(column, test)| test.apply(&(column.fill)(&rows), &mut keep));
            let mut kept = keep.into_iter();
            flows.retain(|_| kept.next() == Some(true));
        }
        let rows = flows::Rows::new(&flows, shared);
        record_batch(schema, columns.iter().map(|column| (column.fill)(&rows)).collect(), flows.len())
    };
    let batches = if chunks.len() < 4 {
        chunks.into_iter().map(make).collect()
    } else {
        let (first, second) = chunks.split_at(chunks.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| second.iter().map(|chunk| make(chunk)).collect::<Vec<_>>());
            let mut batches: Vec<RecordBatch> = first.iter().map(|chunk| make(chunk)).collect();
            match other.join() {
                Ok(more) => batches.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            batches
        })
    };
    tracker.release();
    batches
}
