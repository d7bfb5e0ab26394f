//! A capture session: rings in one or many namespaces, one thread that empties them, frames in batches.

use crate::collector::{Collector, Point, room};
use crate::error::CaptureError;
use crate::netns::{Netns, run_in, tell_apart};
use crate::ring::{Ring, RingOptions};
use crate::rtnetlink::{Peer, veth_peer};
use crate::{filter, interface};
use sniffkit_core::frame::{FrameBatch, InterfaceInfo, Interfaces, LinkType};
use sniffkit_core::show::Names;
use sniffkit_core::write::InterfaceStatistics;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
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

impl PointSpec {
    /// What the point is called, in a namespace of this label.
    fn name(&self, netns: Option<&str>) -> String {
        netns.map_or_else(|| self.interface.clone(), |netns| format!("{netns}/{}", self.interface))
    }
}

/// How to capture.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Ring size, snap length, promiscuous mode.
    pub ring: RingOptions,
    /// tcpdump's filter language.
    pub filter: Option<String>,
    /// What is left out on interfaces of the process' own namespace, in the same language: the connection that carries
    /// the capture's own output.
    pub own_output: Option<String>,
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
    /// Frames that the kernel let through and the exact filter did not.
    pub rejected: u64,
}

impl PointStats {
    /// As a statistics block of pcapng has them.
    pub(crate) fn for_file(&self) -> InterfaceStatistics {
        InterfaceStatistics {
            received: Some(self.received),
            dropped: Some(self.dropped),
            filter_accepted: Some(self.received.saturating_sub(self.rejected)),
            os_dropped: Some(self.dropped),
            ..InterfaceStatistics::default()
        }
    }
}

/// The counters of a session that may still run, as they were at most half a second ago.
#[derive(Clone)]
pub struct LatestStats(Arc<Mutex<Vec<PointStats>>>);

impl LatestStats {
    /// Per point, in the order they were asked for.
    #[must_use]
    pub fn read(&self) -> Vec<PointStats> {
        self.0.lock().map(|stats| stats.clone()).unwrap_or_default()
    }
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
    topology: String,
    latest: Arc<Mutex<Vec<PointStats>>>,
    stop: Arc<AtomicBool>,
    batches: Receiver<(FrameBatch, i64)>,
    level: Arc<AtomicI64>,
    reached: i64,
    empty: SyncSender<FrameBatch>,
    /// Of each point that is all interfaces of its namespace, a socket there.
    probes: Vec<Option<OwnedFd>>,
    thread: Option<JoinHandle<SessionEnd>>,
}

/// Batches between the ring thread and the consumer: together with the rings they bridge the consumer's pauses. Each holds
/// a block, of half a MiB in a ring of the usual size.
const IN_FLIGHT: usize = 128;

