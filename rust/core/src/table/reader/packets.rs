//! The table of packets. For record batches, the thread that decodes makes the arrays, and the one that follows flows
//! adds their uids. For a Parquet file, it fills encoders, the next names flows, and a third writes whole row groups.

use super::{Making, Request, TableReader, record_batch};
use crate::app::Wants;
use crate::pipeline::{Decoded, Make, Pipeline};
use crate::table::column::{Column, select};
use crate::table::held::{Held, name_held};
use crate::table::keep::{Test, tests};
use crate::table::packets::{self, COLUMNS, Rows, There, UID};
use crate::table::parquet::chunk::{Encoder, Spare};
use crate::table::parquet::{ParquetError, ROW_GROUP, ROW_GROUP_BYTES, TableFile};
use crate::table::sink::Arrow;
use crate::table::write::WriteError;
use crate::track::{Options, Tracker, Uid};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Row groups that wait for the thread that writes them.
const AHEAD: usize = 1;

/// What the thread that decodes made of a batch.
pub(super) enum Made {
    /// Other tables are made from what was decoded.
    Nothing,
    /// The columns, without uids.
    Arrays(Vec<ArrayRef>),
    /// Rows in encoders; whether these are a whole row group now.
    Encoded(bool),
}

/// A table of packets in the making.
pub(super) struct Packets {
    pub columns: Vec<&'static Column<packets::Packets>>,
    tests: Vec<(&'static Column<packets::Packets>, Test)>,
    /// Where the flow's uid stands among the columns; flows are followed only for its sake.
    uid_at: Vec<usize>,
    held: VecDeque<Held>,
    groups: Option<Groups>,
}

impl TableReader {
    /// The packet table of a capture.
    ///
    /// # Errors
    /// A column name that is not there.
    pub fn packets(request: Request) -> Result<Self, String> {
        let columns = select(COLUMNS, request.columns.as_deref())?;
        let uid_at: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].name == UID).collect();
        let uid_per_packet = !uid_at.is_empty();
        // Flows are made of all frames.
        let tests = if uid_per_packet { Vec::new() } else { tests(COLUMNS, &request.keep)? };
        let options = Options { uid_per_packet, streams: Wants::default(), ..request.options };
        let making = Packets { columns, tests, uid_at, held: VecDeque::new(), groups: None };
        Ok(Self::new(request.source, request.filter, options, Making::Packets(making)))
    }

    /// Writes row groups as they fill.
    pub(super) fn write_groups<W: Write + Send>(
        &mut self,
        out: W,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<u64, WriteError> {
        let mut file = TableFile::new(out, &self.schema)?;
        std::thread::scope(|scope| {
            let (to_writer, groups) = sync_channel::<Group>(AHEAD);
            let thread = scope.spawn(move || {
                let mut spare = Spare::default();
                for group in groups {
                    group.write(&mut file, &mut spare)?;
                }
                Ok::<_, ParquetError>(file)
            });
            let mut more = Ok(true);
            'reading: while matches!(more, Ok(true)) {
                more = self.read_while(&mut go_on);
                let Making::Packets(Packets { groups: Some(groups), .. }) = &mut self.kind else { break };
                while let Some(group) = groups.ready.pop_front() {
                    if to_writer.send(group).is_err() {
                        break 'reading; // the output refused; it says why below
                    }
                }
            }
            drop(to_writer);
            let file = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            more?;
            Ok(file.finish(&self.schema)?)
        })
    }
}

impl Packets {
    /// What leaves only the frames that are asked for.
    fn retain(&self) -> impl FnMut(&mut Decoded) + Send + use<> {
        let tests = self.tests.clone();
        move |decoded| {
            if !tests.is_empty() {
                let there = There::of(decoded);
                let rows = Rows::new(decoded, &there);
                let mut keep = vec![true; rows.len()];
                tests.iter().for_each(|(column, test)| test.apply(&(column.fill)(&rows), &mut keep));
                decoded.retain(&keep);
            }
        }
    }

    /// Makes arrays. Columns of packets need no state but the flow.
    pub fn arrays(&self) -> Make<Made> {
        let (columns, mut retain) = (self.columns.clone(), self.retain());
        Box::new(move |decoded| {
            retain(decoded);
            let there = There::of(decoded);
            let rows = Rows::new(decoded, &there);
            Made::Arrays(columns.iter().map(|column| (column.fill)(&rows)).collect())
        })
    }

