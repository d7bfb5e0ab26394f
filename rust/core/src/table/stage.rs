//! What a table needs to be made beside flows and packets.

use crate::app::{Row, Wants};
use crate::neighbor::Known;
use crate::packet::Packet;
use crate::pipeline::Decoded;
use crate::track::{Points, Tracker};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::collections::VecDeque;

/// A table that is made from decoded frames one batch after another, beside flows and packets.
pub trait Stage: Send + Sync {
    /// The schema; its metadata is complete after [`Stage::end`].
    fn schema(&self) -> SchemaRef;
    /// Looks at a batch of frames; rows that are ready go to `out`.
    fn frames(&mut self, decoded: &Decoded, out: &mut VecDeque<RecordBatch>);
    /// The input has ended: the rows that waited for that go to `out`.
    fn end(&mut self, out: &mut VecDeque<RecordBatch>);
    /// What it wants of the application protocols; [`Stage::said`] gets it.
    fn wants(&self) -> Wants {
        Wants::default()
    }
    /// Whether a packet may carry something of that.
    fn listens(&self, _packet: &Packet) -> bool {
        true
    }
    /// Takes what flows have said.
    fn said(&mut self, _rows: Vec<Row>, _points: &Points) {}
    /// Rows that are new or have changed since it was last asked, with a last column that says in what way.
    fn news(&mut self) -> Option<RecordBatch> {
        None
    }
    /// What a later run can start from, for tables that say so.
    fn known(&self) -> Vec<Known> {
        Vec::new()
    }
}

/// Gives a stage what its flows have said by now.
pub(super) fn hand_over(tracker: &mut Tracker, stage: &mut dyn Stage) {
    tracker.release();
    let Some(streams) = tracker.streams() else { return };
    let said = std::mem::take(streams.rows());
    if !said.is_empty() {
        stage.said(said, tracker.points());
    }
}
