//! Packets straight into a Parquet file: the thread that decodes fills the encoders, the one that follows flows those of
//! addresses and uids, and a third encodes and writes whole row groups.

use super::{Making, TableReader};
use crate::pipeline::lock;
use crate::table::column::{Column, Kind};
use crate::table::packets::{self, ADDRESSES, Rows};
use crate::table::parquet::chunk::{Encoder, Spare};
use crate::table::parquet::{ParquetError, ROW_GROUP, ROW_GROUP_BYTES, TableFile};
use crate::table::write::WriteError;
use crate::track::{Tracker, Uid};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Row groups that wait for the thread that writes them.
const AHEAD: usize = 1;

impl TableReader {
    /// Writes packets as row groups that fill while they are decoded.
    pub(super) fn write_groups<W: Write + Send>(
        &mut self,
        out: W,
        go_on: impl FnMut(u64) -> bool,
    ) -> Result<u64, WriteError> {
        let writer = (TableFile::new(out, &self.schema)?, Spare::default());
        let (file, _) =
            self.write_behind(writer, AHEAD, go_on, Self::take_group, |(file, spare), group| group.write(file, spare))?;
        Ok(file.finish(&self.schema)?)
    }

    fn take_group(&mut self) -> Option<Group> {
        match &mut self.kind {
            Making::Packets(making) => making.groups.as_mut()?.ready.pop_front(),
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
struct Group {
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

impl Group {
    fn write<W: Write>(mut self, file: &mut TableFile<W>, spare: &mut Spare) -> Result<(), ParquetError> {
        for at in &self.shared.uid_at {
            let mut encoder = Encoder::new(&Kind::Dict.data_type(), self.rows, spare)?;
            packets::uids(self.uids.iter().copied(), &mut encoder);
            self.encoders.push((*at, encoder));
        }
        self.encoders.sort_by_key(|(at, _)| *at);
        let chunks = self.encoders.into_iter().map(|(_, encoder)| encoder.close(spare));
        let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
        lock(&self.shared.spare).take_from(spare);
        file.group(chunks, self.rows)
    }
}
