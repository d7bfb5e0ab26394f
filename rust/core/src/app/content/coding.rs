//! Content codings (RFC 9110, 8.4) undone: a chain of decoders that write into each other, the last into a sink.

use super::BodyFile;
use sha2::{Digest, Sha256};
use std::io::{Error, Result, Write};

/// Bytes that one body's decoders may hand to each other, all together: what comes out of the last has its own limit, but
/// may be nothing.
const MAX_BETWEEN: u64 = 1 << 28;

/// The end of a chain of decoders.
pub(super) struct Sink {
    pub hash: Option<Sha256>,
    /// Bytes so far, of `limit`.
    pub len: u64,
    limit: u64,
    /// Bytes so far from one decoder to another, of [`MAX_BETWEEN`].
    between: u64,
    /// One of the two was not enough.
    pub over: bool,
    pub file: Option<BodyFile>,
    /// Why there is no file any more.
    pub failed: Option<String>,
}

impl Sink {
    pub fn new(hash: Option<Sha256>, file: Option<BodyFile>, limit: u64) -> Self {
        Self { hash, len: 0, limit, between: 0, over: false, file, failed: None }
    }

    /// How many of `len` bytes there is room for; they count.
    fn take(&mut self, len: u64) -> u64 {
        let taken = len.min(self.limit - self.len);
        self.len += taken;
        self.over |= taken < len;
        taken
    }

    /// Gives the file up if it could not be written: what there is of it makes room.
    fn wrote(&mut self, result: Option<Result<()>>) -> Result<()> {
        if let Some(Err(error)) = result {
            self.failed = Some(crate::app::spool::reason(&error));
            self.file = None;
        }
        self.within()
    }

