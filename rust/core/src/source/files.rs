//! The source that reads capture files, one after the other.

use super::input::{self, Input, ReadFailure, Stream, io_error};
use super::interfaces::InterfaceTable;
use super::magic::Kind;
use super::pcap::PcapParser;
use super::pcapng::PcapngParser;
use super::piece::{Piece, ROOM, fit};
use super::record::{Progress, Sink, Stop};
use super::{Source, SourceError, Warning};
use crate::frame::{FrameBatch, FrameMeta, Interfaces};
use std::collections::VecDeque;

/// How captures are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Bytes read at once, and about the size of a batch. The default, 128 KiB, stays in the second-level cache with
    /// what the frames are decoded to.
    pub chunk: usize,
    /// Whether a pcapng custom block is a frame (of [`crate::frame::LinkType::CUSTOM_BLOCK`], without time), so that
    /// frame numbers are those of Wireshark. On by default; without it custom blocks are skipped, as by tcpdump.
    pub custom_blocks: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { chunk: 128 << 10, custom_blocks: true }
    }
}

/// Frames of a list of captures, in the order of the list. Frame numbers run on, and an interface that appears in
/// several files has one index in all of them.
///
/// A damaged file gives the frames before the damage and one [`Warning`]; the next file goes on.
pub struct CaptureFiles {
    waiting: VecDeque<Input>,
    at_hand: Option<u64>,
    current: Option<Reader>,
    options: ReadOptions,
    number: u64,
    interfaces: InterfaceTable,
    warnings: Vec<Warning>,
    /// Files that were opened, and pieces that were given out.
    opened: usize,
    pieces: usize,
}

