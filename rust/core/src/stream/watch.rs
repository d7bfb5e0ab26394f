//! Which stream, if any, has a flow's bytes.

use serde::{Deserialize, Serialize};

/// What is done with a flow's bytes: nothing yet, nothing ever, or the number of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch(pub(super) u64);

impl Watch {
    /// Its bytes have not shown yet what they are.
    pub const UNDECIDED: Self = Self(0);
    /// Nothing is wanted of it.
    pub const IGNORED: Self = Self(u64::MAX);

    /// Whether there is a stream.
    #[must_use]
    pub fn is_open(self) -> bool {
        self != Self::UNDECIDED && self != Self::IGNORED
    }
}

/// The slot of a stream, by its number.
pub(super) fn index_of(number: u64) -> usize {
    (number & 0xffff_ffff) as usize
}
