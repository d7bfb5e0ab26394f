//! A capture session: rings in one or many namespaces, one thread that empties them, frames in batches.

use crate::error::CaptureError;
use crate::netns::{Netns, run_in};
use crate::ring::{KernelStats, RETIRE_MS, Ring, RingOptions};
use crate::{filter, interface};
use sniffkit_core::bpf::Program;
use sniffkit_core::frame::{Direction, FrameBatch, InterfaceInfo, Interfaces, LinkType};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where to capture: an interface of a namespace; `None` is the namespace that the process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointSpec {
    /// `ip netns` name, path or PID.
    pub netns: Option<String>,
    /// Interface name, or `any`.
    pub interface: String,
}

/// How to capture.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Ring size, snap length, promiscuous mode.
    pub ring: RingOptions,
    /// tcpdump's filter language.
    pub filter: Option<String>,
    /// Only frames of this direction.
    pub direction: Option<Direction>,
}

/// Counters of one capture point. `captured + dropped + rejected = received`, once the session has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointStats {
    /// Frames handed on.
    pub captured: u64,
    /// Frames that the kernel's filter let through, those that it then had to drop included.
    pub received: u64,
    /// Frames that found the ring full.
    pub dropped: u64,
    /// Frames that the kernel let through and the exact filter, the direction or the loopback rule did not.
    pub rejected: u64,
}

struct Point {
    ring: Ring,
    /// The filter as it is for frames with their tag in place.
    program: Option<Program>,
    stats: PointStats,
    /// Why it ended before the session.
    ended: Option<String>,
}

/// How a session ended.
#[derive(Clone, Debug, Default)]
pub struct SessionEnd {
    /// Per point, in the order they were asked for.
    pub stats: Vec<PointStats>,
    /// Points that went away while capturing: which, and why.
    pub lost: Vec<String>,
}

/// A running session.
pub struct Session {
    interfaces: Interfaces,
    stop: Arc<AtomicBool>,
    batches: Receiver<FrameBatch>,
    empty: SyncSender<FrameBatch>,
    thread: Option<JoinHandle<SessionEnd>>,
}

/// Batches between the ring thread and the consumer: together with the rings they bridge the consumer's pauses.
const IN_FLIGHT: usize = 64;

impl Session {
    /// Opens every point and starts. When this returns, the capture is live: no later frame is missed unseen.
    ///
    /// # Errors
    /// The first point that cannot be opened; nothing is left running then.
    pub fn start(specs: &[PointSpec], options: &SessionOptions) -> Result<Self, CaptureError> {
        let mut points = Vec::new();
        let mut infos = Vec::new();
        for spec in specs {
            let (point, info) = open_point(spec, options)?;
            points.push(point);
            infos.push(Arc::new(info));
        }
        let interfaces: Interfaces = Arc::new(infos);
        let stop = Arc::new(AtomicBool::new(false));
        let (to_consumer, batches) = sync_channel(IN_FLIGHT);
        let (empty, from_consumer) = sync_channel(IN_FLIGHT);
        let mut collector = Collector {
            points,
            direction: options.direction,
            interfaces: interfaces.clone(),
            to_consumer,
            from_consumer,
            batch: FrameBatch::default(),
            frames: 0,
            consumer_gone: false,
        };
        let flag = stop.clone();
        let thread = std::thread::Builder::new()
            .name("sniffkit-ring".into())
            .spawn(move || collector.run(&flag))
            .map_err(|error| CaptureError::system("starting the capture thread", &error))?;
        Ok(Self { interfaces, stop, batches, empty, thread: Some(thread) })
    }

    /// The capture points, by [`sniffkit_core::frame::FrameMeta::interface`].
    #[must_use]
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// A flag that ends the session when it is set: nothing more is let in, what is in the rings still comes.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// The next frames; `Ok(None)` if there were none for `wait`, `Err(())` at the end of the session.
    #[allow(clippy::result_unit_err)]
    pub fn next(&self, wait: Duration) -> Result<Option<FrameBatch>, ()> {
        match self.batches.recv_timeout(wait) {
            Ok(batch) => Ok(Some(batch)),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(()),
        }
    }

    /// Gives a batch back to be filled again.
    pub fn recycle(&self, batch: FrameBatch) {
        let _ = self.empty.try_send(batch);
    }

