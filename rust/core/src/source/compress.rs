//! gzip and zstd, decoded as the bytes come.

use std::io::{self, BufReader, Read};

/// Compressed bytes asked for at once; a slow pipe gives what it has.
const INPUT_BUFFER: usize = 128 << 10;

/// A compression that captures are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames, window up to 128 MiB (the decoder's own limit).
    Zstd,
}

impl Compression {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Decompressed bytes of `raw`.
    ///
    /// # Errors
    /// When the decoder cannot be set up for want of memory.
    pub fn decode(self, raw: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let raw = BufReader::with_capacity(INPUT_BUFFER, raw);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
        })
    }
}
