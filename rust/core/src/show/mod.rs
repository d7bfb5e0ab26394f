//! Decoded frames as text.

mod bytes;
mod canonical;
mod control;
mod hex;
mod line;
mod sequence;

pub use canonical::canonical_line;
pub use hex::{ascii, hex, hex_and_ascii};
pub use line::{LineOptions, LinePrinter, Time};