    /// Waits for the ring thread, behind the end of the frames.
    pub fn end(&mut self) -> SessionEnd {
        self.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            None => SessionEnd::default(),
            Some(Ok(end)) => end,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn open_point(spec: &PointSpec, options: &SessionOptions) -> Result<(Point, InterfaceInfo), CaptureError> {
    let netns = spec.netns.as_deref().map(Netns::open).transpose()?;
    let place = spec.netns.as_ref().map_or("this namespace".to_owned(), |name| format!("namespace {name:?}"));
    let opened = run_in(netns.as_ref(), || {
        let probe = crate::ring::socket(false)?;
        let found = interface::find(&probe, &spec.interface, &place)?;
        let snap = options.ring.snap_len;
        let program =
            options.filter.as_deref().map(|text| filter::compile(text, found.link_type.0, snap)).transpose()?;
        let ring = Ring::open(found, &options.ring, program.as_ref())?;
        Ok::<_, CaptureError>((ring, program))
    });
    let (ring, program) = opened??;
    let mut description = match &netns {
        Some(netns) => format!("netns {} inode {}", netns.path.display(), netns.inode),
        None => "netns of the capturing process".to_owned(),
    };
    if ring.interface.index != 0 {
        description.push_str(&format!(", ifindex {}", ring.interface.index));
    }
    if let Some(peer) = ring.interface.peer {
        description.push_str(&format!(", veth peer ifindex {peer}"));
    }
    let info = InterfaceInfo {
        name: Some(ring.interface.name.clone()),
        netns: spec.netns.as_ref().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()),
        description: Some(description),
        link_type: ring.interface.link_type,
        snap_len: options.ring.snap_len,
        filter: options.filter.clone(),
    };
    Ok((Point { ring, program, stats: PointStats::default(), ended: None }, info))
}

/// The ring thread's state. It copies frames out and never decodes.
struct Collector {
    points: Vec<Point>,
    direction: Option<Direction>,
    interfaces: Interfaces,
    to_consumer: SyncSender<FrameBatch>,
    from_consumer: Receiver<FrameBatch>,
    batch: FrameBatch,
    frames: u64,
    consumer_gone: bool,
}

impl Collector {
    fn run(&mut self, stop: &AtomicBool) -> SessionEnd {
        while !stop.load(Ordering::Acquire) && self.points.iter().any(|point| point.ended.is_none()) {
            if !self.round() {
                self.wait(RETIRE_MS as i32);
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
        for (index, point) in self.points.iter_mut().enumerate() {
            // One block a ring and round keeps frames of different rings near each other in time.
            any |= point.ring.take_block(&mut self.batch, index as u32);
        }
        if any {
            self.judge();
            self.hand_on();
        }
        any
    }

    /// Counts frames and drops those that the exact rules refuse.
    fn judge(&mut self) {
        let FrameBatch { data, frames, .. } = &mut self.batch;
        if self.points.len() > 1 {
            frames.sort_by_key(|meta| meta.ts);
        }
        let (points, direction) = (&mut self.points, self.direction);
        frames.retain(|meta| {
            let Some(point) = points.get_mut(meta.interface as usize) else { return false };
            let start = meta.offset as usize;
            let bytes = &data[start..start + meta.cap_len as usize];
            // On loopback the same packet goes out and comes in: once is enough, as in tcpdump.
            let twice = point.ring.interface.loopback && meta.direction == Direction::Out;
            let wanted = !twice && direction.is_none_or(|direction| direction == meta.direction);
            let tagged = bytes.len() > 13 && matches!(bytes[12..14], [0x81, 0] | [0x88, 0xa8] | [0x91, 0]);
            let exact = point.ring.interface.link_type != LinkType::ETHERNET || tagged;
            let passes = wanted && (!exact || point.program.as_ref().is_none_or(|p| p.matches(bytes, meta.frame_len)));
            point.stats.captured += u64::from(passes);
            point.stats.rejected += u64::from(!passes);
            passes
        });
        for meta in frames {
            self.frames += 1;
            meta.number = self.frames;
        }
    }

    fn hand_on(&mut self) {
        if self.batch.frames.is_empty() {
            self.batch.clear();
            return;
        }
        let mut next = self.from_consumer.try_recv().unwrap_or_default();
        next.clear();
        let mut full = std::mem::replace(&mut self.batch, next);
        full.interfaces = self.interfaces.clone();
        // A full channel means a consumer that is behind: waiting here fills the ring, where drops are counted.
        match self.to_consumer.try_send(full) {
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
            if fd.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 && point.ring.is_gone() {
                point.ended = Some(format!("{}: the interface has gone", point.ring.interface.name));
            }
        }
    }

    /// Lets nothing more in, then takes everything that the kernel says it has received.
    fn drain(&mut self) {
        for point in &self.points {
            // An interface that is gone takes no filter; it lets nothing in either.
            let _ = point.ring.close_gate();
        }
        // A block that holds anything is handed over within its retire time, so this takes one or two of them.
        let deadline = Instant::now() + Duration::from_secs(2);
        while !self.complete() && Instant::now() < deadline {
            if !self.round() {
                std::thread::sleep(Duration::from_millis(u64::from(RETIRE_MS) / 10));
            }
        }
    }

    /// Whether every frame that the kernel counted has been seen.
    fn complete(&mut self) -> bool {
        let mut complete = true;
        for point in &mut self.points {
            let KernelStats { received, dropped } = point.ring.kernel_stats().unwrap_or_default();
            (point.stats.received, point.stats.dropped) = (received, dropped);
            complete &= point.stats.captured + point.stats.rejected + dropped >= received;
        }
        complete
    }
}