    /// Fills encoders instead, unless arrays were made already.
    pub fn fill_encoders(&mut self, pipeline: &mut Pipeline<Made>) -> Result<bool, ParquetError> {
        let groups = Groups::new(&self.columns)?;
        let (filling, mut retain) = (groups.filling.clone(), self.retain());
        let make: Make<Made> = Box::new(move |decoded| {
            retain(decoded);
            let there = There::of(decoded);
            Made::Encoded(lock(&filling).add(&Rows::new(decoded, &there)))
        });
        let instead = pipeline.make_instead(make);
        self.groups = instead.then_some(groups);
        Ok(instead)
    }

    /// Takes a batch of frames and what was made of it: follows flows, if asked for, and lets go what is complete.
    pub fn frames(
        &mut self,
        decoded: &Decoded,
        made: Made,
        tracker: &mut Tracker,
        schema: &SchemaRef,
        ready: &mut VecDeque<RecordBatch>,
    ) {
        let first = tracker.counters().frames + 1;
        let count = decoded.batch.frames.len();
        let mut own = Vec::new();
        let uids = self.groups.as_mut().map_or(&mut own, |groups| &mut groups.filled.uids);
        if !self.uid_at.is_empty() {
            tracker.batch(&decoded.batch, decoded.packets(), Some(uids));
            tracker.release();
        }
        match (made, &mut self.groups) {
            (Made::Encoded(full), Some(groups)) => groups.followed(count, full, tracker),
            (Made::Arrays(mut arrays), _) if count > 0 => {
                if !self.uid_at.is_empty() {
                    self.uid_at.iter().for_each(|at| arrays[*at] = packets::uids(own.iter().copied(), Arrow));
                }
                let batch = record_batch(schema, arrays, count);
                // Fragments ahead of their datagram's first keep their rows back until their flow is known.
                let waits = tracker.earliest_unnamed();
                let named = tracker.take_named();
                if waits.is_some() || !named.is_empty() || !self.held.is_empty() {
                    self.held.push_back(Held { batch, first, uids: own });
                    name_held(&mut self.held, named, waits, ready);
                } else {
                    ready.push_back(batch);
                }
            }
            _ => {}
        }
    }

    /// No more frames are taken.
    pub fn end(&mut self, tracker: &mut Tracker, ready: &mut VecDeque<RecordBatch>) {
        match &mut self.groups {
            Some(groups) => groups.end(tracker),
            None => name_held(&mut self.held, tracker.take_named(), None, ready),
        }
    }
}

/// Encoders that the thread that decodes fills.
struct Filling {
    columns: Vec<&'static Column<packets::Packets>>,
    encoders: Vec<Encoder>,
    rows: usize,
    /// Whole row groups, not all of whose frames were followed yet.
    full: VecDeque<Vec<Encoder>>,
    /// What chunks that were written have left.
    spare: Spare,
    /// Nothing more is wanted.
    over: bool,
}

/// Another thread that panicked has left nothing half done here that this one would make worse.
fn lock(filling: &Mutex<Filling>) -> MutexGuard<'_, Filling> {
    filling.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Filling {
    fn encoders(&mut self) -> Result<Vec<Encoder>, ParquetError> {
        let Self { columns, spare, .. } = self;
        columns.iter().map(|column| Encoder::new(&column.kind.data_type(), ROW_GROUP, spare)).collect()
    }

    /// Adds rows. Whether these are a whole row group now.
    fn add(&mut self, rows: &Rows<'_>) -> bool {
        if self.over {
            return false;
        }
        for piece in rows.pieces() {
            for (column, encoder) in self.columns.iter().zip(&mut self.encoders) {
                match column.direct {
                    _ if column.name == UID => {} // which flows these are is not known here
                    Some(direct) => direct(&piece, encoder),
                    None => encoder.append(&(column.fill)(&piece)),
                }
            }
        }
        self.rows += rows.len();
        let full = self.rows >= ROW_GROUP || self.encoders.iter().map(Encoder::size).sum::<usize>() >= ROW_GROUP_BYTES;
        if full {
            let next = self.encoders().expect("types that had encoders before");
            self.full.push_back(std::mem::replace(&mut self.encoders, next));
            self.rows = 0;
        }
        full
    }
}

