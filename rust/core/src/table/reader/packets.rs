//! The table of packets: whoever decodes makes its columns, as arrays or in encoders, and whoever follows flows adds the uids.

use super::groups::{Filling, Group, Groups};
use super::{Making, Request, TableReader, record_batch};
use crate::app::Wants;
use crate::pipeline::{Decoded, Make, lock};
use crate::table::column::{Column, select};
use crate::table::held::{Held, name_held};
use crate::table::keep::{Test, tests};
use crate::table::packets::{self, COLUMNS, Rows, There, UID};
use crate::table::parquet::ParquetError;
use crate::table::sink::Arrow;
use crate::track::{Options, Tracker};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// What was made of a batch beside decoding it.
pub(super) enum Made {
    /// Other tables are made from what was decoded.
    Nothing,
    /// What the packets have, for columns to come.
    There(Vec<There>),
    /// The columns, without uids.
    Arrays(Vec<ArrayRef>),
    /// Rows in encoders; whether these are a whole row group now. What the packets have is for the other columns.
    Encoded { there: Vec<There>, full: bool },
}

/// A table of packets in the making.
pub(super) struct Packets {
    pub columns: Vec<&'static Column<packets::Packets>>,
    tests: Vec<(&'static Column<packets::Packets>, Test)>,
    /// Where the flow's uid stands among the columns; flows are followed only for its sake.
    uid_at: Vec<usize>,
    held: VecDeque<Held>,
    pub groups: Option<Groups>,
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
        Ok(Self::new(request.source, request.filter, options, Making::Packets(Box::new(making))))
    }
}

impl Packets {
    /// What leaves only the frames that are asked for, and prepares following their flows.
    fn prepare(&self, tracker: &Tracker) -> impl FnMut(&mut Decoded) + Send + use<> {
        let tests = self.tests.clone();
        let mut preparer = (!self.uid_at.is_empty()).then(|| tracker.preparer());
        move |decoded| {
            if !tests.is_empty() {
                let there = There::of(decoded);
                let rows = Rows::new(decoded, &there);
                let mut keep = vec![true; rows.len()];
                tests.iter().for_each(|(column, test)| test.apply(&(column.fill)(&rows), &mut keep));
                decoded.retain(&keep);
            }
            if let Some(preparer) = &mut preparer {
                decoded.prepare(preparer);
            }
        }
    }

    /// Makes arrays. Columns of packets need no state but the flow.
    pub fn arrays(&self, tracker: &Tracker) -> Make<Made> {
        let (columns, mut prepare) = (self.columns.clone(), self.prepare(tracker));
        Box::new(move |decoded| {
            prepare(decoded);
            let there = There::of(decoded);
            let rows = Rows::new(decoded, &there);
            Made::Arrays(columns.iter().map(|column| (column.fill)(&rows)).collect())
        })
    }

    /// Begins row groups; gives what whoever decodes fills.
    pub fn begin_groups(&mut self) -> Result<Arc<Mutex<Filling>>, ParquetError> {
        let groups = Groups::new(&self.columns, &self.uid_at)?;
        Ok(self.groups.insert(groups).filling.clone())
    }

    /// Looks at what the packets of a batch have, for [`fill`].
    pub fn looks(&self, tracker: &Tracker) -> Make<Made> {
        let mut prepare = self.prepare(tracker);
        Box::new(move |decoded| {
            prepare(decoded);
            Made::There(There::of(decoded))
        })
    }

    /// Does both.
    pub fn fills(&self, tracker: &Tracker, filling: Arc<Mutex<Filling>>) -> Make<Made> {
        let mut looks = self.looks(tracker);
        Box::new(move |decoded| {
            let made = looks(decoded);
            fill(&filling, decoded, made)
        })
    }

    /// A whole row group, if there is one.
    pub fn take_group(&mut self) -> Option<Group> {
        self.groups.as_mut()?.take()
    }

    /// Takes a batch of frames and what was made of it: follows flows, if asked for, and lets go what is complete.
    pub fn frames(
        &mut self,
        decoded: &mut Decoded,
        made: Made,
        tracker: &mut Tracker,
        schema: &SchemaRef,
        ready: &mut VecDeque<RecordBatch>,
    ) {
        let first = tracker.counters().frames + 1;
        let count = decoded.batch.frames.len();
        let mut own = Vec::new();
        let uids = self.groups.as_mut().map_or(&mut own, Groups::uids);
        if !self.uid_at.is_empty() {
            decoded.account(tracker, Some(uids));
            tracker.release();
        }
        match (made, &mut self.groups) {
            (Made::Encoded { there, full }, Some(groups)) => {
                groups.followed(&Rows::new(decoded, &there), full, tracker);
            }
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

/// Puts the rows of a batch into encoders; in the order of the batches.
pub(super) fn fill(filling: &Mutex<Filling>, decoded: &Decoded, made: Made) -> Made {
    let Made::There(there) = made else { return made };
    let full = lock(filling).add(&Rows::new(decoded, &there));
    Made::Encoded { there, full }
}
