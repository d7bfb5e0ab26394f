//! Tables straight into Parquet files: the arrays of a column go from its `fill` into its encoder while they are in
//! the cache, and columns are shared out among threads.

use super::column::{Column, Kind};
use super::flows::{self, Flows};
use super::parquet::chunk::{Chunk, Encoder, Spare};
use super::parquet::{ParquetError, ROW_GROUP, ROW_GROUP_BYTES, TableFile, encoders};
use super::reader::HourFile;
use crate::pipeline::processors;
use crate::source::SourceError;
use crate::track::{Flow, Tracker};
use arrow_array::{Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::Schema;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;

/// Flows whose columns are made at a time: they fit the second-level cache.
const SLICE: usize = 1024;

/// Nanoseconds in an hour.
const HOUR: i64 = 3600 * crate::track::options::SECOND;

/// Below so many rows threads cost more than they save.
const WORTH_THREADS: usize = 4096;

/// Why a table was not written.
#[derive(Debug)]
pub enum WriteError {
    /// The input cannot be read.
    Source(SourceError),
    /// The output cannot be written.
    Parquet(ParquetError),
}

impl From<SourceError> for WriteError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<ParquetError> for WriteError {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Parquet(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(error) => Some(error),
            Self::Parquet(error) => Some(error),
        }
    }
}

