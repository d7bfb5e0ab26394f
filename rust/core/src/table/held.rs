//! Rows of packets that wait for the flow they belong to.

use super::packets;
use super::sink::Arrow;
use crate::track::Uid;
use arrow_array::{RecordBatch, RecordBatchOptions};
use std::collections::VecDeque;

/// Rows of packets some of which may belong to a flow that is not known yet.
pub(super) struct Held {
    pub batch: RecordBatch,
    /// Which frame of the tracker's the first row is.
    pub first: u64,
    pub uids: Vec<Option<Uid>>,
}

/// Fills in flows that have become known and lets go the batches ahead of the first frame that still waits.
pub(super) fn name_held(
    held: &mut VecDeque<Held>,
    named: Vec<(u64, Uid)>,
    waits: Option<u64>,
    ready: &mut VecDeque<RecordBatch>,
) {
    for (frame, uid) in named {
        let at = held.partition_point(|one| one.first <= frame);
        if let Some(one) = at.checked_sub(1).and_then(|at| held.get_mut(at))
            && let Some(slot) = one.uids.get_mut((frame - one.first) as usize)
        {
            *slot = Some(uid);
        }
    }
    while held.front().is_some_and(|one| waits.is_none_or(|first| one.first + one.uids.len() as u64 <= first)) {
        let Some(one) = held.pop_front() else { return };
        let (schema, mut columns, _) = one.batch.into_parts();
        for (field, column) in schema.fields().iter().zip(&mut columns) {
            if field.name() == packets::UID {
                *column = packets::uids(one.uids.iter().copied(), Arrow);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(one.uids.len()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options);
        ready.push_back(batch.expect("the same columns, one of them with other values"));
    }
}
