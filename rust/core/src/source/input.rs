//! Opening: paths, standard input and readers, with compression taken off.

use super::SourceError;
use super::compress::Compression;
use super::magic::{self, HEAD_LEN, Kind};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing to read frames from.
pub enum Input {
    /// A file, or a named pipe.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// Anything else that gives bytes, with the name that warnings and errors call it by. Each `read` may return less
    /// than asked for; frames are handed over as soon as they are complete.
    Reader(String, Box<dyn Read + Send>),
}

impl Input {
    /// What warnings and errors call it: the path as given, `-` for standard input.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Stdin => "-".to_owned(),
            Self::Reader(name, _) => name.clone(),
        }
    }

    /// Reads enough of a regular file to know that it is a capture; how long it is, unless it is packed. Pipes and
    /// readers are left for their turn.
    pub(super) fn probe(&self) -> Result<Option<u64>, SourceError> {
        let Self::Path(path) = self else {
            return Ok(None);
        };
        let found = std::fs::metadata(path).map_err(|error| io_error(&self.name(), error))?;
        // Not a pipe, whose bytes would be lost; a directory fails here as it would later.
        if found.is_file() || found.is_dir() {
            let opened = open_path(path)?;
            return Ok(opened.stream.compression.is_none().then_some(found.len()));
        }
        Ok(None)
    }
}

/// Names a file; `-` is standard input.
impl From<&str> for Input {
    fn from(name: &str) -> Self {
        Self::from(PathBuf::from(name))
    }
}

/// Names a file; `-` is standard input.
impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::Path(path) }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.name()).finish()
    }
}

/// An input whose kind is known.
pub(super) struct Opened {
    pub name: String,
    pub kind: Kind,
    /// The first bytes, already read; at least [`HEAD_LEN`] unless the input is shorter.
    pub head: Vec<u8>,
    pub stream: Stream,
}

/// The decompressed bytes of an input after its head.
pub(super) struct Stream {
    reader: Box<dyn Read + Send>,
    compression: Option<Compression>,
    /// Bytes may come slowly: take what is there instead of filling the buffer.
    live: bool,
    /// The file that is read as it is, from its beginning.
    file: Option<Arc<File>>,
}

/// Why no bytes came.
pub(super) enum ReadFailure {
    /// A signal arrived while waiting.
    Interrupted,
    /// The compressed data are damaged.
    Damage(String),
    /// The file cannot be read.
    Io(io::Error),
}

impl Stream {
    /// The regular file that this reads as it is, so that it can be read in pieces.
    pub fn file(&self) -> Option<&Arc<File>> {
        self.file.as_ref()
    }

    /// Reads into `buffer` and returns how many bytes came; 0 is the end. A file fills the buffer, a pipe gives what it
    /// has. With a failure the count of bytes before it comes too.
    pub fn read(&mut self, buffer: &mut [u8]) -> (usize, Option<ReadFailure>) {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => {
                    filled += n;
                    if self.live {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted && !self.live => {}
                Err(error) => return (filled, Some(self.failure(error))),
            }
        }
        (filled, None)
    }

    fn failure(&self, error: io::Error) -> ReadFailure {
        match (self.compression, error) {
            (_, error) if error.kind() == ErrorKind::Interrupted => ReadFailure::Interrupted,
            (None, error) => ReadFailure::Io(error),
            (Some(compression), error) => match error.downcast::<OriginError>() {
                Ok(OriginError(error)) => ReadFailure::Io(error),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    ReadFailure::Damage(format!("the {} data end too early", compression.name()))
                }
                Err(error) => ReadFailure::Damage(format!("damaged {} data: {error}", compression.name())),
            },
        }
    }
}

/// Opens an input and looks at its first bytes.
pub(super) fn open(input: Input) -> Result<Opened, SourceError> {
    let name = input.name();
    match input {
        Input::Path(path) => open_path(&path),
        Input::Stdin => {
            let file = io::stdin().as_fd().try_clone_to_owned().map(File::from).map_err(|e| io_error(&name, e))?;
            let live = is_live(&name, &file)?;
            open_reader(name, Box::new(file), live)
        }
        Input::Reader(_, reader) => open_reader(name, reader, true),
    }
}

fn open_path(path: &Path) -> Result<Opened, SourceError> {
    let name = path.display().to_string();
    let file = Arc::new(File::open(path).map_err(|error| io_error(&name, error))?);
    let live = is_live(&name, &file)?;
    let mut opened = open_reader(name, Box::new(file.clone()), live)?;
    opened.stream.file = (!live && opened.stream.compression.is_none()).then_some(file);
    Ok(opened)
}

fn is_live(name: &str, file: &File) -> Result<bool, SourceError> {
    Ok(!file.metadata().map_err(|error| io_error(name, error))?.is_file())
}

fn open_reader(name: String, reader: Box<dyn Read + Send>, live: bool) -> Result<Opened, SourceError> {
    let mut stream = Stream { reader, compression: None, live, file: None };
    let mut head = read_head(&name, &mut stream)?;
    let mut kind = magic::identify(&head);
    if let Kind::Compressed(compression) = kind {
        let raw = Box::new(io::Cursor::new(head).chain(Origin(stream.reader)));
        let reader = compression.decode(raw).map_err(|error| io_error(&name, error))?;
        stream = Stream { reader, compression: Some(compression), live, file: None };
        head = read_head(&name, &mut stream)?;
        kind = magic::identify(&head);
        let what = match kind {
            Kind::Pcap(_) | Kind::Pcapng => {
                return Ok(Opened { name, kind, head, stream });
            }
            Kind::Compressed(inner) => {
                format!("{} data inside {} data", inner.name(), compression.name())
            }
            Kind::Unknown if head.is_empty() => {
                format!("nothing inside the {} data", compression.name())
            }
            Kind::Unknown => format!("{} data: {}", compression.name(), magic::describe(&head)),
        };
        return Err(SourceError::Format { input: name, what });
    }
    if kind == Kind::Unknown {
        return Err(SourceError::Format { what: magic::describe(&head), input: name });
    }
    Ok(Opened { name, kind, head, stream })
}

/// The first [`HEAD_LEN`] bytes, or all when there are fewer.
fn read_head(name: &str, stream: &mut Stream) -> Result<Vec<u8>, SourceError> {
    let mut head = vec![0; HEAD_LEN];
    let mut filled = 0;
    while filled < HEAD_LEN {
        match stream.read(&mut head[filled..]) {
            (0, None) => break,
            (n, None | Some(ReadFailure::Interrupted)) => filled += n,
            (_, Some(ReadFailure::Io(error))) => return Err(io_error(name, error)),
            // Damaged from the start: what came before it decides whether it is a capture at all.
            (0, Some(ReadFailure::Damage(what))) if filled == 0 => {
                return Err(SourceError::Format { input: name.to_owned(), what });
            }
            (n, Some(ReadFailure::Damage(_))) => {
                filled += n;
                break;
            }
        }
    }
    head.truncate(filled);
    Ok(head)
}

/// An operating system error about an input.
pub(super) fn io_error(name: &str, error: io::Error) -> SourceError {
    SourceError::Io { input: name.to_owned(), error }
}

/// The reader under a decoder: its own errors pass through marked, so that a disk error is not taken for bad data.
struct Origin(Box<dyn Read + Send>);

impl Read for Origin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                // The decoders do not promise to survive an interruption in the middle of a header.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::new(error.kind(), OriginError(error))),
                Ok(n) => return Ok(n),
            }
        }
    }
}

#[derive(Debug)]
struct OriginError(io::Error);

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for OriginError {}
