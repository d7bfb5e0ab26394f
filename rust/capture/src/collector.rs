//! The ring thread: empties the rings of a session, judges what the kernel could not, puts frames into time order.

use crate::ring::{BLOCK, KernelStats, RETIRE_MS, Ring};
use crate::session::{PointStats, SessionEnd};
use sniffkit_core::bpf::Program;
use sniffkit_core::frame::{FrameBatch, Interfaces};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An open capture point.
pub(crate) struct Point {
    pub ring: Ring,
    /// `namespace/interface`.
    pub name: String,
    /// The namespace's inode.
    pub netns: u64,
    /// The filter as it is for frames with their tag in place.
    pub program: Option<Program>,
    pub stats: PointStats,
    /// No frame that is still to come from here is older than this, ns since the epoch.
    pub level: i64,
    /// Why it ended before the session.
    pub ended: Option<String>,
}

impl Point {
    /// Ends it if its interface has gone.
    fn look(&mut self) {
        if self.ended.is_none() && self.ring.is_gone() {
            self.ended = Some(format!("{}: the interface has gone", self.name));
        }
    }
}

/// ns since the epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// How long a frame can be on its way from its time stamp into the ring, ns.
const UNDERWAY: i64 = 5_000_000;

/// Frames that wait for those of other rings wait at most this long, and are at most this many bytes.
const HOLD: (Duration, usize) = (Duration::from_millis(500), 64 << 20);

/// How fast blocks come. While many do, the next few are slept for: to ask the kernel for each takes the lock that it holds
/// for each frame that comes in, and waking threads one block at a time takes as long as to copy it.
struct Pace {
    /// When there was nothing, last.
    since: Instant,
    /// Blocks that came then.
    blocks: u32,
    /// How many were slept for, last; 0 if none were.
    slept_for: u32,
    /// How many are slept for at most: a small part of a ring.
    most: u32,
}

impl Pace {
    /// Blocks that come this much apart are many.
    const MANY: Duration = Duration::from_millis(10);

    /// For rings of so many blocks.
    fn new(blocks: usize) -> Self {
        Self { since: Instant::now(), blocks: 0, slept_for: 0, most: if blocks < 16 { 1 } else { 3 } }
    }

    /// There was a block.
    fn came(&mut self) {
        self.blocks += 1;
    }

    /// There is nothing now. How long until some are there: one, and one more each time that no more came than was thought;
    /// `None` if none came since that was said, or few do.
    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let (since, blocks) = (std::mem::replace(&mut self.since, now), std::mem::take(&mut self.blocks));
        let before = std::mem::take(&mut self.slept_for);
        let between = (now - since).checked_div(blocks).filter(|between| *between < Self::MANY)?;
        self.slept_for = if blocks <= before + 1 { (before + 1).min(self.most) } else { 1 };
        Some(between * self.slept_for + between / 4)
    }
}

/// The ring thread's state. It copies frames out and never decodes.
pub(crate) struct Collector {
    pub points: Vec<Point>,
    pub interfaces: Interfaces,
    pub latest: Arc<Mutex<Vec<PointStats>>>,
    /// No frame that has not been handed on is older than this, ns since the epoch.
    pub level: Arc<AtomicI64>,
    /// Each batch with the level as it is behind it.
    pub to_consumer: SyncSender<(FrameBatch, i64)>,
    pub from_consumer: Receiver<FrameBatch>,
    pub batch: FrameBatch,
    /// Frames at the head of `batch` that have been judged, and wait for older ones of other rings.
    pub judged: usize,
    pub held_since: Instant,
    /// The kernel's counters are read for each batch.
    pub counted: bool,
    pub frames: u64,
    pub consumer_gone: bool,
}

/// A new batch with room for a block of the ring.
pub(crate) fn room(in_blocks: bool) -> FrameBatch {
    let mut batch = FrameBatch { in_blocks, ..FrameBatch::default() };
    batch.data.reserve(BLOCK + BLOCK / 4);
    batch
}

