//! What a table needs to be made beside flows and packets.

use crate::neighbor::Known;
use crate::pipeline::Decoded;
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
    /// What a later run can start from, for tables that say so.
    fn known(&self) -> Vec<Known> {
        Vec::new()
    }
}
