//! One direction of an HTTP/1 connection: messages one after another (RFC 9112, 6 and 7).

use super::head::{self, Head, Length, Looks, Start, end as head_end};
use crate::stream::Place;

/// Longest head that is read, bytes. Servers take 8 to 64 KiB.
pub const MAX_HEAD: usize = 1 << 18;

/// Longest chunk-size line or trailer section, bytes.
const MAX_LINE: usize = 1 << 13;

/// Where the body of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Where the stream ends.
    UntilClose,
    /// The message ends the protocol: what follows belongs to another.
    Switch,
}

/// What one step found.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A head. [`Message::body`] must be called before the next step; but with a fault the message ends here.
    Head(Box<Head>, Place, Option<&'static str>),
    /// Bytes of the body.
    Body(&'a [u8]),
    /// So many bytes of the body are missing.
    Missing(u64),
    /// What was found behind a hole, and taken for a message or what follows one, is none.
    Garbled,
    /// The message is over; the fault says why it is not whole.
    End(Place, Option<&'static str>),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Between messages, or within a head.
    Head,
    /// A head was given; its body's framing is not known yet.
    Told,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    UntilClose,
    /// Behind a hole: a message is looked for at the start of each piece.
    Lost,
    /// Not HTTP any more.
    Over,
}

/// The parser of one direction.
#[derive(Debug)]
pub struct Message {
    state: State,
    /// A head or a line in the making.
    buffer: Vec<u8>,
    first: Place,
    last: Place,
    /// Messages may have got lost in a hole.
    has_lost: bool,
    /// The head that begins behind a hole has a method that is not known: it may be the end of one.
    unsure: bool,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            state: State::Head,
            buffer: Vec::new(),
            first: Place::default(),
            last: Place::default(),
            has_lost: false,
            unsure: false,
        }
    }
}