impl Collector {
    /// Until `stop` is set or every point has gone.
    pub fn run(&mut self, stop: &AtomicBool) -> SessionEnd {
        let mut told = Instant::now();
        let mut pace = Pace::new(self.points.iter().map(|point| point.ring.blocks()).min().unwrap_or(0));
        while !stop.load(Ordering::Acquire) && self.points.iter().any(|point| point.ended.is_none()) {
            if self.round() {
                pace.came();
            } else if let Some(time) = pace.next() {
                std::thread::sleep(time);
            } else {
                // Frames that are held go on as soon as the other rings have nothing older.
                self.wait(if self.batch.frames.is_empty() { RETIRE_MS as i32 } else { RETIRE_MS as i32 / 5 });
            }
            if told.elapsed() >= Duration::from_millis(400) {
                told = Instant::now();
                self.complete();
                // An interface that goes is down first, and the socket has an error of that alone.
                self.points.iter_mut().for_each(Point::look);
            }
            if self.consumer_gone {
                break;
            }
        }
        self.drain();
        let mut end = SessionEnd::default();
        for point in &mut self.points {
            end.stats.push(point.stats);
            end.lost.extend(point.ended.take());
        }
        end
    }

    /// Takes what every ring has ready, in time order, and hands it on. `false` if there was nothing.
    fn round(&mut self) -> bool {
        let mut any = false;
        if self.batch.frames.is_empty() {
            self.held_since = Instant::now();
        }
        for index in 0..self.points.len() {
            // One block a ring and round keeps what is held small.
            let (point, before, first) = (&mut self.points[index], now(), self.batch.frames.len());
            if point.ring.take_block(&mut self.batch, index as u32) {
                any = true;
                point.level = self.batch.frames[first..].iter().map(|meta| meta.ts).max().unwrap_or(point.level);
            } else if point.ring.is_empty() {
                // A point that has gone may still have a block to come.
                point.level = if point.ended.is_some() { i64::MAX } else { before - UNDERWAY };
            }
        }
        if any || !self.batch.frames.is_empty() {
            self.judge();
            self.hand_on(self.points.iter().map(|point| point.level).min().unwrap_or(i64::MAX));
        }
        self.level.store(self.reached(), Ordering::Release);
        any
    }

    /// The level of all points: the time of what the slowest has given, or the clock's where all are empty.
    fn reached(&self) -> i64 {
        self.points.iter().map(|point| point.level).min().unwrap_or(i64::MAX).clamp(0, now())
    }

    /// Counts the new frames and drops those that the exact filter refuses.
    fn judge(&mut self) {
        let FrameBatch { data, frames, in_blocks, .. } = &mut self.batch;
        let points = &mut self.points;
        if let [point] = &mut points[..]
            && point.program.is_none()
        {
            point.stats.captured += (frames.len() - self.judged) as u64;
            self.judged = frames.len();
            return;
        }
        let mut at = 0;
        let known = self.judged;
        frames.retain_mut(|meta| {
            at += 1;
            if at <= known {
                return true;
            }
            let Some(point) = points.get_mut(meta.interface as usize) else { return false };
            let passes = point.program.as_ref().is_none_or(|program| {
                let bytes = &data[meta.offset as usize..][..meta.cap_len as usize];
                !(meta.put_together || point.ring.takes_all) || program.matches(bytes, meta.frame_len)
            });
            if meta.cap_len > point.ring.snap_len {
                meta.cap_len = point.ring.snap_len;
                *in_blocks = false; // its block has more
            }
            point.stats.captured += u64::from(passes);
            point.stats.rejected += u64::from(!passes);
            passes
        });
        self.judged = frames.len();
    }

    /// Hands on every frame that is not younger than `level`; all of them if there is one ring, or they waited long.
    fn hand_on(&mut self, level: i64) {
        let mut ready = self.batch.frames.len();
        if self.points.len() > 1 {
            self.batch.frames.sort_by_key(|meta| meta.ts);
            let waited = self.held_since.elapsed() > HOLD.0 || self.batch.data.len() > HOLD.1;
            if !waited {
                ready = self.batch.frames.partition_point(|meta| meta.ts <= level);
            }
        }
        if ready == 0 {
            if self.batch.frames.is_empty() {
                self.batch.clear();
            }
            return;
        }
        let mut next = self.from_consumer.try_recv().unwrap_or_else(|_| room(self.batch.in_blocks));
        next.clear();
        for meta in self.batch.frames.drain(ready..) {
            let bytes = &self.batch.data[meta.offset as usize..][..meta.cap_len as usize];
            next.push(meta, bytes);
        }
        for meta in &mut self.batch.frames {
            self.frames += 1;
            meta.number = self.frames;
        }
        self.held_since = Instant::now();
        self.judged = next.frames.len();
        let mut full = std::mem::replace(&mut self.batch, next);
        full.interfaces = self.interfaces.clone();
        if self.counted {
            self.complete();
        }
        // A full channel means a consumer that is behind: waiting here fills the ring, where drops are counted.
        match self.to_consumer.try_send((full, self.reached())) {
            Ok(()) => {}
            Err(TrySendError::Full(full)) => self.consumer_gone = self.to_consumer.send(full).is_err(),
            Err(TrySendError::Disconnected(_)) => self.consumer_gone = true,
        }
    }

