//! Where frames come from. A source fills batches until it has no more; damage ends it with a warning, never a panic.
//!
//! [`CaptureFiles`] reads pcap and pcapng, plain or compressed with gzip or zstd, from paths, standard input and any
//! other reader, one after the other:
//!
//! ```no_run
//! use sniffkit_core::{frame::FrameBatch, source::{CaptureFiles, Input, Source}};
//! let mut files = CaptureFiles::open([Input::from("a.pcap"), Input::from("b.pcapng.zst")])?;
//! let mut batch = FrameBatch::default();
//! while files.next_batch(&mut batch)? {
//!     for frame in &batch.frames {
//!         println!("{} {} bytes", frame.number, batch.bytes(frame).len());
//!     }
//! }
//! for warning in files.take_warnings() {
//!     eprintln!("{warning}");
//! }
//! # Ok::<(), sniffkit_core::source::SourceError>(())
//! ```

mod compress;
mod files;
mod input;
mod interfaces;
mod magic;
mod merged;
mod pcap;
mod pcapng;
mod piece;
mod record;
mod time;

pub use files::{CaptureFiles, ReadOptions};
pub use input::Input;
pub use merged::{MergedFiles, Part, first_time};
pub use piece::Piece;

use crate::frame::{FrameBatch, Interfaces};
use std::fmt;

/// Something that is wrong with an input but did not stop the frames before it from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file (or `-`, or the filter).
    pub input: String,
    /// Byte offset in the (decompressed) input where the damage was met; `None` for what a filter cannot judge.
    pub offset: Option<u64>,
    /// What is wrong, in one line, without the file name.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.input)?;
        self.offset.map_or(Ok(()), |offset| write!(f, "at byte {offset}: "))?;
        f.write_str(&self.what)
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
    /// A capture filter that makes no sense for any link type of the inputs: why, in one line.
    Filter(String),
}

impl SourceError {
    /// Whether it says nothing of the file: this process, or the machine, can have no more files open.
    #[must_use]
    pub fn is_of_process(&self) -> bool {
        use rustix::io::Errno;

        let Self::Io { error, .. } = self else { return false };
        matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { input, error } => {
                let text = error.to_string();
                // "No such file or directory (os error 2)": the number helps nobody who has the words.
                write!(f, "{input}: {}", text.split(" (os error").next().unwrap_or(&text))
            }
            Self::Format { input, what } => write!(f, "{input}: {what}"),
            Self::Filter(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SourceError {}

/// A supplier of frames, in capture order.
pub trait Source: Send {
    /// Clears `batch` and fills it with the next frames.
    ///
    /// `Ok(false)` means the end: the batch has no frames and later calls say the same. `Ok(true)` may come without
    /// frames when a signal interrupted the wait for a slow input: look at the signal and call again. Frame numbers go
    /// on from batch to batch.
    ///
    /// # Errors
    /// [`SourceError`] when the input cannot be read as a capture at all.
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError>;

    /// The next piece of a file that may be read in pieces: where there is one, [`Source::take_piece`] stands for
    /// [`Source::next_batch`].
    ///
    /// # Errors
    /// As [`Source::next_batch`].
    fn next_piece(&mut self) -> Result<Option<Piece>, SourceError> {
        Ok(None)
    }

    /// Takes a piece that was read into `batch.data`, in the order of their numbers, and fills `batch` with the frames that
    /// end in it. There may be none.
    ///
    /// # Errors
    /// As [`Source::next_batch`].
    fn take_piece(&mut self, _piece: Piece, batch: &mut FrameBatch) -> Result<(), SourceError> {
        batch.clear();
        Ok(())
    }

    /// All the interfaces that there are, once no others can come, from here or in a run that goes on elsewhere.
    fn all_interfaces(&self) -> Option<&Interfaces> {
        None
    }

    /// Takes the warnings met so far.
    fn take_warnings(&mut self) -> Vec<Warning>;

    /// How many bytes there are to read, where they are at hand: in files, so that nobody waits for them, and as they
    /// are, so that nothing has to be unpacked.
    fn at_hand(&self) -> Option<u64> {
        None
    }
}
