//! Source and decoder on a thread of their own, ahead of whoever consumes the packets.
//!
//! Two stages on two cores; batches go round between them, a few at a time, so a long capture allocates what a short one
//! does. Or each core does both ([`Pipeline::in_turns`]).

mod beside;
mod filter;
#[cfg(test)]
mod tests;
mod turns;

pub(crate) use beside::{processors, side_by_side};
pub use filter::{Compile, FrameFilter};

use crate::decode::decode;
use crate::frame::{FrameBatch, FrameMeta, LinkType};
use crate::packet::Packet;
use crate::source::{Piece, Source, SourceError, Warning};
use crate::track::share::Share;
use crate::track::{Prepared, Preparer, Tracker, Uid};
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Frames with what their headers say: `packets[i]` belongs to `batch.frames[i]`.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The frames.
    pub batch: FrameBatch,
    /// Their decoded headers; at least as long as `batch.frames`.
    packets: Vec<Packet>,
    /// What is prepared for following their flows.
    prepared: Box<Prepared>,
    /// Whoever follows flows has nothing else to do: it may prepare that itself.
    in_haste: bool,
}

impl Decoded {
    /// Decodes every frame of the batch.
    pub fn decode(&mut self) {
        self.each(|meta, bytes, link_type, packet| decode(bytes, meta.frame_len, link_type, packet));
    }

    /// Decodes the frames of a share; the others are left as frames of which nothing is known.
    pub fn decode_share(&mut self, share: Share) {
        self.each(|meta, bytes, link_type, packet| {
            let has = share.has_frame(bytes, link_type);
            if has != Some(false) {
                decode(bytes, meta.frame_len, link_type, packet);
                if has.is_some() || share.has_packet(packet, bytes) {
                    return;
                }
            }
            packet.forget();
        });
    }

    /// Fills the packet of every frame.
    #[inline]
    fn each(&mut self, mut fill: impl FnMut(&FrameMeta, &[u8], LinkType, &mut Packet)) {
        let Self { batch, packets, prepared, .. } = self;
        prepared.clear();
        if packets.len() < batch.frames.len() {
            packets.resize_with(batch.frames.len(), Packet::default);
        }
        for (meta, packet) in batch.frames.iter().zip(packets.iter_mut()) {
            let link_type = batch.interfaces.get(meta.interface as usize).map(|info| info.link_type);
            fill(meta, batch.bytes(meta), link_type.unwrap_or(LinkType(u32::MAX)), packet);
        }
    }

    /// Forgets the frames that `keep` does not want; it has one entry a frame.
    pub fn retain(&mut self, keep: &[bool]) {
        self.prepared.clear();
        let mut kept = 0;
        for (at, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            self.batch.frames.swap(kept, at);
            self.packets.swap(kept, at);
            kept += 1;
        }
        self.batch.frames.truncate(kept);
    }

    /// Prepares what [`Decoded::account`] needs, unless its thread waits already: so both have as much to do.
    pub fn prepare(&mut self, preparer: &mut Preparer) {
        if self.in_haste {
            return preparer.pass(&self.batch);
        }
        preparer.prepare(&self.batch, &self.packets[..self.batch.frames.len()], &mut self.prepared);
    }

    /// Accounts every frame, with what the tracker's own preparer has made of them, if it has.
    pub fn account(&mut self, tracker: &mut Tracker, uids: Option<&mut Vec<Option<Uid>>>) {
        let packets = &self.packets[..self.batch.frames.len()];
        tracker.prepared_batch(&self.batch, packets, &mut self.prepared, uids);
    }

    /// The decoded headers, one a frame.
    #[must_use]
    pub fn packets(&self) -> &[Packet] {
        &self.packets[..self.batch.frames.len()]
    }
}

/// What the thread of a pipeline makes of each batch beside decoding it.
pub type Make<R> = Box<dyn FnMut(&mut Decoded) -> R + Send>;

/// A batch, and what was made of it.
type Made<R> = (Decoded, R);

/// A source and decoder that run from the first batch on. With each batch comes an `R` that was made from it on the same
/// thread.
pub struct Pipeline<R> {
    feed: Feed<R>,
    /// What came together and was not taken yet.
    received: VecDeque<Made<R>>,
    /// What goes back together.
    used: Vec<Decoded>,
}

/// Who fills the batches. The mutexes are there only for `Sync`; none is ever locked, since reading takes `&mut self`.
enum Feed<R> {
    /// Nobody yet: a thread of its own, once somebody wants a batch.
    Idle(Option<Mutex<Filler<R>>>),
    /// A thread of its own, ahead.
    Ahead {
        ready: Option<Mutex<Receiver<Vec<Made<R>>>>>,
        /// Whoever takes them had to wait for the last ones.
        waited: Arc<AtomicBool>,
        empty: SyncSender<Vec<Decoded>>,
        thread: Option<JoinHandle<Result<Vec<Warning>, SourceError>>>,
    },
    /// Whoever wants one, until the input ends or fails.
    Here { filler: Mutex<Filler<R>>, end: Option<Result<(), SourceError>> },
}

