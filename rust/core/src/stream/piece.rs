//! What streams are handed out in: bytes with the frame that carried them, or the length of what is missing.

use serde::{Deserialize, Serialize};

/// Where bytes come from: the frame that carried them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Capture time, ns.
    pub ts: i64,
    /// Frame number, from 1.
    pub frame: u64,
    /// The time was recorded: see [`crate::frame::FrameMeta::ts_missing`].
    pub timed: bool,
}

impl Place {
    /// Becomes the later of the two: out of order, a message is whole in the latest frame that it needed, not in that of its
    /// last byte.
    pub fn reach(&mut self, place: Self) {
        if place.frame >= self.frame {
            *self = place;
        }
    }

    /// Its time; `None` if the file has none.
    #[must_use]
    pub fn time(&self) -> Option<i64> {
        self.timed.then_some(self.ts)
    }

    /// From this place to `later`, ns; `None` if the file lacks the time of one.
    #[must_use]
    pub fn until(&self, later: &Self) -> Option<i64> {
        Some(later.time()?.saturating_sub(self.time()?))
    }
}

/// The next part of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes as they were sent.
    Data(&'a [u8], Place),
    /// So many bytes were never captured; the place is that of what showed it.
    Gap(u64, Place),
}