impl CaptureFiles {
    /// Takes the inputs with default options. Regular files are looked at now, so that a wrong name in a long list is
    /// known before any work; pipes, standard input and readers when their turn comes.
    ///
    /// # Errors
    /// [`SourceError`] for the first file that is missing, unreadable or not a capture.
    pub fn open(inputs: impl IntoIterator<Item = Input>) -> Result<Self, SourceError> {
        Self::with_options(inputs, ReadOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`CaptureFiles::open`].
    pub fn with_options(inputs: impl IntoIterator<Item = Input>, options: ReadOptions) -> Result<Self, SourceError> {
        let waiting: VecDeque<Input> = inputs.into_iter().collect();
        let mut at_hand = Some(0u64);
        for input in &waiting {
            let len = input.probe()?;
            at_hand = at_hand.and_then(|sum| sum.checked_add(len?));
        }
        Ok(Self {
            waiting,
            at_hand,
            current: None,
            options,
            number: 0,
            interfaces: InterfaceTable::default(),
            warnings: Vec::new(),
            opened: 0,
            pieces: 0,
        })
    }

    /// The file that is being read, or else the next; `None`: there is none left.
    fn reader(&mut self) -> Result<Option<&mut Reader>, SourceError> {
        if self.current.is_none() {
            let Some(next) = self.waiting.pop_front() else { return Ok(None) };
            self.current = Some(Reader::open(next, self.options, &mut self.interfaces)?);
            self.opened += 1;
        }
        Ok(self.current.as_mut())
    }

    /// What a file gave: whether there may be frames.
    fn filled(&mut self, filled: Result<Filled, SourceError>, batch: &mut FrameBatch) -> Result<bool, SourceError> {
        match filled {
            Ok(Filled::Frames) => {
                batch.interfaces.clone_from(self.interfaces.list());
                return Ok(true);
            }
            Ok(Filled::End(warning)) => self.warnings.extend(warning),
            Err(error) => {
                self.current = None;
                return Err(error);
            }
        }
        self.current = None;
        Ok(false)
    }
}

impl Source for CaptureFiles {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError> {
        batch.frames.clear();
        while self.reader()?.is_some() {
            let Some(reader) = &mut self.current else { break };
            let mut sink =
                Sink { frames: &mut batch.frames, number: &mut self.number, interfaces: &mut self.interfaces };
            let filled = reader.fill(&mut batch.data, &mut sink);
            if self.filled(filled, batch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, SourceError> {
        let piece = self.reader()?.and_then(Reader::piece);
        Ok(piece.map(|piece| {
            self.pieces += 1;
            Piece { number: self.pieces - 1, of: self.opened, ..piece }
        }))
    }

    fn take_piece(&mut self, piece: Piece, batch: &mut FrameBatch) -> Result<(), SourceError> {
        batch.frames.clear();
        // One behind the end of its file: what was behind it had been given out already.
        let Some(reader) = self.current.as_mut().filter(|_| piece.of == self.opened) else { return Ok(()) };
        let mut sink = Sink { frames: &mut batch.frames, number: &mut self.number, interfaces: &mut self.interfaces };
        let filled = reader.take(piece, &mut batch.data, &mut sink);
        self.filled(filled, batch).map(|_| ())
    }

    fn all_interfaces(&self) -> Option<&Interfaces> {
        let more = |reader: &Reader| matches!(reader.parser, Parser::Pcapng(_));
        (self.waiting.is_empty() && !self.current.as_ref().is_some_and(more)).then(|| self.interfaces.list())
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn at_hand(&self) -> Option<u64> {
        self.at_hand
    }
}

/// What a reader did with a buffer.
pub(super) enum Filled {
    /// It holds frames (none when a signal interrupted the wait).
    Frames,
    /// The input is at its end; what was wrong with it.
    End(Option<Warning>),
}

#[derive(Debug)]
enum Parser {
    Pcap(PcapParser),
    Pcapng(PcapngParser),
}

impl Parser {
    fn parse(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Progress {
        match self {
            Self::Pcap(parser) => parser.parse(data, sink),
            Self::Pcapng(parser) => parser.parse(data, sink),
        }
    }

    /// Whether the start of the file has proved to be that of a capture.
    fn begun(&self) -> bool {
        match self {
            Self::Pcap(_) => true,
            Self::Pcapng(parser) => parser.in_section(),
        }
    }

    /// What it passed over in the data that it was given last, and where.
    fn take_odd(&mut self) -> Option<(usize, String)> {
        match self {
            Self::Pcap(_) => None,
            Self::Pcapng(parser) => parser.take_odd(),
        }
    }

    /// What its records are called in messages.
    fn unit(&self) -> &'static str {
        match self {
            Self::Pcap(_) => "packet record",
            Self::Pcapng(_) => "block",
        }
    }
}

/// One input being read.
pub(super) struct Reader {
    name: String,
    stream: Stream,
    parser: Parser,
    chunk: usize,
    /// Bytes read and not yet parsed: the start of a record.
    carry: Vec<u8>,
    /// Where those stand in the (decompressed) input.
    offset: u64,
    /// How far it has been read, or given out to be.
    next: u64,
    /// Bytes that the record which those begin takes, as far as is known.
    need: usize,
    /// Why no more bytes come.
    end: Option<End>,
    /// The first thing that was passed over. The end tells it, if there is no damage to tell.
    odd: Option<Warning>,
}

/// How the bytes of an input ended.
enum End {
    Eof,
    Damage(String),
    Io(std::io::Error),
}

impl Reader {
    pub(super) fn open(
        input: Input,
        options: ReadOptions,
        interfaces: &mut InterfaceTable,
    ) -> Result<Self, SourceError> {
        let opened = input::open(input)?;
        let name = opened.name;
        let format = |what: String| SourceError::Format { input: name.clone(), what };
        let (parser, carry, offset) = match opened.kind {
            Kind::Pcap(flavour) => {
                let mut parser = PcapParser::new(flavour, &opened.head).map_err(format)?;
                let index = interfaces.register(parser.interface_info(), 0);
                parser.set_interface(index.ok_or_else(|| format("more interfaces than any capture has".to_owned()))?);
                (Parser::Pcap(parser), Vec::new(), opened.head.len() as u64)
            }
            _ => (Parser::Pcapng(PcapngParser::new(options.custom_blocks)), opened.head, 0),
        };
        let chunk = options.chunk.max(1);
        let next = offset + carry.len() as u64;
        Ok(Self { name, stream: opened.stream, parser, chunk, carry, offset, next, need: 0, end: None, odd: None })
    }

    /// How many bytes are read next: to the next multiple of a chunk. So the batches are the same however the bytes come.
    fn step(&self) -> usize {
        self.chunk - (self.next % self.chunk as u64) as usize
    }

    /// The next piece of its bytes, if it is a file that is read as it is. From then on it is read in pieces alone.
    fn piece(&mut self) -> Option<Piece> {
        let file = self.stream.file()?.clone();
        let piece = Piece::new(file, self.next, self.step());
        self.next += piece.len as u64;
        Some(piece)
    }

    /// Takes a piece that was read into `data`.
    fn take(&mut self, piece: Piece, data: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<Filled, SourceError> {
        let end = match piece.failure {
            Some(error) => Some(End::Io(error)),
            None => (piece.filled < piece.len).then_some(End::Eof),
        };
        // Behind the end nothing counts, though a file may have grown.
        let filled = if self.end.is_none() { piece.filled } else { 0 };
        self.end = self.end.take().or(end);
        self.parse(filled, data, sink)
    }

    /// Reads and parses until there are frames or the end.
    pub(super) fn fill(&mut self, data: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<Filled, SourceError> {
        loop {
            let (mut filled, mut interrupted) = (0, false);
            let step = self.step();
            fit(data, ROOM + step);
            if self.end.is_none() {
                let (n, failure) = self.stream.read(&mut data[ROOM..ROOM + step]);
                filled = n;
                self.next += n as u64;
                self.end = match failure {
                    None => (n == 0).then_some(End::Eof),
                    Some(ReadFailure::Interrupted) => {
                        interrupted = true;
                        None
                    }
                    Some(ReadFailure::Damage(what)) => Some(End::Damage(what)),
                    Some(ReadFailure::Io(error)) => Some(End::Io(error)),
                };
            }
            match self.parse(filled, data, sink)? {
                // Nothing but other blocks so far, or a record longer than what was read.
                Filled::Frames if sink.frames.is_empty() && !interrupted => {}
                filled => return Ok(filled),
            }
        }
    }

    /// Parses what came into `data` behind some room, and what was left before. The bytes of an unfinished record stay for the
    /// next call; there may be no frames.
    fn parse(&mut self, filled: usize, data: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<Filled, SourceError> {
        if self.end.is_none() && self.carry.len() + filled < self.need {
            // Of a record that is longer still: grows with the bytes that really came, never by what a length field claims.
            self.carry.extend_from_slice(&data[ROOM..ROOM + filled]);
            return Ok(Filled::Frames);
        }
        let more = self.carry.len().saturating_sub(ROOM);
        data.splice(..0, std::iter::repeat_n(0, more));
        let (start, until) = (ROOM + more - self.carry.len(), ROOM + more + filled);
        data[start..ROOM + more].copy_from_slice(&self.carry);
        self.carry.clear();
        let Progress { consumed, stop } = self.parser.parse(&data[start..until], sink);
        if let Some((at, what)) = self.parser.take_odd() {
            let (input, offset) = (self.name.clone(), Some(self.offset + at as u64));
            self.odd.get_or_insert(Warning { input, offset, what });
        }
        self.need = match stop {
            Stop::Need(need) => need,
            Stop::Damage { what, .. } if sink.frames.is_empty() => {
                return self.damaged(self.offset + consumed as u64, what);
            }
            Stop::Damage { .. } => 0, // it is met again when the next call parses the rest
        };
        if let Some(end) = self.end.take_if(|_| sink.frames.is_empty()) {
            return self.ended(end, consumed, until - start, self.need);
        }
        sink.frames.iter_mut().for_each(|frame| frame.offset += start as u32);
        self.carry.extend_from_slice(&data[start + consumed..until]);
        self.offset += consumed as u64;
        Ok(Filled::Frames)
    }

    /// The end of the bytes, with `filled - consumed` of them left over where `need` would make a record.
    fn ended(&mut self, end: End, consumed: usize, filled: usize, need: usize) -> Result<Filled, SourceError> {
        let at = self.offset + consumed as u64;
        let left = filled - consumed;
        match end {
            // As with damage: what came before it counts.
            End::Io(error) if self.parser.begun() => {
                let text = error.to_string();
                let what = format!("cannot be read on: {}", text.split(" (os error").next().unwrap_or(&text));
                self.damaged(self.offset + filled as u64, what)
            }
            End::Io(error) => Err(io_error(&self.name, error)),
            End::Damage(what) => self.damaged(self.offset + filled as u64, what),
            End::Eof if left == 0 && self.parser.begun() => Ok(Filled::End(self.odd.take())),
            End::Eof => {
                let unit = self.parser.unit();
                self.damaged(at, format!("cut short: {need} bytes needed for the next {unit}, {left} left"))
            }
        }
    }

    /// Damage is a warning once the file has proved to be a capture, else it is not one.
    fn damaged(&mut self, offset: u64, what: String) -> Result<Filled, SourceError> {
        let input = self.name.clone();
        if self.parser.begun() {
            Ok(Filled::End(Some(Warning { input, offset: Some(offset), what })))
        } else {
            Err(SourceError::Format { input, what: format!("not a readable pcapng file: {what}") })
        }
    }
}

/// Frames point into a buffer with 32-bit offsets; the largest buffer a record can ask for stays far below.
const _: () = assert!(std::mem::size_of::<FrameMeta>() == 40);