/// Row groups on their way from the thread that decodes to the file.
struct Groups {
    filling: Arc<Mutex<Filling>>,
    /// The one that is being followed; it has no encoders yet.
    filled: Group,
    /// Those that have frames whose flow is not known yet, and those behind.
    waiting: VecDeque<Group>,
    ready: VecDeque<Group>,
}

/// A row group.
struct Group {
    filling: Arc<Mutex<Filling>>,
    encoders: Vec<Encoder>,
    rows: usize,
    /// Which frame of the tracker's the first row is.
    first: u64,
    /// One a row, if anybody asked.
    uids: Vec<Option<Uid>>,
}

impl Groups {
    fn new(columns: &[&'static Column<packets::Packets>]) -> Result<Self, ParquetError> {
        let mut filling = Filling {
            columns: columns.to_vec(),
            encoders: Vec::new(),
            rows: 0,
            full: VecDeque::new(),
            spare: Spare::default(),
            over: false,
        };
        filling.encoders = filling.encoders()?;
        let filling = Arc::new(Mutex::new(filling));
        let filled = Group { filling: filling.clone(), encoders: Vec::new(), rows: 0, first: 1, uids: Vec::new() };
        Ok(Self { filling, filled, waiting: VecDeque::new(), ready: VecDeque::new() })
    }

    /// So many more frames have been followed, with the last of which a row group was `full`.
    fn followed(&mut self, count: usize, full: bool, tracker: &mut Tracker) {
        self.filled.rows += count;
        if full {
            let encoders = lock(&self.filling).full.pop_front();
            self.close(encoders.unwrap_or_default());
        }
        self.name(tracker.take_named(), tracker.earliest_unnamed());
    }

    fn close(&mut self, encoders: Vec<Encoder>) {
        let first = self.filled.first + self.filled.uids.len() as u64;
        let uids = Vec::with_capacity(self.filled.uids.len());
        let next = Group { filling: self.filling.clone(), encoders: Vec::new(), rows: 0, first, uids };
        self.waiting.push_back(Group { encoders, ..std::mem::replace(&mut self.filled, next) });
    }

    /// Fills in flows that have become known, and lets go the row groups ahead of the first frame that still waits.
    fn name(&mut self, named: Vec<(u64, Uid)>, waits: Option<u64>) {
        for (frame, uid) in named {
            let mut groups = self.waiting.iter_mut().chain([&mut self.filled]).rev();
            if let Some(group) = groups.find(|group| group.first <= frame)
                && let Some(slot) = group.uids.get_mut((frame - group.first) as usize)
            {
                *slot = Some(uid);
            }
        }
        let is_known = |group: &Group| waits.is_none_or(|frame| group.first + group.uids.len() as u64 <= frame);
        let known = self.waiting.iter().take_while(|group| is_known(group)).count();
        self.ready.extend(self.waiting.drain(..known));
    }

    /// No more frames are followed: the rows of those that were are the last row group. What was decoded beyond, because
    /// somebody stopped before the end, is left out.
    fn end(&mut self, tracker: &mut Tracker) {
        let mut filling = lock(&self.filling);
        filling.over = true;
        let mut encoders = filling.full.pop_front().unwrap_or_else(|| std::mem::take(&mut filling.encoders));
        drop(filling);
        encoders.iter_mut().for_each(|encoder| encoder.truncate(self.filled.rows));
        self.close(encoders);
        self.name(tracker.take_named(), None);
    }
}

impl Group {
    fn write<W: Write>(mut self, file: &mut TableFile<W>, spare: &mut Spare) -> Result<(), ParquetError> {
        let columns = lock(&self.filling).columns.clone();
        for (column, encoder) in columns.iter().zip(&mut self.encoders) {
            if column.name == UID {
                packets::uids(self.uids.iter().copied(), encoder);
            }
        }
        let chunks = self.encoders.into_iter().map(|encoder| encoder.close(spare));
        let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        lock(&self.filling).spare.take_from(spare);
        file.group(chunks, self.rows)
    }
}
