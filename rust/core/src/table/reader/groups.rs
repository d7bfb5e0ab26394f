//! Packets straight into a Parquet file: rows go into the encoders of a row group while they are decoded, those of addresses
//! and uids while flows are followed; whole row groups are closed column by column, aside.

use super::packets::fill;
use super::{Making, TableReader, note_files};
use crate::pipeline::{Decoded, lock, processors, side_by_side};
use crate::table::column::{Column, Kind};
use crate::table::in_order::InOrder;
use crate::table::packets::{self, ADDRESSES, Rows};
use crate::table::parquet::chunk::{Chunk, Encoder, Spare};
use crate::table::parquet::{ParquetError, ROW_GROUP, ROW_GROUP_BYTES, TableFile};
use crate::table::write::WriteError;
use crate::track::{Tracker, Uid};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Row groups that wait for the thread that closes them, where one does nothing else.
const AHEAD: usize = 1;

/// Threads that take turns at most: to follow flows, one at a time, is a third of the work.
const THREADS: usize = 3;

impl TableReader {
    /// Writes packets as row groups that fill while they are decoded.
    pub(super) fn write_groups<W: Write + Send>(
        &mut self,
        out: W,
        filling: Arc<Mutex<Filling>>,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<u64, WriteError> {
        let mut file = TableFile::new(out, &self.schema)?;
        let threads = processors().min(THREADS);
        let closing = Closing::new(|(chunks, rows)| file.group(chunks, rows), threads);
        if self.fill_in_turns(threads, &filling, &closing, &mut go_on)? {
            while self.read_while(&mut go_on)? {}
            while let Some(group) = self.take_group() {
                closing.add(group);
            }
        } else {
            if let Making::Packets(making) = &self.kind {
                self.pipeline.make_instead(making.fills(&self.tracker, filling));
            }
            self.write_behind(&closing, AHEAD, go_on, Self::take_group, |closing, group| {
                closing.add(group);
                closing.all()
            })?;
        }
        side_by_side(|| closing.all(), (1..threads).map(|_| || closing.all()))?;
        drop(closing);
        Ok(file.finish(&self.schema)?)
    }

    /// Reads all of an input that is at hand: of another, nothing, and then `false`.
    fn fill_in_turns<F: FnMut((Vec<Chunk>, usize)) -> Result<(), ParquetError> + Send>(
        &mut self,
        threads: usize,
        filling: &Mutex<Filling>,
        closing: &Closing<F>,
        go_on: &mut impl FnMut(u64) -> bool,
    ) -> Result<bool, WriteError> {
        let Self { pipeline, tracker, kind, schema, ready, frames, warnings, reached, .. } = self;
        let Making::Packets(making) = kind else { return Ok(false) };
        let others = (1..threads).map(|_| making.looks(tracker)).collect();
        let seen = AtomicU64::new(*frames);
        let each = |decoded: &mut Decoded, made| {
            seen.fetch_add(decoded.batch.frames.len() as u64, Ordering::Relaxed);
            note_files(&mut decoded.batch, reached, warnings);
            making.frames(decoded, made, tracker, schema, ready);
            while let Some(group) = making.take_group() {
                closing.add(group);
            }
            Ok(())
        };
        let go_on = || go_on(seen.load(Ordering::Relaxed));
        let first = |decoded: &mut Decoded, made| fill(filling, decoded, made);
        let done = pipeline.in_turns(others, go_on, first, each, || closing.one());
        *frames = seen.into_inner();
        Ok(done.transpose()?.is_some())
    }

    fn take_group(&mut self) -> Option<Group> {
        match &mut self.kind {
            Making::Packets(making) => making.take_group(),
            _ => None,
        }
    }
}

/// Some columns of the row group that is being filled.
struct Part {
    /// By number.
    columns: Vec<(usize, &'static Column<packets::Packets>)>,
    encoders: Vec<Encoder>,
    shared: Arc<Shared>,
}

/// Encoded columns by number.
type Encoders = Vec<(usize, Encoder)>;

impl Part {
    fn new(
        columns: Vec<(usize, &'static Column<packets::Packets>)>,
        shared: &Arc<Shared>,
    ) -> Result<Self, ParquetError> {
        let mut part = Self { columns, encoders: Vec::new(), shared: shared.clone() };
        part.encoders = part.fresh()?;
        Ok(part)
    }

    fn fresh(&self) -> Result<Vec<Encoder>, ParquetError> {
        let mut spare = lock(&self.shared.spare);
        self.columns.iter().map(|(_, column)| Encoder::new(&column.kind.data_type(), ROW_GROUP, &mut spare)).collect()
    }

    pub fn add(&mut self, rows: &Rows<'_>) {
        for piece in rows.pieces() {
            for ((_, column), encoder) in self.columns.iter().zip(&mut self.encoders) {
                column.encode(&piece, encoder);
            }
        }
    }

    fn size(&self) -> usize {
        self.encoders.iter().map(Encoder::size).sum()
    }

    /// The encoders as they are; the next rows begin another row group.
    fn take(&mut self) -> Encoders {
        let next = self.fresh().expect("types that had encoders before");
        let encoders = std::mem::replace(&mut self.encoders, next);
        self.columns.iter().map(|(at, _)| *at).zip(encoders).collect()
    }
}

/// What the thread that decodes fills.
pub(super) struct Filling {
    part: Part,
    rows: usize,
    /// Whole row groups, not all of whose frames were followed yet.
    full: VecDeque<Encoders>,
    /// Nothing more is wanted.
    over: bool,
}

impl Filling {
    /// Adds rows. Whether these are a whole row group now.
    pub fn add(&mut self, rows: &Rows<'_>) -> bool {
        if self.over {
            return false;
        }
        self.part.add(rows);
        self.rows += rows.len();
        let full = self.rows >= ROW_GROUP || self.part.size() >= ROW_GROUP_BYTES;
        if full {
            let encoders = self.part.take();
            self.full.push_back(encoders);
            self.rows = 0;
        }
        full
    }
}

/// Row groups on their way from the thread that decodes to the file.
pub(super) struct Groups {
    pub filling: Arc<Mutex<Filling>>,
    /// What the thread that follows flows fills.
    own: Part,
    /// The one that is being followed; it has no encoders yet.
    filled: Group,
    /// Those that have frames whose flow is not known yet, and those behind.
    waiting: VecDeque<Group>,
    ready: VecDeque<Group>,
}

/// A row group.
pub(super) struct Group {
    encoders: Encoders,
    rows: usize,
    /// How many frames the tracker saw before.
    first: u64,
    /// One a row, if anybody asked.
    uids: Vec<Option<Uid>>,
    shared: Arc<Shared>,
}

/// What all row groups need.
struct Shared {
    /// The columns of uids.
    uid_at: Vec<usize>,
    /// What chunks that were written have left.
    spare: Mutex<Spare>,
}

impl Groups {
    pub fn new(columns: &[&'static Column<packets::Packets>], uid_at: &[usize]) -> Result<Self, ParquetError> {
        let shared = Arc::new(Shared { uid_at: uid_at.to_vec(), spare: Mutex::default() });
        let columns = columns.iter().copied().enumerate().filter(|(at, _)| !uid_at.contains(at));
        // To look addresses up takes as long as all the rest.
        let (own, others): (Vec<_>, Vec<_>) = columns.partition(|(_, column)| ADDRESSES.contains(&column.name));
        let part = Part::new(others, &shared)?;
        Ok(Self {
            filling: Arc::new(Mutex::new(Filling { part, rows: 0, full: VecDeque::new(), over: false })),
            own: Part::new(own, &shared)?,
            filled: Group { encoders: Vec::new(), rows: 0, first: 0, uids: Vec::new(), shared },
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
        })
    }

    /// A whole row group, if there is one.
    pub fn take(&mut self) -> Option<Group> {
        self.ready.pop_front()
    }

    /// Where the uids of the frames go that are followed next.
    pub fn uids(&mut self) -> &mut Vec<Option<Uid>> {
        &mut self.filled.uids
    }

    /// More frames have been followed, with the last of which a row group was `full`.
    pub fn followed(&mut self, rows: &Rows<'_>, full: bool, tracker: &mut Tracker) {
        self.own.add(rows);
        self.filled.rows += rows.len();
        if full {
            let encoders = lock(&self.filling).full.pop_front();
            self.close(encoders.expect("what is full was put there before it was told"));
        }
        self.name(tracker.take_named(), tracker.earliest_unnamed());
    }

    fn close(&mut self, mut encoders: Encoders) {
        encoders.append(&mut self.own.take());
        let first = self.filled.first + self.filled.uids.len() as u64;
        let (uids, shared) = (Vec::with_capacity(self.filled.uids.len()), self.filled.shared.clone());
        let next = Group { encoders: Vec::new(), rows: 0, first, uids, shared };
        self.waiting.push_back(Group { encoders, ..std::mem::replace(&mut self.filled, next) });
    }

    /// Fills in flows that have become known, and lets go the row groups ahead of the first frame that still waits.
    fn name(&mut self, named: Vec<(u64, Uid)>, waits: Option<u64>) {
        for (frame, uid) in named {
            let mut groups = self.waiting.iter_mut().chain([&mut self.filled]).rev();
            if let Some(group) = groups.find(|group| group.first < frame)
                && let Some(slot) = group.uids.get_mut((frame - group.first - 1) as usize)
            {
                *slot = Some(uid);
            }
        }
        let is_known = |group: &Group| waits.is_none_or(|frame| group.first + (group.uids.len() as u64) < frame);
        let known = self.waiting.iter().take_while(|group| is_known(group)).count();
        self.ready.extend(self.waiting.drain(..known));
    }

    /// No more frames are followed: the rows of those that were are the last row group. What was decoded beyond, because
    /// somebody stopped before the end, is left out.
    pub fn end(&mut self, tracker: &mut Tracker) {
        let mut filling = lock(&self.filling);
        filling.over = true;
        let mut encoders = filling.full.pop_front().unwrap_or_else(|| filling.part.take());
        drop(filling);
        encoders.iter_mut().for_each(|(_, encoder)| encoder.truncate(self.filled.rows));
        self.close(encoders);
        self.name(tracker.take_named(), None);
    }
}

/// Row groups whose columns are closed one by one, by any thread, and written in order.
struct Closing<F> {
    jobs: Mutex<VecDeque<Job>>,
    groups: AtomicUsize,
    written: InOrder<(Vec<Chunk>, usize), F>,
}

/// A column to be closed; one of uids has no encoder yet.
struct Job {
    at: usize,
    encoder: Option<Encoder>,
    of: Arc<Closed>,
}

/// A row group, and those of its columns that are closed.
struct Closed {
    /// Which in the file.
    number: usize,
    columns: usize,
    rows: usize,
    uids: Vec<Option<Uid>>,
    chunks: Mutex<Vec<(usize, Chunk)>>,
    shared: Arc<Shared>,
}

impl<F: FnMut((Vec<Chunk>, usize)) -> Result<(), ParquetError>> Closing<F> {
    fn new(to: F, threads: usize) -> Self {
        Self { jobs: Mutex::default(), groups: AtomicUsize::new(0), written: InOrder::new(to, threads) }
    }

