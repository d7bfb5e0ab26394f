//! Many files as one capture in time order, as mergecap writes it, from any place on.

use super::files::{Filled, ReadOptions, Reader};
use super::interfaces::InterfaceTable;
use super::record::Sink;
use super::{Input, Source, SourceError, Warning};
use crate::frame::{FrameBatch, Reached};
use std::collections::VecDeque;

/// Bytes of a batch in which frames of several files alternate.
const BATCH: usize = 256 << 10;

/// A file of the list.
pub struct Part {
    /// The file.
    pub input: Input,
    /// Time of its first frame, ns: see [`first_time`].
    pub first: i64,
    /// Frames of it that an earlier run has taken.
    pub taken: u64,
}

/// The time of the first frame of a capture, ns; `None` if it has no frames.
///
/// # Errors
/// [`SourceError`] if it is missing or no capture.
pub fn first_time(input: Input) -> Result<Option<i64>, SourceError> {
    let (options, mut interfaces) =
        (ReadOptions { chunk: 1 << 12, ..ReadOptions::default() }, InterfaceTable::default());
    let mut open = Open::new(input, 0, 0, options, &mut interfaces)?;
    open.fill(&mut interfaces)?;
    Ok(open.batch.frames.first().map(|meta| meta.ts))
}

/// The frames of files by time: of those that could come next the one with the earliest time, and of equal ones that of
/// the file which stands first in the list. A file is opened when its turn may have come, and frames are numbered as they
/// come out. A file that cannot be read, or is damaged, gives a warning and the frames before that; that no more files can
/// be open is no fault of a file, and ends the reading.
pub struct MergedFiles {
    waiting: VecDeque<(usize, Part)>,
    open: Vec<Open>,
    opened: usize,
    number: u64,
    options: ReadOptions,
    interfaces: InterfaceTable,
    warnings: Vec<Warning>,
}

/// A file that is being read.
struct Open {
    index: usize,
    name: String,
    reader: Reader,
    batch: FrameBatch,
    /// The next frame in `batch`.
    at: usize,
    taken: u64,
    skip: u64,
    ended: bool,
}

impl Open {
    fn new(
        input: Input,
        index: usize,
        skip: u64,
        options: ReadOptions,
        interfaces: &mut InterfaceTable,
    ) -> Result<Self, SourceError> {
        let name = input.name();
        let reader = Reader::open(input, options, interfaces)?;
        Ok(Self { index, name, reader, batch: FrameBatch::default(), at: 0, taken: 0, skip, ended: false })
    }

    /// Reads on if nothing is left; the warning is that of its end.
    fn fill(&mut self, interfaces: &mut InterfaceTable) -> Result<Option<Warning>, SourceError> {
        while self.at == self.batch.frames.len() && !self.ended {
            self.batch.frames.clear();
            self.at = 0;
            let mut sink = Sink { frames: &mut self.batch.frames, number: &mut self.taken, interfaces };
            match self.reader.fill(&mut self.batch.data, &mut sink)? {
                Filled::Frames => {
                    let skipped = self.skip.min(self.batch.frames.len() as u64);
                    self.skip -= skipped;
                    self.at = skipped as usize;
                }
                Filled::End(warning) => {
                    self.ended = true;
                    return Ok(warning);
                }
            }
        }
        Ok(None)
    }

    fn next_time(&self) -> Option<i64> {
        self.batch.frames.get(self.at).map(|meta| meta.ts)
    }

    /// How many of its frames went out.
    fn given(&self) -> u64 {
        self.taken - (self.batch.frames.len() - self.at) as u64
    }
}

impl MergedFiles {
    /// Reads `parts`, ordered by their first frame's time. `from` is what a batch of an earlier run had reached: frame
    /// numbers go on from there, and of files that it had read to their end nothing is opened.
    #[must_use]
    pub fn new(parts: Vec<Part>, from: &Reached, options: ReadOptions) -> Self {
        let mut waiting = VecDeque::new();
        for (index, mut part) in parts.into_iter().enumerate() {
            if index < from.opened {
                let Some((_, taken)) = from.reading.iter().find(|(one, _)| *one == index) else { continue };
                (part.taken, part.first) = (*taken, i64::MIN);
            }
            waiting.push_back((index, part));
        }
        Self {
            waiting,
            open: Vec::new(),
            opened: from.opened,
            number: from.number,
            options,
            interfaces: InterfaceTable::default(),
            warnings: Vec::new(),
        }
    }