impl Message {
    /// Whether the parser takes no more input: what follows is not HTTP/1.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether it stands between two messages.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Head && self.buffer.is_empty() || matches!(self.state, State::Lost | State::Over)
    }

    /// Whether there was a hole that may have swallowed whole messages.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// Whether it is behind such a hole, and has found no message yet.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Whether the method of the head just given may be cut.
    pub(super) fn take_unsure(&mut self) -> bool {
        std::mem::take(&mut self.unsure)
    }

    /// Looks for the next message at the start of a later piece.
    pub fn lose(&mut self) {
        self.state = State::Lost;
        self.has_lost = true;
    }

    /// What cannot be read ends the protocol, unless it may be part of a message whose beginning is missing.
    fn give_up(&mut self) {
        self.state = if self.has_lost { State::Lost } else { State::Over };
    }

    /// Place of the last byte taken.
    #[must_use]
    pub fn last(&self) -> Place {
        self.last
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Says how the body of the head just given ends. A message without body is over at once.
    pub fn body(&mut self, framing: Framing) -> Option<Event<'static>> {
        self.state = match framing {
            Framing::None | Framing::Length(0) => return self.end(None),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
            Framing::Switch => {
                let end = self.end(None);
                self.state = State::Over;
                return end;
            }
        };
        None
    }

    fn end(&mut self, fault: Option<&'static str>) -> Option<Event<'static>> {
        self.state = State::Head;
        self.buffer.clear();
        Some(Event::End(self.last, fault))
    }

    fn fail(&mut self, fault: &'static str) -> Option<Event<'static>> {
        self.end(Some(fault));
        self.give_up();
        Some(Event::End(self.last, Some(fault)))
    }

    /// Takes bytes off the front of `input` up to the next event; `None` when all are taken. Behind a gap it must be
    /// called even with no input: the end of a body may be due.
    pub fn step<'a>(&mut self, input: &mut &'a [u8], place: Place) -> Option<Event<'a>> {
        loop {
            if self.state == State::Length(0) {
                return self.end(None);
            }
            if input.is_empty() {
                return None;
            }
            if self.state != State::Lost && self.state != State::Over {
                self.last.reach(place);
            }
            match self.state {
                State::Over => {
                    *input = &[];
                    return None;
                }
                State::Told => return None,
                State::Lost => {
                    let looks = head::looks(input);
                    if !matches!(looks, Looks::Request | Looks::Response) {
                        *input = &[];
                        return None;
                    }
                    self.unsure = looks == Looks::Request && !head::has_known_method(input);
                    self.state = State::Head;
                }
                State::Head => {
                    if let Some(event) = self.head(input, place) {
                        if event == Event::Garbled {
                            *input = &[];
                        }
                        return Some(event);
                    }
                }
                State::Length(left) => {
                    let body = take(input, left);
                    self.state = State::Length(left - body.len() as u64);
                    return Some(Event::Body(body));
                }
                State::UntilClose => return Some(Event::Body(std::mem::take(input))),
                State::Chunk(left) => {
                    let body = take(input, left);
                    let left = left - body.len() as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    return Some(Event::Body(body));
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    if let Some(event) = self.line(input) {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// Takes so many bytes if all of them, and more, belong to a body of known length: what [`Message::step`] would do.
    pub fn within_body(&mut self, len: usize, place: Place) -> bool {
        let State::Length(left) = self.state else { return false };
        let Some(left) = left.checked_sub(len as u64).filter(|left| *left > 0 && len > 0) else { return false };
        self.last.reach(place);
        self.state = State::Length(left);
        true
    }

    fn head<'a>(&mut self, input: &mut &'a [u8], place: Place) -> Option<Event<'a>> {
        if self.buffer.is_empty() {
            *input = head::begin(input);
            if input.is_empty() {
                return None;
            }
            (self.first, self.last) = (place, place);
            if let Some((head, end)) = head::parse_start(input).filter(|(_, end)| *end <= MAX_HEAD) {
                *input = &input[end..];
                return self.told(head, None);
            }
        }
        let before = self.buffer.len();
        let room = MAX_HEAD.saturating_sub(before);
        let (taken, _) = input.split_at(input.len().min(room));
        self.buffer.extend_from_slice(taken);
        // The line end before may be in the buffer already.
        if let Some(end) = head_end(&self.buffer, before.saturating_sub(2)) {
            *input = &input[end - before..];
            let bytes = std::mem::take(&mut self.buffer);
            return self.parsed(&bytes[..end], None);
        }
        *input = &input[taken.len()..];
        if self.buffer.len() >= MAX_HEAD {
            let bytes = std::mem::take(&mut self.buffer);
            let event = self.parsed(&bytes, Some("head longer than 262144 bytes"));
            self.state = State::Over;
            return event;
        }
        if before < 32 && head::looks(&self.buffer) == Looks::No && !self.buffer.starts_with(b"HTTP/") {
            // No method that is known: wait for the line, but not for ever.
            if self.buffer.len() > MAX_LINE && !self.buffer.contains(&b'\n') {
                self.state = State::Over;
                self.buffer = Vec::new();
            }
        }
        None
    }

    fn parsed(&mut self, bytes: &[u8], fault: Option<&'static str>) -> Option<Event<'static>> {
        self.told(head::parse(bytes), fault)
    }

    fn told(&mut self, head: Option<Box<Head>>, fault: Option<&'static str>) -> Option<Event<'static>> {
        let Some(head) = head else {
            self.give_up();
            return self.has_lost.then_some(Event::Garbled);
        };
        self.state = State::Told;
        Some(Event::Head(head, self.first, fault))
    }

    /// Lines within a chunked body.
    fn line<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (taken, rest) = input.split_at(end.unwrap_or(input.len()));
        *input = rest;
        if self.buffer.len() + taken.len() > MAX_LINE {
            return self.fail(if self.state == State::Trailer { "trailer too long" } else { "chunk line too long" });
        }
        self.buffer.extend_from_slice(taken);
        end?;
        let line = std::mem::take(&mut self.buffer);
        let text = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(&line);
        match self.state {
            State::ChunkEnd if text.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return self.fail("no line end behind a chunk"),
            State::ChunkSize => match chunk_size(text) {
                None => return self.fail("bad chunk size"),
                Some(0) => self.state = State::Trailer,
                Some(size) => self.state = State::Chunk(size),
            },
            State::Trailer if text.is_empty() => return self.end(None),
            _ => {}
        }
        self.buffer = line;
        self.buffer.clear();
        None
    }

    /// So many bytes are missing here. May have to be called again while it returns an event and `len` is not 0.
    pub fn gap(&mut self, len: &mut u64, place: Place) -> Option<Event<'static>> {
        let missing = *len;
        if missing == 0 {
            return None;
        }
        match self.state {
            State::Over | State::Lost => {
                *len = 0;
                None
            }
            State::Length(0) => self.end(None),
            State::Length(left) => {
                self.last.reach(place);
                let part = missing.min(left);
                *len -= part;
                self.state = State::Length(left - part);
                Some(Event::Missing(part))
            }
            State::Chunk(left) if missing <= left => {
                self.last.reach(place);
                *len = 0;
                self.state = if missing == left { State::ChunkEnd } else { State::Chunk(left - missing) };
                Some(Event::Missing(missing))
            }
            State::UntilClose => {
                self.last.reach(place);
                *len = 0;
                Some(Event::Missing(missing))
            }
            State::Head | State::Told => {
                *len = 0;
                let bytes = std::mem::take(&mut self.buffer);
                let head = self.cut(&bytes, "bytes are missing in the head");
                self.lose();
                head
            }
            State::Chunk(_) | State::ChunkSize | State::ChunkEnd | State::Trailer => {
                *len = 0;
                self.end(None);
                self.lose();
                Some(Event::End(self.last, Some("bytes are missing between chunks")))
            }
        }
    }

    /// A head of which only the beginning is there.
    fn cut(&mut self, bytes: &[u8], fault: &'static str) -> Option<Event<'static>> {
        self.state = State::Over;
        let head = head::parse(bytes).or_else(|| head::parse_cut(bytes))?;
        Some(Event::Head(head, self.first, Some(fault)))
    }

    /// Whether the body is known to have no more bytes, though the message goes on (RFC 9112, 7.1).
    pub fn has_last_chunk(&self) -> bool {
        matches!(self.state, State::Trailer)
    }

    /// The stream is over. `whole`: with a FIN at that place, everything before it seen.
    pub fn close(&mut self, whole: bool, place: Place) -> Option<Event<'static>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::UntilClose => {
                if whole {
                    self.last.reach(place);
                }
                let fault = if whole { None } else { Some("the end was not seen") };
                Some(Event::End(self.last, fault))
            }
            State::Length(_) | State::Chunk(_) | State::ChunkSize | State::ChunkEnd | State::Trailer => {
                Some(Event::End(self.last, Some("the body ends early")))
            }
            State::Head if !self.buffer.is_empty() => {
                let bytes = std::mem::take(&mut self.buffer);
                self.cut(&bytes, "the head ends early")
            }
            State::Head | State::Told | State::Lost | State::Over => None,
        }
    }
}

