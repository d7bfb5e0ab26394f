//! The writer of a capture: encodes frames, buffers whole blocks, rotates files, keeps each file sound.

use super::output::{Output, open_output};
use super::pcapng::{self, InterfaceStatistics, SectionInfo};
use super::rotation::{FileSequence, Rotation, Turn};
use super::{Resolution, WriteError, pcap};
use crate::frame::{FrameBatch, FrameMeta, InterfaceInfo, Interfaces, LinkType};
use std::io::{self, ErrorKind};

/// Bytes that are gathered before they go to the file.
const BUFFER: usize = 512 << 10;

/// Bytes of blocks one behind the other that go to the file from where they are: to gather fewer costs less than a write.
pub(super) const RUN: usize = 32 << 10;

/// File format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Interfaces with names, direction, drop counters, comments; nanoseconds.
    Pcapng,
    /// One link type, nothing but frames and times.
    Pcap(Resolution),
}

/// How a capture is written.
#[derive(Debug)]
pub struct WriteOptions {
    /// File format.
    pub format: Format,
    /// When to begin another file.
    pub rotation: Rotation,
    /// What pcapng files say of the capture.
    pub section: SectionInfo,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { format: Format::Pcapng, rotation: Rotation::default(), section: SectionInfo::default() }
    }
}

/// What became of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// All were taken.
    All,
    /// The last file that [`Rotation`] allows is full; this many of the batch were taken. The capture is done.
    Done(usize),
}

/// Opens an output by name.
pub type Opener = Box<dyn FnMut(&str) -> io::Result<Box<dyn Output>> + Send>;

/// Writes frames to a capture file, or a rotated sequence of them.
///
/// Dropping it flushes; [`CaptureWriter::finish`] also writes the statistics and tells of errors.
pub struct CaptureWriter {
    format: Format,
    section: SectionInfo,
    files: FileSequence,
    open: Opener,
    output: Box<dyn Output>,
    name: String,
    /// Everything goes out at the end of each batch: a reader waits at the other end of standard output.
    prompt: bool,
    /// Whole blocks that are not yet in the file.
    buffer: Vec<u8>,
    /// The interface of each frame that is not yet in the file.
    frames_on_the_way: Vec<u32>,
    /// Bytes in the file.
    file_bytes: u64,
    interfaces: Interfaces,
    link_type: LinkType,
    counters: Vec<Counters>,
    started: i64,
    frames: u64,
    file_count: u64,
    /// Nothing more can be written.
    failed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    written: u64,
    statistics: InterfaceStatistics,
}

impl CaptureWriter {
    /// Opens the file (`-` is standard output) and writes its header with the interfaces known so far, so that it can
    /// be read at once. `now` is ns since the epoch.
    ///
    /// # Errors
    /// [`WriteError`] when the file cannot be created or the format cannot hold the interfaces.
    pub fn create(name: &str, options: WriteOptions, interfaces: &Interfaces, now: i64) -> Result<Self, WriteError> {
        Self::with_opener(name, options, interfaces, now, Box::new(open_output))
    }

    /// The same, with another way to open files.
    ///
    /// # Errors
    /// As [`CaptureWriter::create`].
    pub fn with_opener(
        name: &str,
        options: WriteOptions,
        interfaces: &Interfaces,
        now: i64,
        mut open: Opener,
    ) -> Result<Self, WriteError> {
        if name == "-" && options.rotation.is_active() {
            let what = "standard output cannot be rotated".to_owned();
            return Err(WriteError::Unsupported { output: name.to_owned(), what });
        }
        if let (Format::Pcap(_), Some(first)) = (options.format, interfaces.first())
            && let Some(other) = interfaces.iter().find(|other| other.link_type != first.link_type)
        {
            let what = mixed_link_types(first, other);
            return Err(WriteError::Unsupported { output: name.to_owned(), what });
        }
        let files = FileSequence::new(name.to_owned(), options.rotation, now);
        let file_name = files.name();
        let output =
            open(&file_name).map_err(|error| WriteError::Io { output: file_name.clone(), error, frames_lost: 0 })?;
        let mut writer = Self {
            format: options.format,
            section: options.section,
            files,
            open,
            output,
            name: file_name,
            prompt: name == "-",
            buffer: Vec::with_capacity(BUFFER + (64 << 10)),
            frames_on_the_way: Vec::new(),
            file_bytes: 0,
            interfaces: Interfaces::default(),
            link_type: interfaces.first().map_or(LinkType::ETHERNET, |info| info.link_type),
            counters: Vec::new(),
            started: now,
            frames: 0,
            file_count: 1,
            failed: false,
        };
        writer.begin_file(interfaces)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Takes the frames of a batch. They reach the file when the buffer is full or [`CaptureWriter::flush`] is called.
    ///
    /// # Errors
    /// [`WriteError`]; after it nothing more is written.
    pub fn write_batch(&mut self, batch: &FrameBatch) -> Result<Written, WriteError> {
        if !std::sync::Arc::ptr_eq(&batch.interfaces, &self.interfaces) {
            self.add_interfaces(&batch.interfaces)?;
        }
        if batch.in_blocks && self.format == Format::Pcapng && self.files.is_single() {
            self.write_blocks(batch)?;
        } else {
            for (taken, frame) in batch.frames.iter().enumerate() {
                if !self.write_frame(frame, batch.bytes(frame))? {
                    return Ok(Written::Done(taken));
                }
            }
        }
        if self.prompt {
            self.flush()?;
        }
        Ok(Written::All)
    }

    /// Sets the counters of an interface as its statistics block is to say; later values replace earlier ones. They
    /// are written when a file is closed.
    pub fn set_statistics(&mut self, interface: u32, statistics: InterfaceStatistics) {
        if let Some(counters) = self.counters.get_mut(interface as usize) {
            counters.statistics = statistics;
        }
    }

    /// Frames taken so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames of each interface that were taken, less those that an error kept out of the file.
    pub fn written(&self) -> impl Iterator<Item = u64> {
        self.counters.iter().map(|counters| counters.written)
    }

    /// Files begun so far.
    #[must_use]
    pub fn file_count(&self) -> u64 {
        self.file_count
    }

    /// Name of the current file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hands everything taken so far to the operating system. Call it at least once a second.
    ///
    /// # Errors
    /// [`WriteError::Io`]; an unfinished block at the end of the file has then been cut off.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.send(&buffer);
        buffer.clear();
        self.buffer = buffer;
        result
    }