impl<R: Send + 'static> Feed<R> {
    /// Starts the thread.
    fn ahead(filler: Filler<R>) -> Self {
        let (to_ready, ready) = sync_channel(IN_FLIGHT);
        let (empty, from_empty) = sync_channel(IN_FLIGHT);
        // The channel has room for every batch on its own.
        let _ = empty.try_send((0..IN_FLIGHT).map(|_| Decoded::default()).collect());
        let waited = Arc::new(AtomicBool::new(false));
        let shared = waited.clone();
        let thread = std::thread::spawn(move || filler.run(&from_empty, &to_ready, &shared));
        Self::Ahead { ready: Some(Mutex::new(ready)), waited, empty, thread: Some(thread) }
    }
}

/// Batches in flight: enough that neither stage waits for the other's hiccups, nor while what one may prepare for the
/// other goes back and forth.
const IN_FLIGHT: usize = 24;

/// Batches that change hands together where the input gives full ones: each time a thread is woken costs as much as
/// decoding a hundred frames.
const TOGETHER: usize = 6;

/// Bytes of frames from which a batch is full: a pipe gives less, and what it gave must not wait for more.
const FULL: usize = 64 << 10;

/// An input of so many bytes is read and decoded in a twentieth of a second.
const SHORT: u64 = 256 << 20;

/// How long a slow input is waited for before the consumer gets to look at signals.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where frames come from, and which of them count.
struct Input {
    source: Box<dyn Source>,
    filter: Option<FrameFilter>,
}

impl Input {
    /// Reads the frames of one batch: whether there may be more at once. `None`: the input has ended.
    fn read(&mut self, batch: &mut FrameBatch) -> Result<Option<bool>, SourceError> {
        if !self.source.next_batch(batch)? {
            return Ok(None);
        }
        let span = batch.frames.first().zip(batch.frames.last()).map(|(first, last)| last.offset - first.offset);
        let full = span.is_some_and(|span| span as usize >= FULL);
        self.keep(batch)?;
        Ok(Some(full))
    }

    /// The frames that end in a piece of a file.
    fn take_piece(&mut self, piece: Piece, batch: &mut FrameBatch) -> Result<(), SourceError> {
        self.source.take_piece(piece, batch)?;
        self.keep(batch)
    }

    fn keep(&mut self, batch: &mut FrameBatch) -> Result<(), SourceError> {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        filter.apply(batch);
        filter.check(self.source.as_ref())
    }

    /// The warnings of an input that has ended.
    fn end(&mut self) -> Result<Vec<Warning>, SourceError> {
        self.filter.as_mut().map_or(Ok(()), |filter| filter.check(self.source.as_ref()))?;
        Ok(self.source.take_warnings())
    }
}

/// What the thread does: it fills batches.
struct Filler<R> {
    input: Input,
    share: Option<Share>,
    make: Make<R>,
}

impl<R> Filler<R> {
    /// Until the input ends, or nobody wants more.
    fn run(
        mut self,
        from_empty: &Receiver<Vec<Decoded>>,
        to_ready: &SyncSender<Vec<Made<R>>>,
        waited: &AtomicBool,
    ) -> Result<Vec<Warning>, SourceError> {
        let mut together = Vec::new();
        let mut end = Ok(());
        'input: while let Ok(empty) = from_empty.recv() {
            for mut decoded in empty {
                decoded.in_haste = waited.load(Ordering::Relaxed);
                match self.fill(&mut decoded) {
                    Ok(Some((full, made))) => {
                        together.push((decoded, made));
                        let hand_over = !full || together.len() == TOGETHER;
                        if hand_over && to_ready.send(std::mem::take(&mut together)).is_err() {
                            break 'input; // the consumer has gone
                        }
                    }
                    Ok(None) => break 'input,
                    Err(error) => {
                        end = Err(error);
                        break 'input;
                    }
                }
            }
        }
        if !together.is_empty() {
            let _ = to_ready.send(together); // as above
        }
        end.and_then(|()| self.input.end())
    }

    /// Fills one batch: whether there may be more at once, and what was made of it. `None`: the input has ended.
    fn fill(&mut self, decoded: &mut Decoded) -> Result<Option<(bool, R)>, SourceError> {
        let Some(full) = self.input.read(&mut decoded.batch)? else { return Ok(None) };
        match self.share {
            Some(share) => decoded.decode_share(share),
            None => decoded.decode(),
        }
        Ok(Some((full, (self.make)(decoded))))
    }
}