    fn wait(&mut self, timeout_ms: i32) {
        let mut fds: Vec<libc::pollfd> = self
            .points
            .iter()
            .map(|point| libc::pollfd {
                fd: if point.ended.is_none() { point.ring.fd() } else { -1 },
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        // SAFETY: pointer and length describe the vector. A negative descriptor is skipped by poll.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) };
        for (point, fd) in self.points.iter_mut().zip(fds) {
            if fd.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
                point.look();
            }
        }
    }

    /// Lets nothing more in, then takes everything that the kernel says it has received.
    fn drain(&mut self) {
        for point in &self.points {
            // An interface that is gone takes no filter; it lets nothing in either.
            let _ = point.ring.close_gate();
        }
        // A block that holds anything is handed over within its retire time, so this takes one or two of them. Frames
        // that passed the filter just before it was closed may not be counted yet: hence twice.
        let (mut progress, mut times) = (Instant::now(), 0);
        while times < 2 && !self.consumer_gone && progress.elapsed() < Duration::from_secs(2) {
            if self.round() {
                progress = Instant::now();
                times = 0;
            } else if self.complete() {
                times += 1;
                std::thread::sleep(Duration::from_millis(1));
            } else {
                std::thread::sleep(Duration::from_millis(u64::from(RETIRE_MS) / 10));
            }
        }
        self.hand_on(i64::MAX);
        self.complete();
        for point in &mut self.points {
            // What the kernel counted and did not give: it does not happen, but if it did it would be said.
            let PointStats { captured, received, dropped, rejected } = &mut point.stats;
            *dropped = received.saturating_sub(*captured + *rejected);
        }
    }

    /// Reads the kernel's counters. Whether every frame that it counted has been seen.
    fn complete(&mut self) -> bool {
        let mut complete = true;
        for point in &mut self.points {
            if let Ok(KernelStats { received, dropped }) = point.ring.kernel_stats() {
                (point.stats.received, point.stats.dropped) = (received, dropped);
            }
            let stats = &point.stats;
            complete &= stats.captured + stats.rejected + stats.dropped >= stats.received;
        }
        if let Ok(mut latest) = self.latest.lock() {
            latest.clear();
            latest.extend(self.points.iter().map(|point| point.stats));
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long is slept for once so many blocks have come in this time.
    fn after(pace: &mut Pace, blocks: u32, time: Duration) -> Option<Duration> {
        pace.since = Instant::now().checked_sub(time).expect("a machine that has run for a while");
        (0..blocks).for_each(|_| pace.came());
        pace.next()
    }

    #[test]
    fn blocks_that_come_fast_are_slept_for_and_more_each_time_if_they_keep_their_pace() {
        const TIME: Duration = Duration::from_millis(4);
        let slept_for = |time: Option<Duration>| time.map(|time| (time.as_secs_f64() / TIME.as_secs_f64()).round());
        let mut pace = Pace::new(16);
        assert_eq!(pace.next(), None, "none came");
        assert_eq!(slept_for(after(&mut pace, 1, TIME)), Some(1.0));
        assert_eq!(slept_for(after(&mut pace, 1, TIME)), Some(2.0));
        assert_eq!(slept_for(after(&mut pace, 2, 2 * TIME)), Some(3.0));
        assert_eq!(slept_for(after(&mut pace, 4, 4 * TIME)), Some(3.0), "no more than that");
        assert_eq!(slept_for(after(&mut pace, 5, 5 * TIME)), Some(1.0), "they come faster");
        assert_eq!(slept_for(after(&mut pace, 1, TIME)), Some(2.0));
        assert_eq!(pace.next(), None, "then the kernel is asked");
        assert_eq!(slept_for(after(&mut pace, 1, TIME)), Some(1.0));
        assert_eq!(after(&mut pace, 1, 2 * Pace::MANY), None, "few come");
        let mut small = Pace::new(2);
        for _ in 0..3 {
            assert_eq!(slept_for(after(&mut small, 1, TIME)), Some(1.0), "a small ring would be full");
        }
    }
}
