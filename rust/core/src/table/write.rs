//! Tables straight into Parquet files: rows go into the encoders of all columns while they are in the cache, and row groups
//! are shared out among threads.

use super::column::Column;
use super::flows::{self, Flows};
use super::in_order::InOrder;
use super::parquet::chunk::{Chunk, Encoder, PAGE, Spare};
use super::parquet::{ParquetError, ROW_GROUP, ROW_GROUP_BYTES, TableFile, encoders};
use super::reader::HourFile;
use crate::pipeline::{processors, side_by_side};
use crate::source::SourceError;
use crate::track::{Flow, Tracker};
use arrow_array::{Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::Schema;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Flows whose columns are made at a time: they fit the second-level cache.
const SLICE: usize = 512;

/// Nanoseconds in an hour.
const HOUR: i64 = 3600 * crate::track::options::SECOND;

/// Threads that make row groups of flows at most: each holds one.
const THREADS: usize = 4;

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

/// Writes the ended flows of a tracker in order of their first frame, on so many threads at most; then the tracker forgets
/// them.
///
/// # Errors
/// What the output refused.
pub fn write_flows<W: Write + Send>(
    file: &mut TableFile<W>,
    tracker: &mut Tracker,
    columns: &[&'static Column<Flows>],
    threads: usize,
) -> Result<(), ParquetError> {
    let ordered = tracker.finished_order();
    write_slots(file, &ordered, tracker, columns, threads)?;
    tracker.release();
    Ok(())
}

fn write_slots<W: Write + Send>(
    file: &mut TableFile<W>,
    slots: &[u32],
    tracker: &Tracker,
    columns: &[&'static Column<Flows>],
    threads: usize,
) -> Result<(), ParquetError> {
    let groups: Vec<&[u32]> = slots.chunks(group_of(slots.len())).collect();
    let threads = threads.min(groups.len()).min(THREADS);
    let next = AtomicUsize::new(0);
    let written = InOrder::new(|(chunks, rows)| file.group(chunks, rows), threads);
    let work = || {
        let mut spare = Spare::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = groups.get(at) else { return Ok(()) };
            let flows: Vec<&Flow> = run.iter().map(|slot| tracker.flow(*slot)).collect();
            let made = encode(&flows, tracker, columns, &mut spare);
            // Whoever fails leaves the others nothing more to begin.
            made.and_then(|chunks| written.put(at, (chunks, run.len())))
                .inspect_err(|_| next.store(groups.len(), Ordering::Relaxed))?;
        }
    };
    side_by_side(work, (1..threads).map(|_| work))
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
        hours.entry(flow.has_times().then(|| flow.ts.div_euclid(HOUR))).or_default().push(slot);
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

/// Makes the column chunks of a run of flows: a slice of them at a time, which comes from memory once for all columns.
fn encode(
    flows: &[&Flow],
    tracker: &Tracker,
    columns: &[&'static Column<Flows>],
    spare: &mut Spare,
) -> Result<Vec<Chunk>, ParquetError> {
    // A page ends with the slice that fills it.
    let room = flows.len().min(PAGE + SLICE);
    let encoder = |column: &&'static Column<Flows>| Encoder::new(&column.kind.data_type(), room, spare);
    let mut encoders = columns.iter().map(encoder).collect::<Result<Vec<_>, _>>()?;
    for slice in flows.chunks(SLICE) {
        let rows = flows::Rows::new(slice, tracker);
        for (column, encoder) in columns.iter().zip(&mut encoders) {
            column.encode(&rows, encoder);
            encoder.turn_page()?;
        }
    }
    encoders.into_iter().map(|encoder| encoder.close(spare)).collect()
}

/// Rows of each row group of a table of so many flows. The same on any machine: threads share row groups, so there are
/// several where that pays, and they are small, since each thread holds one in memory that it has to get first.
fn group_of(rows: usize) -> usize {
    const MOST: usize = ROW_GROUP / 4;
    const LEAST: usize = ROW_GROUP / 16;
    let len = (rows / 8).clamp(LEAST, MOST);
    let groups = (rows / len).max(rows.div_ceil(MOST));
    let even = if groups < 4 { groups & !1 } else { groups.next_multiple_of(2) };
    rows.div_ceil(even.max(1)).max(1)
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
            encoder.turn_page()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameMeta, InterfaceInfo, LinkType};
    use crate::pipeline::Decoded;
    use crate::table::column::{schema, select};
    use crate::table::reader::metadata;
    use crate::track::Options;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use std::sync::Arc;

    #[test]
    fn row_groups_are_few_and_none_is_large() {
        assert_eq!([0, 1, 16_383].map(group_of), [1, 1, 16_383]);
        assert_eq!([16_384, 32_767].map(group_of), [8192, 16_384]);
        assert_eq!([32_768, 100_000, 131_072, 1 << 20].map(group_of), [8192, 12_500, 16_384, 32_768]);
        for rows in (1..3_000_000).step_by(7919) {
            let (len, groups) = (group_of(rows), rows.div_ceil(group_of(rows)));
            assert!(len <= ROW_GROUP / 4 && len * groups >= rows && len * (groups - 1) < rows, "{rows}");
        }
    }

    /// So many flows of one datagram each.
    fn tracker(flows: u32) -> Tracker {
        let mut tracker = Tracker::new(Options::default());
        let mut decoded = Decoded::default();
        decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
        for number in 1..=flows {
            let [a, b, c, d] = number.to_be_bytes();
            let mut frame =
                vec![2, 0, 0, 0, 0, d, 2, 0, 0, 0, 1, c, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10];
            frame.extend([a + b, c, d, 10, 1, 0, d % 7, 4, 210, 0, 53, 0, 8, 0, 0]);
            let (ts, frame_len) = (i64::from(number) * 1000, frame.len() as u32);
            let number = u64::from(number);
            decoded.batch.push(FrameMeta { ts, number, frame_len, ..FrameMeta::default() }, &frame);
        }
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
        tracker.finish();
        tracker
    }

    #[test]
    fn a_table_of_flows_is_the_same_however_many_threads_make_it() {
        let columns = select(&flows::COLUMNS, None).expect("all columns");
        for rows in [10, 20_000, 140_000] {
            let mut tracker = tracker(rows);
            let schema = schema(&columns, metadata("flows", &tracker));
            let slots = tracker.finished_order();
            assert_eq!(slots.len(), rows as usize);
            let made = [1, 2, 5].map(|threads| {
                let mut bytes = Vec::new();
                let mut file = TableFile::new(&mut bytes, &schema).expect("a schema of Parquet's types");
                write_slots(&mut file, &slots, &tracker, &columns, threads).expect("memory refuses nothing");
                assert_eq!(file.finish(&schema).expect("the same"), u64::from(rows));
                bytes::Bytes::from(bytes)
            });
            assert!(made[0] == made[1] && made[0] == made[2], "{rows}");
            let file = SerializedFileReader::new(made[0].clone()).expect("a Parquet file");
            assert_eq!(file.num_row_groups(), slots.len().div_ceil(group_of(slots.len())));
        }
    }

    /// Takes so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_the_output_refuses_ends_every_thread() {
        let columns = select(&flows::COLUMNS, None).expect("all columns");
        let mut tracker = tracker(40_000);
        let schema = schema(&columns, metadata("flows", &tracker));
        let slots = tracker.finished_order();
        for room in [4, 100_000, 2_000_000] {
            let mut file = TableFile::new(Full(room), &schema).expect("room for the magic");
            assert!(write_slots(&mut file, &slots, &tracker, &columns, 4).is_err(), "{room}");
        }
    }
}