/// What [`Pipeline::receive`] found.
#[derive(Debug)]
pub enum Received<R> {
    /// Frames, to be given back with [`Pipeline::recycle`], and what was made of them.
    Batch(Decoded, R),
    /// Nothing yet: the input is slow.
    Waiting,
    /// The input has ended.
    End,
}

impl<R: Send + 'static> Pipeline<R> {
    /// Reads and decodes from the first [`Pipeline::receive`] on.
    #[must_use]
    pub fn start(source: Box<dyn Source>, filter: Option<FrameFilter>, make: Make<R>) -> Self {
        Self::start_share(source, filter, None, make, false)
    }

    /// The same for a share of the flows; `little`: what follows is less work than decoding.
    ///
    /// What one core decodes and another follows goes through memory that both share, and that costs a tenth. So no
    /// thread works ahead where other shares need the processors, nor where it would save hundredths of a second.
    #[must_use]
    pub fn start_share(
        source: Box<dyn Source>,
        filter: Option<FrameFilter>,
        share: Option<Share>,
        make: Make<R>,
        little: bool,
    ) -> Self {
        let crowded = share.is_some_and(|share| 2 * share.count() > processors());
        let short = little && source.at_hand().is_some_and(|bytes| bytes <= SHORT);
        let filler = Filler { input: Input { source, filter }, share, make };
        let feed = if crowded || short {
            Feed::Here { filler: Mutex::new(filler), end: None }
        } else {
            Feed::Idle(Some(Mutex::new(filler)))
        };
        Self { feed, received: VecDeque::new(), used: Vec::new() }
    }

    /// Makes something else of the batches; too late once the first was received, which `false` says.
    pub fn make_instead(&mut self, make: Make<R>) -> bool {
        let Feed::Idle(Some(filler)) = &mut self.feed else { return false };
        filler.get_mut().unwrap_or_else(PoisonError::into_inner).make = make;
        true
    }

    /// Whether a thread of its own works ahead, or will.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        !matches!(self.feed, Feed::Here { .. })
    }

    /// The next batch, waited for a moment.
    pub fn receive(&mut self) -> Received<R> {
        if let Some((decoded, made)) = self.received.pop_front() {
            return Received::Batch(decoded, made);
        }
        if let Feed::Idle(filler) = &mut self.feed
            && let Some(filler) = filler.take()
        {
            self.feed = Feed::ahead(filler.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        match &mut self.feed {
            Feed::Idle(_) => return Received::End,
            Feed::Ahead { ready, waited, .. } => {
                let Some(Ok(ready)) = ready.as_mut().map(Mutex::get_mut) else { return Received::End };
                let at_once = ready.try_recv();
                waited.store(at_once.is_err(), Ordering::Relaxed);
                match at_once.or_else(|_| ready.recv_timeout(PATIENCE)) {
                    Ok(batches) => self.received.extend(batches),
                    Err(RecvTimeoutError::Timeout) => return Received::Waiting,
                    Err(RecvTimeoutError::Disconnected) => return Received::End,
                }
            }
            Feed::Here { filler, end } => {
                if end.is_some() {
                    return Received::End;
                }
                let mut decoded = self.used.pop().unwrap_or_default();
                decoded.in_haste = true;
                let filler = filler.get_mut().unwrap_or_else(PoisonError::into_inner);
                match filler.fill(&mut decoded) {
                    Ok(Some((_, made))) => return Received::Batch(decoded, made),
                    Ok(None) => *end = Some(Ok(())),
                    Err(error) => *end = Some(Err(error)),
                }
                return Received::End;
            }
        }
        self.received.pop_front().map_or(Received::Waiting, |(decoded, made)| Received::Batch(decoded, made))
    }

    /// Gives a batch back to be filled again.
    pub fn recycle(&mut self, decoded: Decoded) {
        self.used.push(decoded);
        if let Feed::Ahead { empty, .. } = &self.feed
            && self.received.is_empty()
        {
            // Behind the end nobody takes them: then they are freed here.
            let _ = empty.try_send(std::mem::take(&mut self.used));
        }
    }

    /// Waits for the end: the warnings met, or why reading failed.
    ///
    /// # Errors
    /// What [`Source::next_batch`] returned.
    pub fn end(&mut self) -> Result<Vec<Warning>, SourceError> {
        match &mut self.feed {
            Feed::Ahead { ready, thread, .. } => {
                *ready = None;
                match thread.take().map(JoinHandle::join) {
                    None => Ok(Vec::new()),
                    Some(Ok(result)) => result,
                    Some(Err(panic)) => resume_unwind(panic),
                }
            }
            Feed::Idle(_) => Ok(Vec::new()),
            Feed::Here { filler, end } => {
                end.replace(Ok(())).unwrap_or(Ok(()))?;
                filler.get_mut().unwrap_or_else(PoisonError::into_inner).input.end()
            }
        }
    }
}

/// A lock, whoever held it and panicked: nothing half done is left behind it, and the panic goes on where its thread is joined.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
