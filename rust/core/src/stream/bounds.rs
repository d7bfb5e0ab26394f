//! How much is kept of streams, and what did not fit.

use super::Overlap;
use serde::{Deserialize, Serialize};

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that one direction holds back while earlier ones are missing.
    pub per_stream: usize,
    /// The same for all streams together.
    pub in_all: usize,
    /// Streams at a time; the oldest is given up beyond.
    pub streams: usize,
    /// Whose bytes win where segments overlap.
    pub overlap: Overlap,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_stream: 4 << 20, in_all: 256 << 20, streams: 1 << 16, overlap: Overlap::First }
    }
}

/// What did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Streams opened.
    pub streams: u64,
    /// Streams given up because there were too many.
    pub evicted_streams: u64,
    /// Holes given up because too much waited behind them.
    pub evicted_holes: u64,
    /// Bytes that were never captured.
    pub missing: u64,
    /// Bytes that came twice with different values.
    pub conflicting: u64,
}