fn take<'a>(input: &mut &'a [u8], at_most: u64) -> &'a [u8] {
    let len = usize::try_from(at_most).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(len);
    *input = rest;
    taken
}

/// Size of a chunk, of any number of digits (RFC 9112, 7.1); extensions behind `;` are passed over (7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None; // `from_str_radix` would take a sign
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl Head {
    /// How the body of this message ends (RFC 9112, 6.3), and what is wrong with what it says about that.
    /// `method`: of the request, when this is the response to a known one.
    #[must_use]
    pub fn framing(&self, method: Option<&str>) -> (Framing, Option<&'static str>) {
        // Empty elements of a list do not count (RFC 9110, 5.6.1.2).
        let codings = self.transfer_encoding.as_deref().map(|list| list.rsplit(',').map(str::trim));
        let last = codings.and_then(|mut all| all.find(|coding| !coding.is_empty()));
        let chunked = last.map(|coding| coding == "chunked");
        let is_request = matches!(self.start, Start::Request { .. });
        if let Start::Response { status, .. } = self.start {
            match (status, method) {
                (101, _) => return (Framing::Switch, None),
                (200..=299, Some("CONNECT")) => return (Framing::Switch, None),
                (_, Some("HEAD")) | (100..=199 | 204 | 304, _) => return (Framing::None, None),
                _ => {}
            }
        }
        let until_close = if is_request { Framing::None } else { Framing::UntilClose };
        match (chunked, self.length) {
            (Some(true), Length::Absent) => (Framing::Chunked, None),
            (Some(true), _) => (Framing::Chunked, Some("both Transfer-Encoding and Content-Length")),
            (Some(false), _) if is_request => (Framing::None, Some("Transfer-Encoding does not end in chunked")),
            (Some(false), _) => (Framing::UntilClose, None),
            (None, Length::Absent) => (until_close, None),
            (None, Length::Bytes(length)) => (Framing::Length(length), None),
            (None, Length::Several(length)) => (Framing::Length(length), Some("several Content-Lengths that differ")),
            (None, Length::Bad) => (until_close, Some("Content-Length is no number")),
        }
    }
}
