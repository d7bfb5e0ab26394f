//! Bodies: counted, hashed, their content coding undone (RFC 9110, 8.4), and handed to a file if somebody wants one.

use sha2::{Digest, Sha256};
use std::io::{Error, Result, Write};

/// Longest body that comes out of a content coding, bytes. What is longer is a decompression bomb or a disk image.
pub const MAX_DECODED: u64 = 1 << 28;

/// Coded bytes that are kept until the first decoded byte shows that the coding is what the head says.
const MAX_PREFIX: usize = 1 << 12;

/// Until then the decoder gets them in blocks of this length, so that the verdict is the same however they arrive.
const BLOCK: usize = 1 << 8;

/// Most codings that one body may have on top of each other.
const MAX_CODINGS: usize = 4;

/// Missing bytes of a body that are hashed as NUL. Beyond, it has no hash: a few segments that claim to be far apart would
/// cost seconds.
const MAX_HASHED_GAP: u64 = 1 << 24;

/// Where a body is written, if anywhere.
pub type BodyFile = super::spool::Spool;

/// The end of a chain of decoders.
struct Sink {
    hash: Option<Sha256>,
    len: u64,
    limit: u64,
    over: bool,
    file: Option<BodyFile>,
    failed: Option<String>,
}

impl Sink {
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
            self.failed = Some(super::spool::reason(&error));
            self.file = None;
        }
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
trait Coding: Write + Send + Sync {
    /// Ends the coding; what it held back goes on.
    fn end(self: Box<Self>) -> (Result<()>, Sink);
    /// The sink at the end.
    fn sink(&mut self) -> &mut Sink;
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
        self.0.as_mut().map_or(Ok(bytes.len()), |next| next.write(bytes))
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
            None => (result, Sink { hash: None, len: 0, limit: 0, over: false, file: None, failed: None }),
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
            None => self.next.take().unwrap_or(Next(None)).end(Ok(())),
        }
    }
    fn sink(&mut self) -> &mut Sink {
        match &mut self.inner {
            Some(inner) => inner.sink(),
            None => self.next.as_mut().map(Next::sink).expect("either the decoder or what it will write to is there"),
        }
    }
}

/// The decoder of one coding; `None` if the coding is unknown.
fn decoder(name: &str, next: Box<dyn Coding>) -> std::result::Result<Box<dyn Coding>, Box<dyn Coding>> {
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

/// A body as it comes.
pub struct Body {
    len: u64,
    missing: Vec<(u64, u64)>,
    missing_bytes: u64,
    chain: Option<Box<dyn Coding>>,
    /// All coded bytes so far, until the first decoded one; those behind the last whole block wait here.
    prefix: Option<Vec<u8>>,
    coded: bool,
    fault: Option<&'static str>,
}

/// What a body was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Bytes as transferred, chunk framing taken off, coding not undone; missing ones counted.
    pub len: u64,
    /// Ranges of these that were not captured: first byte, one behind the last.
    pub missing: Vec<(u64, u64)>,
    /// Bytes with the coding undone.
    pub decoded_len: u64,
    /// SHA-256 of those, NUL where they are missing, if it was asked for and no more than 16 MiB are.
    pub sha256: Option<[u8; 32]>,
    /// Why the coding could not be undone to the end, or the file not written.
    pub fault: Option<&'static str>,
    /// Why the file could not be written.
    pub write_error: Option<String>,
}

/// More missing ranges than this of one body are joined to the last one, what was captured between them included.
const MAX_MISSING: usize = 1000;

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("len", &self.len).field("missing", &self.missing).finish_non_exhaustive()
    }
}

impl Body {
    /// A body that begins. `encoding`: its Content-Encoding, lower case; `hash`: work out its SHA-256.
    #[must_use]
    pub fn new(encoding: Option<&str>, hash: bool, file: Option<BodyFile>, limit: u64) -> Self {
        let mut body = Self {
            len: 0,
            missing: Vec::new(),
            missing_bytes: 0,
            chain: None,
            prefix: None,
            coded: false,
            fault: None,
        };
        if !hash && file.is_none() {
            return body;
        }
        let hash = hash.then(Sha256::new);
        let mut chain: Box<dyn Coding> = Box::new(Sink { hash, len: 0, limit, over: false, file, failed: None });
        let codings: Vec<&str> = encoding.map_or(Vec::new(), |list| list.split(',').map(str::trim).collect());
        if codings.len() > MAX_CODINGS {
            body.fault = Some("too many content codings");
        } else {
            // Listed in the order applied (RFC 9110, 8.4): the last is undone first, so it stands outermost.
            for name in codings {
                match decoder(name, chain) {
                    Ok(next) => {
                        chain = next;
                        if !matches!(name, "identity" | "") {
                            body.prefix = Some(Vec::new());
                            body.coded = true;
                        }
                    }
                    Err(unchanged) => {
                        // Kept as transferred from here on.
                        chain = unchanged;
                        body.fault = Some("unknown content coding");
                    }
                }
            }
        }
        body.chain = Some(chain);
        body
    }