    /// Opens the files whose turn may have come, and reads on in those that are open. `false`: nothing is left.
    fn ready(&mut self) -> Result<bool, SourceError> {
        loop {
            for open in &mut self.open {
                let failed = match open.fill(&mut self.interfaces) {
                    Ok(warning) => warning,
                    Err(error) => {
                        open.ended = true;
                        Some(gone(&open.name, &error))
                    }
                };
                self.warnings.extend(failed);
            }
            self.open.retain(|open| open.next_time().is_some());
            let next = self.open.iter().filter_map(Open::next_time).min();
            match self.waiting.front() {
                Some((_, part)) if next.is_none_or(|next| part.first <= next) => {}
                _ => return Ok(next.is_some()),
            }
            let Some((index, part)) = self.waiting.pop_front() else { return Ok(false) };
            self.opened = self.opened.max(index + 1);
            let name = part.input.name();
            match Open::new(part.input, index, part.taken, self.options, &mut self.interfaces) {
                Ok(open) => self.open.push(open),
                Err(error) if error.is_of_process() => return Err(error),
                Err(error) => self.warnings.push(gone(&name, &error)),
            }
        }
    }

    /// Whether all that the only open file has ready comes before every other file.
    fn is_alone(&self) -> bool {
        let [open] = &self.open[..] else { return false };
        let limit = self.waiting.front().map_or(i64::MAX, |(_, part)| part.first);
        self.waiting.is_empty() || open.batch.frames[open.at..].iter().all(|meta| meta.ts < limit)
    }

    fn mix(&mut self, batch: &mut FrameBatch) {
        batch.clear();
        while batch.data.len() < BATCH {
            let limit = self.waiting.front().map_or(i64::MAX, |(_, part)| part.first);
            let earliest = self
                .open
                .iter_mut()
                .filter_map(|open| Some((open.next_time()?, open.index, open)))
                .min_by_key(|one| (one.0, one.1));
            let Some((ts, _, open)) = earliest else { return };
            if ts >= limit && !batch.frames.is_empty() {
                return;
            }
            let mut meta = open.batch.frames[open.at];
            self.number += 1;
            meta.number = self.number;
            batch.push(meta, open.batch.bytes(&open.batch.frames[open.at]));
            open.at += 1;
            if open.next_time().is_none() {
                return; // what comes next is not known before it has been read
            }
        }
    }
}

/// A file that cannot be opened or read is passed over.
fn gone(name: &str, error: &SourceError) -> Warning {
    let text = error.to_string();
    let what = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
    Warning { input: name.to_owned(), offset: Some(0), what: what.to_owned() }
}

impl Source for MergedFiles {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError> {
        batch.frames.clear();
        let more = self.ready()?;
        if more && self.is_alone() {
            let open = &mut self.open[0];
            std::mem::swap(&mut batch.data, &mut open.batch.data);
            batch.frames.extend_from_slice(&open.batch.frames[open.at..]);
            for meta in &mut batch.frames {
                self.number += 1;
                meta.number = self.number;
            }
            open.at = open.batch.frames.len();
        } else if more {
            self.mix(batch);
        }
        batch.interfaces.clone_from(self.interfaces.list());
        // A file of which everything is out but whose end has not been seen is read on from there.
        let reading = self.open.iter().map(|open| (open.index, open.given())).collect();
        // Nobody looks at a batch behind the last: what is told then is asked for by `take_warnings`.
        let warnings = if more { std::mem::take(&mut self.warnings) } else { Vec::new() };
        batch.reached = Reached { opened: self.opened, reading, number: self.number, warnings };
        Ok(more)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }
}