/// Writes the ended flows of a tracker in order of their first frame; then the tracker forgets them.
///
/// # Errors
/// What the output refused.
pub fn write_flows<W: Write>(
    file: &mut TableFile<W>,
    tracker: &mut Tracker,
    columns: &[&'static Column<Flows>],
) -> Result<(), ParquetError> {
    let ordered = tracker.finished_order();
    write_slots(file, &ordered, tracker, columns, processors())?;
    tracker.release();
    Ok(())
}

fn write_slots<W: Write>(
    file: &mut TableFile<W>,
    slots: &[u32],
    tracker: &Tracker,
    columns: &[&'static Column<Flows>],
    threads: usize,
) -> Result<(), ParquetError> {
    for run in slots.chunks(ROW_GROUP) {
        let flows: Vec<&Flow> = run.iter().map(|slot| tracker.flow(*slot)).collect();
        file.group(flow_chunks(&flows, tracker, columns, threads)?, run.len())?;
    }
    Ok(())
}

/// The same as a Parquet file for each hour that flows begin in; `alone`: other threads would only be in the way of other
/// workers.
///
/// # Errors
/// What cannot be encoded.
pub fn flows_by_hour(
    tracker: &mut Tracker,
    columns: &[&'static Column<Flows>],
    schema: &Schema,
    alone: bool,
) -> Result<Vec<HourFile>, ParquetError> {
    let threads = if alone { 1 } else { processors() };
    let mut hours: BTreeMap<Option<i64>, Vec<u32>> = BTreeMap::new();
    for slot in tracker.finished_order() {
        let flow = tracker.flow(slot);
        hours.entry(flow.timed.then(|| flow.ts.div_euclid(HOUR))).or_default().push(slot);
    }
    let mut files = Vec::with_capacity(hours.len());
    for (hour, slots) in hours {
        let mut bytes = Vec::new();
        let mut file = TableFile::new(&mut bytes, schema)?;
        write_slots(&mut file, &slots, tracker, columns, threads)?;
        let rows = file.finish(schema)?;
        files.push((hour, rows, bytes));
    }
    tracker.release();
    Ok(files)
}

/// Record batches as a Parquet file for each hour of their `ts`; without such a column, as one.
///
/// # Errors
/// What cannot be encoded.
pub fn batches_by_hour(
    batches: impl Iterator<Item = RecordBatch>,
    schema: &Schema,
) -> Result<Vec<HourFile>, ParquetError> {
    let mut hours: BTreeMap<Option<i64>, BatchWriter<Vec<u8>>> = BTreeMap::new();
    for batch in batches {
        let times = batch.column_by_name("ts").and_then(|ts| ts.as_any().downcast_ref::<TimestampNanosecondArray>());
        let hour = |row| times.filter(|ts| ts.is_valid(row)).map(|ts| ts.value(row).div_euclid(HOUR));
        let mut from = 0;
        while from < batch.num_rows() {
            let own = hour(from);
            let to = (from..batch.num_rows()).find(|row| hour(*row) != own).unwrap_or(batch.num_rows());
            let writer = match hours.entry(own) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(BatchWriter::new(Vec::new(), schema)?),
            };
            writer.write(&batch.slice(from, to - from))?;
            from = to;
        }
    }
    let close =
        |(hour, writer): (_, BatchWriter<_>)| writer.into_inner(schema).map(|(rows, bytes)| (hour, rows, bytes));
    hours.into_iter().map(close).collect()
}

/// The column chunks of a run of flows, in the order of the columns.
fn flow_chunks(
    flows: &[&Flow],
    tracker: &Tracker,
    columns: &[&'static Column<Flows>],
    threads: usize,
) -> Result<Vec<Chunk>, ParquetError> {
    let tasks = tasks(columns, if flows.len() < WORTH_THREADS { 1 } else { threads });
    let work = |task: &[usize]| encode(task, flows, tracker, columns);
    let mut chunks = std::thread::scope(|scope| {
        let Some((own, others)) = tasks.split_first() else { return Ok(Vec::new()) };
        let others: Vec<_> = others.iter().map(|task| scope.spawn(move || work(task))).collect();
        let mut chunks = work(own)?;
        for other in others {
            match other.join() {
                Ok(more) => chunks.extend(more?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, ParquetError>(chunks)
    })?;
    chunks.sort_by_key(|(at, _)| *at);
    Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
}

/// Columns by number, those that are made together: a task a thread, each about as much work, since each is a pass over
/// all flows, and to bring these from memory takes longer than most columns.
fn tasks(columns: &[&'static Column<Flows>], threads: usize) -> Vec<Vec<usize>> {
    let work = |at: usize| match columns[at] {
        column if flows::HASHED.contains(&column.name) => 18,
        Column { kind: Kind::Dict, .. } => 4,
        _ => 1,
    };
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(work(*at)));
    let mut tasks = vec![(0, Vec::new()); columns.len().min(threads)];
    for at in order {
        if let Some((sum, task)) = tasks.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum += work(at);
            task.push(at);
        }
    }
    tasks.into_iter().map(|(_, task)| task).collect()
}

/// Makes columns a slice of the flows at a time, which comes from memory once for all of them.
fn encode(
    task: &[usize],
    flows: &[&Flow],
    tracker: &Tracker,
    columns: &[&'static Column<Flows>],
) -> Result<Vec<(usize, Chunk)>, ParquetError> {
    let mut spare = Spare::default();
    let mut encoders = Vec::with_capacity(task.len());
    for at in task {
        encoders.push((*at, Encoder::new(&columns[*at].kind.data_type(), 0, &mut spare)?));
    }
    for slice in flows.chunks(SLICE) {
        let rows = flows::Rows { flows: slice, tracker };
        for (at, encoder) in &mut encoders {
            columns[*at].encode(&rows, encoder);
            encoder.turn_page(&mut spare)?;
        }
    }
    encoders.into_iter().map(|(at, encoder)| Ok((at, encoder.close(&mut spare)?))).collect()
}

/// Writes record batches of one schema as they come, a row group at a time.
pub struct BatchWriter<W: Write> {
    file: TableFile<W>,
    schema: Schema,
    encoders: Vec<Encoder>,
    spare: Spare,
    rows: usize,
}

impl<W: Write> BatchWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What the output refused.
    pub fn new(out: W, schema: &Schema) -> Result<Self, ParquetError> {
        let mut spare = Spare::default();
        let encoders = encoders(schema, &mut spare)?;
        Ok(Self { file: TableFile::new(out, schema)?, schema: schema.clone(), encoders, spare, rows: 0 })
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// What the output refused.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        for (encoder, array) in self.encoders.iter_mut().zip(batch.columns()) {
            encoder.append(array);
            encoder.turn_page(&mut self.spare)?;
        }
        self.rows += batch.num_rows();
        let full = self.rows >= ROW_GROUP || self.encoders.iter().map(Encoder::size).sum::<usize>() >= ROW_GROUP_BYTES;
        if full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let ended = self.encoders.drain(..).map(|encoder| encoder.close(&mut self.spare));
        let chunks = ended.collect::<Result<Vec<_>, _>>()?;
        self.encoders = encoders(&self.schema, &mut self.spare)?;
        self.file.group(chunks, std::mem::take(&mut self.rows))
    }

    /// Ends the file with the schema as it is by then: its counters are complete. Returns how many rows it has.
    ///
    /// # Errors
    /// What the output refused.
    pub fn finish(self, schema: &Schema) -> Result<u64, ParquetError> {
        Ok(self.into_inner(schema)?.0)
    }

    /// The same; the output comes back.
    fn into_inner(mut self, schema: &Schema) -> Result<(u64, W), ParquetError> {
        self.flush()?;
        self.file.into_inner(schema)
    }
}
