//! Pieces of a file: several threads read them, each into the buffer of its own batch, and hand them back in their order to be
//! parsed. Copying the bytes out of the kernel is a quarter of the work, and parsing, which knows where records begin, a
//! fiftieth.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes kept free in front of a piece, for the start of the record that the piece before it ended in.
pub(super) const ROOM: usize = 64 << 10;

/// A buffer that a huge packet blew up is given back when the next batch does not need it.
const KEEP_FACTOR: usize = 4;

/// A piece of a file, to be read by whoever has it.
#[derive(Debug)]
pub struct Piece {
    /// Pieces are handed back in this order.
    pub number: usize,
    /// Which of a list of files.
    pub(super) of: usize,
    pub(super) file: Arc<File>,
    pub(super) at: u64,
    pub(super) len: usize,
    pub(super) filled: usize,
    pub(super) failure: Option<io::Error>,
}

impl Piece {
    pub(super) fn new(file: Arc<File>, at: u64, len: usize) -> Self {
        Self { number: 0, of: 0, file, at, len, filled: 0, failure: None }
    }

    /// Reads it into a buffer, behind some room. A file that has fewer bytes ends there.
    pub fn read(&mut self, data: &mut Vec<u8>) {
        fit(data, ROOM + self.len);
        while self.filled < self.len {
            match self.file.read_at(&mut data[ROOM + self.filled..ROOM + self.len], self.at + self.filled as u64) {
                Ok(0) => break,
                Ok(n) => self.filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
    }
}

/// Makes a buffer long enough, and not much longer.
pub(super) fn fit(data: &mut Vec<u8>, wanted: usize) {
    if data.len() < wanted {
        data.resize(wanted, 0);
    } else if data.len() > wanted.saturating_mul(KEEP_FACTOR) {
        data.truncate(wanted);
        data.shrink_to_fit();
    }
}
