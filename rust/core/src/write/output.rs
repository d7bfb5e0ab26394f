//! Where encoded blocks go.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// A place for a capture file: a sequence of bytes whose unfinished end can be cut off.
pub trait Output: Write + Send {
    /// Cuts everything after the first `len` bytes and goes on writing there. A place that cannot (a pipe) does
    /// nothing and says so.
    ///
    /// # Errors
    /// When the end cannot be cut off.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Output for File {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }
}

impl Output for io::Cursor<Vec<u8>> {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.get_mut().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        self.set_position(len);
        Ok(())
    }
}

/// A writer that cannot take anything back, such as a socket.
#[derive(Debug)]
pub struct Unseekable<W>(pub W);

impl<W: Write> Write for Unseekable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Output for Unseekable<W> {
    fn cut(&mut self, _len: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Opens a file for writing, emptied if it exists; `-` is standard output. What [`super::CaptureWriter`] uses unless
/// the caller opens files in another way.
///
/// # Errors
/// The operating system's; a missing directory is named.
pub fn open_output(name: &str) -> io::Result<Box<dyn Output>> {
    if name == "-" {
        // Not through std's handle, which would look for line ends.
        return Ok(Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)));
    }
    let path = Path::new(name);
    match OpenOptions::new().write(true).create(true).truncate(true).open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => match path.parent() {
            Some(parent) if error.kind() == ErrorKind::NotFound && !parent.exists() => {
                Err(io::Error::new(ErrorKind::NotFound, format!("there is no directory {}", parent.display())))
            }
            _ => Err(error),
        },
    }
}
