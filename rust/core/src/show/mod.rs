//! Decoded frames as text.

mod canonical;

pub use canonical::canonical_line;