    /// Bytes so far, missing ones counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there has been no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next bytes.
    pub fn data(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let mut rest = bytes;
        while let Some(prefix) = &mut self.prefix
            && !rest.is_empty()
        {
            let room = BLOCK - prefix.len() % BLOCK;
            let (now, later) = rest.split_at(room.min(rest.len()));
            prefix.extend_from_slice(now);
            rest = later;
            if now.len() == room {
                self.decode_block(BLOCK);
            }
        }
        if !rest.is_empty() && self.chain.as_mut().is_some_and(|chain| chain.write_all(rest).is_err()) {
            self.give_up();
        }
    }

    /// Hands the last `len` bytes of the prefix to the decoder.
    fn decode_block(&mut self, len: usize) {
        let (Some(prefix), Some(chain)) = (&self.prefix, &mut self.chain) else { return };
        if chain.write_all(&prefix[prefix.len() - len..]).is_err() {
            self.give_up();
            self.prefix = None;
        } else if chain.sink().len > 0 || prefix.len() >= MAX_PREFIX {
            self.prefix = None;
        }
    }

    /// Hands over what waits for a whole block: nothing more will come to it.
    fn decode_rest(&mut self) {
        match self.prefix.as_ref().map(|prefix| prefix.len() % BLOCK) {
            Some(len) if len > 0 => self.decode_block(len),
            _ => {}
        }
    }

    /// The coding cannot be undone: what came out stays; if nothing did, the body is kept as transferred.
    fn give_up(&mut self) {
        let Some(chain) = self.chain.take() else { return };
        let (_, sink) = chain.end();
        let (sink, plain) = self.fall_back(sink);
        self.chain = Some(if plain { Box::new(sink) } else { Box::new(Stopped(sink)) });
    }

    /// Says why a coding failed; `true` if the body goes on as transferred.
    fn fall_back(&mut self, mut sink: Sink) -> (Sink, bool) {
        if sink.over {
            self.fault = Some("decoded body longer than the limit");
            return (sink, false);
        }
        self.fault = Some("content coding damaged");
        if let Some(prefix) = self.prefix.take()
            && sink.len == 0
            && sink.write_all(&prefix).is_ok()
        {
            self.fault = Some("not in the content coding that its head names");
            return (sink, true);
        }
        (sink, false)
    }

    /// So many bytes are missing. A plain body has NUL bytes there, so that what follows stays in its place; behind a
    /// hole in a coded one nothing can be decoded.
    pub fn gap(&mut self, len: u64) {
        self.decode_rest();
        let from = self.len;
        self.len += len;
        self.missing_bytes += len;
        let full = self.missing.len() >= MAX_MISSING;
        match self.missing.last_mut() {
            Some(range) if range.1 == from || full => range.1 = self.len,
            _ => self.missing.push((from, self.len)),
        }
        if self.coded {
            if let Some(chain) = self.chain.take() {
                self.chain = Some(Box::new(Stopped(chain.end().1)));
                self.prefix = None;
                self.fault.get_or_insert("bytes are missing within a content coding");
            }
            return;
        }
        let hash = self.missing_bytes <= MAX_HASHED_GAP;
        if self.chain.as_mut().is_some_and(|chain| chain.zeros(len, hash).is_err()) {
            self.give_up();
        }
    }

    /// The body is over. The file, if there was one, comes back.
    #[must_use]
    pub fn finish(mut self) -> (Finished, Option<BodyFile>) {
        self.decode_rest();
        let mut finished = Finished { len: self.len, ..Finished::default() };
        finished.missing = std::mem::take(&mut self.missing);
        let Some(chain) = self.chain.take() else { return (finished, None) };
        let (result, mut sink) = chain.end();
        // A body of no bytes is empty whatever its coding, as one of Content-Length 0 is.
        if result.is_err() && self.fault.is_none() && self.len > 0 {
            (sink, _) = self.fall_back(sink);
        }
        finished.fault = self.fault;
        finished.decoded_len = sink.len;
        finished.sha256 = sink.hash.map(|hash| hash.finalize().into());
        finished.write_error = sink.failed;
        (finished, sink.file)
    }
}

/// A sink that takes nothing more.
struct Stopped(Sink);

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
