//! Captures into files: pcapng and pcap, whole or rotated, so written that a file is sound at every moment.
//!
//! [`CaptureWriter`] takes batches of frames; the encodings are in [`pcapng`] and [`pcap`], the naming of rotated
//! files in [`rotation`]. There is no clock here: the caller gives the time and calls [`CaptureWriter::flush`] at least
//! once a second, so that a killed process loses no more than the last second. What reaches the file is always whole
//! blocks, written in one piece.

mod output;
pub mod pcap;
pub mod pcapng;
pub mod rotation;
#[cfg(test)]
mod tests;
mod writer;

pub use output::{Output, Unseekable, open_output};
pub use pcap::Resolution;
pub use pcapng::{InterfaceStatistics, SectionInfo};
pub use rotation::Rotation;
pub use writer::{CaptureWriter, Format, WriteOptions, Written};

use std::fmt;

/// Snap length that every interface is given, whatever the capture cut: tcpdump reads a pcapng file of several
/// interfaces only when all have the same, and this is its own maximum.
pub const SNAP_LEN: u32 = 262_144;

/// Why a capture could not be written.
#[derive(Debug)]
pub enum WriteError {
    /// The operating system said no. What the file holds is whole: an unfinished block at its end has been cut off.
    Io {
        /// The file.
        output: String,
        /// The reason.
        error: std::io::Error,
        /// Frames that were taken and could not be written.
        frames_lost: u64,
    },
    /// The format cannot hold this.
    Unsupported {
        /// The file.
        output: String,
        /// What it is, in one line.
        what: String,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { output, error, frames_lost } => {
                let text = error.to_string();
                write!(f, "{output}: {}", text.split(" (os error").next().unwrap_or(&text))?;
                match frames_lost {
                    0 => Ok(()),
                    1 => write!(f, " (1 frame not written)"),
                    n => write!(f, " ({n} frames not written)"),
                }
            }
            Self::Unsupported { output, what } => write!(f, "{output}: {what}"),
        }
    }
}

impl std::error::Error for WriteError {}