    fn add(&self, group: Group) {
        let Group { encoders, rows, uids, shared, .. } = group;
        let columns = encoders.len() + shared.uid_at.len();
        let number = self.groups.fetch_add(1, Ordering::Relaxed);
        let of = Arc::new(Closed { number, columns, rows, uids, chunks: Mutex::default(), shared });
        // The longest first.
        let uids = of.shared.uid_at.iter().map(|at| (*at, None));
        let all = uids.chain(encoders.into_iter().map(|(at, encoder)| (at, Some(encoder))));
        lock(&self.jobs).extend(all.map(|(at, encoder)| Job { at, encoder, of: of.clone() }));
    }

    /// Closes a column. Whether there was one.
    fn one(&self) -> Result<bool, ParquetError> {
        let job = lock(&self.jobs).pop_front();
        let Some(Job { at, encoder, of }) = job else { return Ok(false) };
        let encoder = match encoder {
            Some(encoder) => encoder,
            None => {
                let mut encoder = Encoder::new(&Kind::Dict.data_type(), of.rows, &mut lock(&of.shared.spare))?;
                packets::uids(of.uids.iter().copied(), &mut encoder);
                encoder
            }
        };
        let mut spare = Spare::default();
        let chunk = encoder.close(&mut spare)?;
        lock(&of.shared.spare).take_from(&mut spare);
        let mut chunks = lock(&of.chunks);
        chunks.push((at, chunk));
        if chunks.len() == of.columns {
            let mut chunks = std::mem::take(&mut *chunks);
            chunks.sort_by_key(|(at, _)| *at);
            self.written.put(of.number, (chunks.into_iter().map(|(_, chunk)| chunk).collect(), of.rows))?;
        }
        Ok(true)
    }

    fn all(&self) -> Result<(), ParquetError> {
        while self.one()? {}
        Ok(())
    }
}
