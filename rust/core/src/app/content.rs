//! Bodies: counted, hashed, their content coding undone (RFC 9110, 8.4), and handed to a file if somebody wants one.

mod coding;

use coding::{Coding, Sink, Stopped, decoder};
use sha2::{Digest, Sha256};
use std::io::Write;

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

/// What is done with the bytes of bodies; each step is done with those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// They are counted.
    #[default]
    Count,
    /// Their content coding is undone, which shows whether it is whole and how much comes out.
    Decode,
    /// What comes out is hashed.
    Hash,
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
    /// A body that begins. `encoding`: its Content-Encoding, lower case; `limit`: the longest decoded one, bytes. One that
    /// goes to a file is decoded whatever the `work`.
    #[must_use]
    pub fn new(encoding: Option<&str>, work: Work, file: Option<BodyFile>, limit: u64) -> Self {
        let mut body = Self {
            len: 0,
            missing: Vec::new(),
            missing_bytes: 0,
            chain: None,
            prefix: None,
            coded: false,
            fault: None,
        };
        if work == Work::Count && file.is_none() {
            return body;
        }
        let hash = (work == Work::Hash).then(Sha256::new);
        let mut chain: Box<dyn Coding> = Box::new(Sink::new(hash, file, limit));
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
