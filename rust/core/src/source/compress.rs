//! gzip and zstd, decoded as the bytes come.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Compressed bytes asked for at once; a slow pipe gives what it has.
const INPUT_BUFFER: usize = 128 << 10;

/// A compression that captures are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1952, any number of members, zeros behind them.
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
            Self::Gzip => Box::new(Members(Some(GzDecoder::new(raw)))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
        })
    }
}

/// First byte of a member (RFC 1952, 2.3.1).
const ID1: u8 = 0x1f;

/// The members of a gzip file, one behind the other. What tapes and disks put behind the last one, zeros, is no part of it,
/// as to gzip(1).
struct Members<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let len = member.read(buffer)?;
            if len > 0 || buffer.is_empty() {
                return Ok(len);
            }
            if let Some(ended) = self.0.take() {
                self.0 = behind(ended.into_inner())?.map(GzDecoder::new);
            }
        }
        Ok(0)
    }
}

/// The bytes at the next member; `None` if there is none.
fn behind<R: BufRead>(mut raw: R) -> io::Result<Option<R>> {
    let mut is_padded = false;
    loop {
        let bytes = raw.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        match bytes.get(zeros) {
            Some(&ID1) if !is_padded && zeros == 0 => return Ok(Some(raw)),
            Some(_) => return Err(io::Error::new(ErrorKind::InvalidData, "something else follows its end")),
            None if bytes.is_empty() => return Ok(None),
            None => raw.consume(zeros),
        }
        is_padded = true;
    }
}
