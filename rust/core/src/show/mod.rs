//! Decoded frames as text.

mod bytes;
mod canonical;
mod control;
mod hex;
mod line;
mod sequence;
mod text;

pub use canonical::canonical_line;
pub use hex::{ascii, hex, hex_and_ascii};
pub use text::{Dump, TextPrinter};
pub use line::{LineOptions, LinePrinter, Time};