    /// Hands whole blocks to the operating system: the buffer's, or others when it is empty. Their frames are in
    /// `frames_on_the_way`.
    fn send(&mut self, blocks: &[u8]) -> Result<(), WriteError> {
        let mut done = 0;
        let result = loop {
            match self.output.write(&blocks[done..]) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if done == blocks.len() {
                break self.output.flush();
            }
        };
        match result {
            Ok(()) => {
                self.file_bytes += done as u64;
                self.frames_on_the_way.clear();
                Ok(())
            }
            Err(error) => Err(self.fail(error, blocks, done)),
        }
    }

    /// Writes the statistics, flushes and closes. `now` is ns since the epoch. Gives the number of frames written.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn finish(mut self, now: i64) -> Result<u64, WriteError> {
        if !self.failed {
            self.end_file(now)?;
        }
        Ok(self.frames)
    }

    /// Writes frames that stand in blocks already: long runs of them as they are.
    fn write_blocks(&mut self, batch: &FrameBatch) -> Result<(), WriteError> {
        self.still_sound()?;
        let mut frames = batch.frames.as_slice();
        while !frames.is_empty() {
            let (count, blocks) = pcapng::packets_in_a_row(&batch.data, frames);
            let (run, rest) = frames.split_at(count);
            if blocks.len() >= RUN {
                self.flush()?;
                run.iter().for_each(|frame| self.count(frame));
                self.send(blocks)?;
            } else {
                for frame in run {
                    self.write_frame(frame, batch.bytes(frame))?;
                }
            }
            frames = rest;
        }
        Ok(())
    }

    fn still_sound(&self) -> Result<(), WriteError> {
        if self.failed {
            return Err(self.io_error(io::Error::other("nothing more is written after the earlier error"), 0));
        }
        Ok(())
    }

    /// Counts a frame that is on its way into the file.
    fn count(&mut self, frame: &FrameMeta) {
        self.frames += 1;
        self.frames_on_the_way.push(frame.interface);
        if let Some(counters) = self.counters.get_mut(frame.interface as usize) {
            counters.written += 1;
        }
    }

    /// Writes one frame; false when rotation says that the capture is done.
    fn write_frame(&mut self, frame: &FrameMeta, bytes: &[u8]) -> Result<bool, WriteError> {
        self.still_sound()?;
        if !self.files.is_single() {
            match self.files.turn(frame.ts, self.file_bytes + self.buffer.len() as u64) {
                Turn::Stay => {}
                Turn::Next => self.next_file(frame.ts)?,
                Turn::Done => return Ok(false),
            }
        }
        let start = self.buffer.len();
        let encoded = match self.format {
            Format::Pcapng => pcapng::packet(&mut self.buffer, frame, [bytes]).map(drop),
            Format::Pcap(resolution) => {
                let (first, own) = (self.interfaces.first(), self.interfaces.get(frame.interface as usize));
                if let (Some(first), Some(own)) = (first, own)
                    && own.link_type != self.link_type
                {
                    return Err(self.unsupported(mixed_link_types(first, own)));
                }
                pcap::record(&mut self.buffer, resolution, frame, bytes)
            }
        };
        if encoded.is_none() {
            self.buffer.truncate(start);
            return Err(self.unsupported(format!("a frame of the time {} ns cannot be written", frame.ts)));
        }
        self.count(frame);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(true)
    }

    /// Headers of a new file, with all interfaces.
    fn begin_file(&mut self, interfaces: &Interfaces) -> Result<(), WriteError> {
        self.interfaces = Interfaces::default();
        match self.format {
            Format::Pcapng => pcapng::section_header(&mut self.buffer, &self.section),
            Format::Pcap(resolution) => pcap::file_header(&mut self.buffer, resolution, self.link_type),
        }
        self.add_interfaces(interfaces)
    }

    /// Describes the interfaces that the file does not know yet.
    fn add_interfaces(&mut self, interfaces: &Interfaces) -> Result<(), WriteError> {
        for info in interfaces.iter().skip(self.interfaces.len()) {
            if self.format == Format::Pcapng {
                let Ok(link_type) = u16::try_from(info.link_type.0) else {
                    return Err(self.unsupported(format!("link type {} has no number in pcapng", info.link_type.0)));
                };
                pcapng::interface(&mut self.buffer, info, link_type);
            }
        }
        if self.counters.len() < interfaces.len() {
            self.counters.resize(interfaces.len(), Counters::default());
        }
        self.interfaces = Interfaces::clone(interfaces);
        Ok(())
    }

    /// Ends the file with its statistics.
    fn end_file(&mut self, now: i64) -> Result<(), WriteError> {
        if self.format == Format::Pcapng {
            for (interface, counters) in (0..).zip(&self.counters) {
                let mut statistics = counters.statistics;
                statistics.start.get_or_insert(self.started);
                statistics.end.get_or_insert(now);
                statistics.delivered.get_or_insert(counters.written);
                pcapng::statistics(&mut self.buffer, interface, now, &statistics);
            }
        }
        self.flush()
    }

    fn next_file(&mut self, now: i64) -> Result<(), WriteError> {
        self.end_file(now)?;
        let name = self.files.name();
        self.output = match (self.open)(&name) {
            Ok(output) => output,
            Err(error) => {
                self.failed = true;
                return Err(WriteError::Io { output: name, error, frames_lost: 0 });
            }
        };
        self.name = name;
        self.file_bytes = 0;
        self.file_count += 1;
        let interfaces = Interfaces::clone(&self.interfaces);
        self.begin_file(&interfaces)?;
        self.flush()
    }

    /// After a failed write of blocks, of which `done` bytes are in the file: cuts the unfinished one off.
    fn fail(&mut self, error: io::Error, blocks: &[u8], done: usize) -> WriteError {
        let (whole, frames) = self.whole_blocks(&blocks[..done]);
        // Best effort: a full disk can be cut, a pipe cannot. The error to tell is the first one.
        let _ = self.output.cut(self.file_bytes + whole as u64);
        self.file_bytes += whole as u64;
        let mut lost = 0;
        for &interface in self.frames_on_the_way.iter().skip(usize::try_from(frames).unwrap_or(usize::MAX)) {
            lost += 1;
            if let Some(counters) = self.counters.get_mut(interface as usize) {
                counters.written -= 1;
            }
        }
        self.frames -= lost;
        self.frames_on_the_way.clear();
        self.failed = true;
        self.io_error(error, lost)
    }

    /// How many of these bytes are whole blocks, and how many of those are frames.
    fn whole_blocks(&self, bytes: &[u8]) -> (usize, u64) {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>());
            word.map_or(usize::MAX, |&word| u32::from_le_bytes(word) as usize)
        };
        let (mut at, mut frames) = (0, 0);
        while at < bytes.len() {
            let (len, is_frame) = match self.format {
                Format::Pcapng => (word(at + 4), word(at) == 6),
                Format::Pcap(_) if self.file_bytes == 0 && at == 0 => (pcap::FILE_HEADER, false),
                Format::Pcap(_) => (word(at + 8).saturating_add(pcap::RECORD_HEADER), true),
            };
            if len > bytes.len() - at {
                break;
            }
            at += len;
            frames += u64::from(is_frame);
        }
        (at, frames)
    }

    fn unsupported(&self, what: String) -> WriteError {
        WriteError::Unsupported { output: self.name.clone(), what }
    }

    fn io_error(&self, error: io::Error, frames_lost: u64) -> WriteError {
        WriteError::Io { output: self.name.clone(), error, frames_lost }
    }
}

fn mixed_link_types(first: &InterfaceInfo, other: &InterfaceInfo) -> String {
    let describe = |info: &InterfaceInfo| {
        let name = pcapng::interface_name(info).unwrap_or_else(|| "an interface".to_owned());
        format!("{name} (link type {})", info.link_type.0)
    };
    format!("pcap holds one link type, not {} and {}: write pcapng", describe(first), describe(other))
}

impl Drop for CaptureWriter {
    fn drop(&mut self) {
        if !self.failed {
            // Nobody is left to be told of an error.
            let _ = self.flush();
        }
    }
}
