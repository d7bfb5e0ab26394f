//! What another thread, which decodes, does for the one that follows flows: it works out keys, reads what single segments
//! tell, and makes room.

use super::lookup::{Ahead, fill};
use super::store::{Room, room};
use super::{Points, Tracker, Uid};
use crate::app::{Kept, Wants};
use crate::frame::FrameBatch;
use crate::packet::Packet;
use crate::stream::tell;
use ahash::RandomState;

/// Prepares batches for one tracker. It learns the capture points as that one does.
#[derive(Debug)]
pub struct Preparer {
    points: Points,
    hasher: RandomState,
    wants: Wants,
}

/// What is prepared of a batch.
#[derive(Debug, Default)]
pub struct Prepared {
    /// It is of the batch at hand.
    ready: bool,
    /// At least one a frame; kept, since to write them anew would take as long as to work them out.
    keys: Vec<Ahead>,
    /// Facts by frame, in order.
    told: Vec<(u64, Kept)>,
    room: Option<Room>,
    wants_room: bool,
}

impl Prepared {
    /// Forgets what it was prepared of.
    pub fn clear(&mut self) {
        self.ready = false;
    }
}

impl Preparer {
    /// Prepares a batch: `packets[i]` is the decoded `batch.frames[i]`.
    pub fn prepare(&mut self, batch: &FrameBatch, packets: &[Packet], to: &mut Prepared) {
        self.points.learn(&batch.interfaces);
        if to.keys.len() < batch.frames.len() {
            to.keys.resize(batch.frames.len(), Ahead::default());
        }
        fill(&self.points, &self.hasher, batch, &batch.frames, packets, &mut to.keys);
        to.told.clear();
        if self.wants.facts && !self.wants.rows() {
            self.listen(batch, packets, to);
        }
        if to.wants_room && to.room.is_none() {
            to.room = Some(room());
        }
        to.ready = true;
    }

    /// A batch is not prepared; its capture points are learnt all the same.
    pub fn pass(&mut self, batch: &FrameBatch) {
        self.points.learn(&batch.interfaces);
    }

    /// Reads the segments that decoding has named.
    fn listen(&self, batch: &FrameBatch, packets: &[Packet], to: &mut Prepared) {
        for (meta, packet) in batch.frames.iter().zip(packets) {
            let Some(named) = packet.last_proto().filter(|proto| packet.has_tcp && proto.is_application()) else {
                continue;
            };
            if let Some(facts) = tell(&self.wants, packet, batch.bytes(meta), |one| one.proto == named) {
                to.told.push((meta.number, facts));
            }
        }
    }
}

impl Tracker {
    /// What prepares batches for [`Tracker::prepared_batch`].
    #[must_use]
    pub fn preparer(&self) -> Preparer {
        Preparer { points: self.points.clone(), hasher: self.hasher.clone(), wants: self.options.streams }
    }

    /// Accounts a batch as [`Tracker::batch`] does, with what this tracker's [`Preparer`] has made of it.
    pub fn prepared_batch(
        &mut self,
        batch: &FrameBatch,
        packets: &[Packet],
        prepared: &mut Prepared,
        uids: Option<&mut Vec<Option<Uid>>>,
    ) {
        if !prepared.ready {
            return self.batch(batch, packets, uids);
        }
        if let Some(streams) = &mut self.streams {
            streams.hear(prepared.told.drain(..));
        }
        prepared.wants_room = self.flows.take(prepared.room.take());
        self.keyed_batch(batch, packets, &mut prepared.keys[..batch.frames.len()], uids);
    }
}
