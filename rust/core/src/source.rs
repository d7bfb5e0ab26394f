//! Where frames come from. A source fills batches until it has no more; damage ends it with a warning, never a panic.

use crate::frame::FrameBatch;
use std::fmt;

/// Something that is wrong with an input but did not stop the frames before it from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file (or `-`).
    pub input: String,
    /// Byte offset in the (decompressed) input where the damage was met.
    pub offset: u64,
    /// What is wrong, in one line, without the file name.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at byte {}: {}", self.input, self.offset, self.what)
    }
}

/// Why an input gave no frames at all, or why reading it failed outside the data itself.
#[derive(Debug)]
pub enum SourceError {
    /// The operating system said no.
    Io {
        /// The file.
        input: String,
        /// The reason.
        error: std::io::Error,
    },
    /// Not a capture: unknown magic, empty file.
    Format {
        /// The file.
        input: String,
        /// What it is instead, in one line.
        what: String,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { input, error } => write!(f, "{input}: {error}"),
            Self::Format { input, what } => write!(f, "{input}: {what}"),
        }
    }
}

impl std::error::Error for SourceError {}

/// A supplier of frames, in capture order.
pub trait Source: Send {
    /// Clears `batch` and fills it with the next frames.
    ///
    /// `Ok(false)` means the end: the batch is empty and stays so. Frame numbers go on from batch to batch.
    ///
    /// # Errors
    /// [`SourceError`] when the input cannot be read as a capture at all.
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError>;

    /// Takes the warnings met so far.
    fn take_warnings(&mut self) -> Vec<Warning>;
}