impl Session {
    /// Opens every point and starts. When this returns, the capture is live: no later frame is missed unseen. `in_blocks`:
    /// its frames go into a pcapng file, see [`FrameBatch::in_blocks`]. `counted`: [`Session::latest_stats`] are never older than
    /// the frames that [`Session::next`] has given.
    ///
    /// # Errors
    /// The first point that cannot be opened; nothing is left running then.
    pub fn start(
        specs: &[PointSpec],
        options: &SessionOptions,
        in_blocks: bool,
        counted: bool,
    ) -> Result<Self, CaptureError> {
        let home = Netns::home()?;
        let mut points: Vec<Point> = Vec::new();
        let (mut infos, mut peers, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        for spec in specs {
            let (point, info, peer, probe) = open_point(spec, options, &home)?;
            let place = |point: &Point| (point.netns, point.ring.interface.index);
            if points.iter().any(|other| place(other) == place(&point)) {
                return Err(CaptureError::System(format!("the same interface is given twice: {}", point.name)));
            }
            peers.push(peer.and_then(|peer| peer.name));
            points.push(point);
            infos.push(info);
            probes.push(probe);
        }
        let mut labels: Vec<_> =
            infos.iter().zip(&points).map(|(info, point)| (info.netns.clone(), point.netns)).collect();
        tell_apart(&mut labels);
        for ((info, point), ((label, _), spec)) in infos.iter_mut().zip(&mut points).zip(labels.into_iter().zip(specs))
        {
            point.name = spec.name(label.as_deref());
            info.netns = label;
        }
        let ends: Vec<_> = points.iter().map(|point| point.name.clone()).zip(peers).collect();
        let interfaces: Interfaces = Arc::new(infos.into_iter().map(Arc::new).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let latest = Arc::new(Mutex::new(vec![PointStats::default(); points.len()]));
        let level = Arc::new(AtomicI64::new(0));
        let (to_consumer, batches) = sync_channel(IN_FLIGHT);
        let (empty, from_consumer) = sync_channel(IN_FLIGHT);
        let mut collector = Collector {
            points,
            interfaces: interfaces.clone(),
            latest: latest.clone(),
            level: level.clone(),
            to_consumer,
            from_consumer,
            batch: room(in_blocks),
            judged: 0,
            held_since: Instant::now(),
            counted,
            frames: 0,
            consumer_gone: false,
        };
        let flag = stop.clone();
        let thread = std::thread::Builder::new()
            .name("sniffkit-ring".into())
            .spawn(move || collector.run(&flag))
            .map_err(|error| CaptureError::system("starting the capture thread", &error))?;
        let topology = topology(&ends);
        Ok(Self { interfaces, topology, latest, stop, batches, level, reached: 0, empty, probes, thread: Some(thread) })
    }

    /// What the interfaces of points that are all of a namespace's are called there, now.
    #[must_use]
    pub fn interface_names(&mut self) -> Names {
        let probes = std::mem::take(&mut self.probes);
        Names::new(Box::new(move |point, index| {
            let probe = probes.get(point as usize)?.as_ref()?;
            interface::name(probe, i32::try_from(index).ok()?)
        }))
    }

    /// The capture points and the other ends of their veth pairs: `ns1/veth1 -- ns2/veth2; ns1/eth0`.
    #[must_use]
    pub fn topology(&self) -> &str {
        &self.topology
    }

    /// The counters as they were at most half a second ago.
    #[must_use]
    pub fn latest_stats(&self) -> LatestStats {
        LatestStats(self.latest.clone())
    }

    /// Every frame older than this, ns since the epoch, has been given by [`Session::next`]: time as it has passed for
    /// whoever takes the frames, however many still wait.
    #[must_use]
    pub fn reached(&self) -> i64 {
        self.reached
    }

    /// The capture points, by [`sniffkit_core::frame::FrameMeta::interface`].
    #[must_use]
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// The capture points as `namespace/interface`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |info: &Arc<InterfaceInfo>| info.point().unwrap_or_else(|| "?".to_owned());
        self.interfaces.iter().map(name).collect()
    }

    /// A flag that ends the session when it is set: nothing more is let in, what is in the rings still comes.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// The next frames; `Ok(None)` if there were none for `wait`, `Err(())` at the end of the session.
    #[allow(clippy::result_unit_err)]
    pub fn next(&mut self, wait: Duration) -> Result<Option<FrameBatch>, ()> {
        let level = self.level.load(Ordering::Acquire); // before it is seen that nothing older waits
        let (batch, level) = match self.batches.recv_timeout(wait) {
            Ok((batch, level)) => (Some(batch), level),
            Err(RecvTimeoutError::Timeout) => (None, level),
            Err(RecvTimeoutError::Disconnected) => return Err(()),
        };
        self.reached = level;
        Ok(batch)
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

/// Each point with the other end of its veth pair; a pair of which both ends are captured stands there once.
fn topology(ends: &[(String, Option<String>)]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (at, (name, peer)) in ends.iter().enumerate() {
        match peer {
            Some(peer) if ends[..at].iter().any(|(before, _)| before == peer) => {}
            Some(peer) => parts.push(format!("{name} -- {peer}")),
            None => parts.push(name.clone()),
        }
    }
    parts.join("; ")
}

type Opened = (Point, InterfaceInfo, Option<Peer>, Option<OwnedFd>);

fn open_point(spec: &PointSpec, options: &SessionOptions, home: &Netns) -> Result<Opened, CaptureError> {
    let netns = spec.netns.as_deref().map(Netns::open).transpose()?;
    let place = spec.netns.as_ref().map_or("this namespace".to_owned(), |name| format!("namespace {name:?}"));
    let inode = netns.as_ref().map_or(home.inode, |netns| netns.inode);
    let opened = run_in(netns.as_ref(), || {
        let probe = crate::ring::socket()?;
        let found = interface::find(&probe, &spec.interface, &place)?;
        let netmask = interface::netmask(&probe, &spec.interface);
        let target = filter::Target::live(found.link_type.0, options.ring.snap_len, netmask);
        let compile = |text: &str| filter::compile(text, target);
        let mut text = options.filter.clone();
        let mut program = text.as_deref().map(compile).transpose()?;
        if let Some(own) =
            options.own_output.as_ref().filter(|_| inode == home.inode && found.link_type != LinkType::NETLINK)
        {
            let whole = text.map_or(format!("not ({own})"), |text| format!("({text}) and not ({own})"));
            program = Some(compile(&whole)?);
            text = Some(whole);
        }
        let ring = Ring::open(found, &options.ring, program.as_ref())?;
        let peer = veth_peer(ring.interface.index, netns.as_ref(), Some(home)).filter(|_| ring.interface.index != 0);
        let probe = (ring.interface.index == 0).then_some(probe);
        Ok::<_, CaptureError>((ring, program, text, peer, probe))
    });
    let (ring, program, filter, peer, probe) = opened??;
    let path = netns.as_ref().map_or("/proc/self/ns/net".into(), |netns| netns.path.display().to_string());
    let mut description = format!("netns {path} inode {inode}");
    if ring.interface.index != 0 {
        description.push_str(&format!(", ifindex {}", ring.interface.index));
    }
    if let Some(Peer { index, name }) = &peer {
        let name = name.as_ref().map_or(String::new(), |name| format!("{name} "));
        description.push_str(&format!(", veth peer {name}ifindex {index}"));
    }
    let label = netns.as_ref().map(Netns::label);
    let name = spec.name(label.as_deref());
    let info = InterfaceInfo {
        name: Some(ring.interface.name.clone()),
        netns: label,
        description: Some(description),
        link_type: ring.interface.link_type,
        snap_len: options.ring.snap_len,
        filter,
    };
    let stats = PointStats::default();
    let point = Point { ring, name, netns: inode, program, stats, level: i64::MIN, ended: None };
    Ok((point, info, peer, probe))
}

#[cfg(test)]
mod tests {
    use super::topology;

    #[test]
    fn the_topology_names_each_pair_once() {
        let end = |name: &str, peer: Option<&str>| (name.to_owned(), peer.map(str::to_owned));
        let ends = [end("a/v1", Some("b/v2")), end("b/v2", Some("a/v1")), end("b/eth0", None), end("c/v", Some("d/v"))];
        assert_eq!(topology(&ends), "a/v1 -- b/v2; b/eth0; c/v -- d/v");
    }
}