    fn within(&self) -> Result<()> {
        if self.over { Err(Error::other("over the limit")) } else { Ok(()) }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = &bytes[..self.take(bytes.len() as u64) as usize];
        if let Some(hash) = &mut self.hash {
            hash.update(taken);
        }
        let result = self.file.as_mut().map(|file| file.write_all(taken));
        self.wrote(result).map(|()| taken.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A decoder that writes into the next one.
pub(super) trait Coding: Write + Send + Sync {
    /// Ends the coding; what it held back goes on.
    fn end(self: Box<Self>) -> (Result<()>, Sink);
    /// The sink at the end.
    fn sink(&mut self) -> &mut Sink;
    /// So many bytes come from another decoder: they count. Not those that the sink gets, which it counts itself.
    fn between(&mut self, len: usize) -> Result<()> {
        let sink = self.sink();
        sink.between += len as u64;
        sink.over |= sink.between > MAX_BETWEEN;
        sink.within()
    }
    /// So many NUL bytes, hashed if asked to. Only what is not coded takes them.
    fn zeros(&mut self, _len: u64, _hash: bool) -> Result<()> {
        Ok(())
    }
}

impl Coding for Sink {
    fn end(self: Box<Self>) -> (Result<()>, Sink) {
        (Ok(()), *self)
    }
    fn sink(&mut self) -> &mut Sink {
        self
    }
    fn between(&mut self, _len: usize) -> Result<()> {
        Ok(())
    }
    fn zeros(&mut self, len: u64, hash: bool) -> Result<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let taken = self.take(len);
        self.hash = self.hash.take().filter(|_| hash);
        if let Some(hash) = &mut self.hash {
            let parts = (0..taken).step_by(ZEROS.len()).map(|at| (taken - at).min(ZEROS.len() as u64));
            parts.for_each(|part| hash.update(&ZEROS[..part as usize]));
        }
        let result = self.file.as_mut().map(|file| file.skip(taken));
        self.wrote(result)
    }
}

/// The link between two decoders: those of other crates own what they write to.
struct Next(Option<Box<dyn Coding>>);

impl Write for Next {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let Some(next) = &mut self.0 else { return Ok(bytes.len()) };
        next.between(bytes.len())?;
        next.write_all(bytes).map(|()| bytes.len())
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Next {
    fn end(&mut self, result: Result<()>) -> (Result<()>, Sink) {
        match self.0.take() {
            Some(next) => {
                let (rest, sink) = next.end();
                (result.and(rest), sink)
            }
            None => (result, Sink::new(None, None, 0)),
        }
    }
    fn sink(&mut self) -> &mut Sink {
        // Emptied only by `end`, which consumes the decoder around it.
        self.0.as_mut().map(|next| next.sink()).expect("a decoder has its sink until it ends")
    }
}

macro_rules! coding {
    ($type:ty, $finish:ident, $next:ident) => {
        impl Coding for $type {
            fn end(mut self: Box<Self>) -> (Result<()>, Sink) {
                let result = self.$finish();
                self.$next().end(result)
            }
            fn sink(&mut self) -> &mut Sink {
                self.$next().sink()
            }
        }
    };
}

coding!(flate2::write::MultiGzDecoder<Next>, try_finish, get_mut);
coding!(flate2::write::ZlibDecoder<Next>, try_finish, get_mut);
coding!(flate2::write::DeflateDecoder<Next>, try_finish, get_mut);
coding!(brotli_decompressor::DecompressorWriter<Next>, close, get_mut);
// `zstd::stream::write::Decoder` does not say whether the last frame was whole (RFC 8878, 3.1).
coding!(zstd::stream::zio::Writer<Next, zstd::stream::raw::Decoder<'static>>, finish, writer_mut);

/// `deflate` means zlib (RFC 9110, 8.4.1.2), but some senders leave the wrapper out: the first two bytes tell.
struct Deflate {
    next: Option<Next>,
    first: Vec<u8>,
    inner: Option<Box<dyn Coding>>,
}

impl Write for Deflate {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if let Some(inner) = &mut self.inner {
            return inner.write(bytes);
        }
        self.first.extend_from_slice(bytes);
        if let [a, b, ..] = self.first[..]
            && let Some(next) = self.next.take()
        {
            let zlib = a & 0x0f == 8 && (u16::from(a) << 8 | u16::from(b)).is_multiple_of(31);
            let mut inner: Box<dyn Coding> = if zlib {
                Box::new(flate2::write::ZlibDecoder::new(next))
            } else {
                Box::new(flate2::write::DeflateDecoder::new(next))
            };
            let result = inner.write_all(&std::mem::take(&mut self.first));
            self.inner = Some(inner);
            result?;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Coding for Deflate {
    fn end(mut self: Box<Self>) -> (Result<()>, Sink) {
        match self.inner.take() {
            Some(inner) => inner.end(),
            None => {
                let cut = if self.first.is_empty() { Ok(()) } else { Err(Error::other("one byte")) };
                self.next.take().unwrap_or(Next(None)).end(cut)
            }
        }
    }
    fn sink(&mut self) -> &mut Sink {
        match &mut self.inner {
            Some(inner) => inner.sink(),
            None => self.next.as_mut().map(Next::sink).expect("either the decoder or what it will write to is there"),
        }
    }
}

/// The decoder of one coding; what it was to write to if the coding is unknown.
pub(super) fn decoder(name: &str, next: Box<dyn Coding>) -> std::result::Result<Box<dyn Coding>, Box<dyn Coding>> {
    const BUFFER: usize = 1 << 14;
    Ok(match name {
        "identity" | "" => next,
        "gzip" | "x-gzip" => Box::new(flate2::write::MultiGzDecoder::new(Next(Some(next)))),
        "deflate" => Box::new(Deflate { next: Some(Next(Some(next))), first: Vec::new(), inner: None }),
        "br" => Box::new(brotli_decompressor::DecompressorWriter::new(Next(Some(next)), BUFFER)),
        "zstd" => {
            // 8 MiB windows at most (RFC 9659).
            let made = zstd::stream::raw::Decoder::new()
                .and_then(|mut raw| raw.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(23)).map(|()| raw));
            match made {
                Ok(raw) => Box::new(zstd::stream::zio::Writer::new(Next(Some(next)), raw)),
                Err(_) => return Err(next),
            }
        }
        _ => return Err(next),
    })
}

/// A sink that takes nothing more.
pub(super) struct Stopped(pub Sink);

impl Write for Stopped {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Coding for Stopped {
    fn end(self: Box<Self>) -> (Result<()>, Sink) {
        (Ok(()), self.0)
    }
    fn sink(&mut self) -> &mut Sink {
        &mut self.0
    }
}
