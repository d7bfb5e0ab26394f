//! What happens to captured frames: written, printed, counted into flows, on a thread behind the ring's.

use crate::error::CaptureError;
use crate::session::{PointSpec, PointStats, Session, SessionOptions};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::show::conversation::Conversations;
use sniffkit_core::show::{Dump, LineOptions, TextPrinter};
use sniffkit_core::table::file::FlowFile;
use sniffkit_core::track::{Options, Tracker, options::SECOND};
use sniffkit_core::write::{CaptureWriter, InterfaceStatistics, WriteOptions, Written};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What to do with the frames.
#[derive(Default)]
pub struct RecordOptions {
    /// Capture file (`-` is standard output) and how to write it.
    pub write: Option<(String, WriteOptions)>,
    /// Flow table, Parquet. It stands under this name once the capture has ended.
    pub flows: Option<PathBuf>,
    /// Print a line a frame to standard output.
    pub print: Option<(LineOptions, Dump)>,
    /// Print what the flows say to each other to standard output.
    pub conversations: Option<Conversations>,
    /// End after so many frames.
    pub count: Option<u64>,
    /// End after this time.
    pub duration: Option<Duration>,
}

/// How a recording ended.
#[derive(Clone, Debug, Default)]
pub struct RecordEnd {
    /// Frames that were kept: written, printed, counted.
    pub frames: u64,
    /// Counters per point, in the order they were asked for.
    pub stats: Vec<PointStats>,
    /// Points that went away while capturing.
    pub lost: Vec<String>,
    /// Why writing failed, if it did; what was written before is whole.
    pub error: Option<String>,
    /// Rows of the flow table.
    pub flow_rows: Option<u64>,
}

/// A running recording.
pub struct Recorder {
    stop: Arc<AtomicBool>,
    frames: Arc<AtomicU64>,
    names: Vec<String>,
    thread: Mutex<Option<JoinHandle<RecordEnd>>>,
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

impl Recorder {
    /// Opens every capture point, then the outputs, and starts. When this returns, the capture is live.
    /// `between` runs after the points are open and before any file is: the place to drop privileges.
    ///
    /// # Errors
    /// The first thing that cannot be opened; nothing is left running then.
    pub fn start(
        points: &[PointSpec],
        session: &SessionOptions,
        options: RecordOptions,
        between: impl FnOnce() -> Result<(), CaptureError>,
    ) -> Result<Self, CaptureError> {
        let session = Session::start(points, session)?;
        between()?;
        let system = |error: &dyn std::fmt::Display| CaptureError::System(error.to_string());
        let writer = options
            .write
            .map(|(name, how)| CaptureWriter::create(&name, how, session.interfaces(), now()))
            .transpose()
            .map_err(|error| system(&error))?;
        let flows = options.flows.map(FlowTable::create).transpose()?;
        let stop = session.stop_flag();
        let frames = Arc::new(AtomicU64::new(0));
        let names = session
            .interfaces()
            .iter()
            .map(|info| {
                let name = info.name.as_deref().unwrap_or("?");
                info.netns.as_ref().map_or(name.to_owned(), |netns| format!("{netns}/{name}"))
            })
            .collect();
        let work = Work {
            session,
            writer,
            flows,
            printer: options.print.map(|(line, dump)| TextPrinter::new(line, dump)),
            conversations: options.conversations,
            limit: options.count,
            until: options.duration.map(|time| Instant::now() + time),
            frames: frames.clone(),
            decoded: Decoded::default(),
            text: String::new(),
            error: None,
        };
        let thread = std::thread::Builder::new()
            .name("sniffkit-record".into())
            .spawn(move || work.run())
            .map_err(|error| CaptureError::system("starting the recording thread", &error))?;
        Ok(Self { stop, frames, names, thread: Mutex::new(Some(thread)) })
    }

    /// The capture points as `namespace/interface`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Frames kept so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Asks the capture to end. What the rings hold still comes.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.lock().map_or(true, |thread| thread.as_ref().is_none_or(JoinHandle::is_finished))
    }

    /// Waits for the end; `None` if somebody else has done so.
    #[must_use]
    pub fn join(&self) -> Option<RecordEnd> {
        let thread = self.thread.lock().ok()?.take()?;
        match thread.join() {
            Ok(end) => Some(end),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
        let _ = self.join();
    }
}

/// The flow table of a recording: written beside its name, moved there when it is whole.
struct FlowTable {
    tracker: Tracker,
    file: FlowFile<BufWriter<File>>,
    partial: PathBuf,
    path: PathBuf,
}

impl FlowTable {
    fn create(path: PathBuf) -> Result<Self, CaptureError> {
        let mut partial = path.clone().into_os_string();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        let tracker = Tracker::new(Options { active: Some(1800 * SECOND), ..Options::default() });
        let file = File::create(&partial).map_err(|error| CaptureError::system(&path.display().to_string(), &error))?;
        let file = FlowFile::new(BufWriter::new(file), &tracker).map_err(|e| CaptureError::System(e.to_string()))?;
        Ok(Self { tracker, file, partial, path })
    }

    fn finish(mut self) -> Result<u64, String> {
        let name = self.path.display().to_string();
        let rows = self.file.finish(&mut self.tracker).map_err(|error| format!("{name}: {error}"))?;
        std::fs::rename(&self.partial, &self.path).map_err(|error| format!("{name}: {error}"))?;
        Ok(rows)
    }
}

struct Work {
    session: Session,
    writer: Option<CaptureWriter>,
    flows: Option<FlowTable>,
    printer: Option<TextPrinter>,
    conversations: Option<Conversations>,
    limit: Option<u64>,
    until: Option<Instant>,
    frames: Arc<AtomicU64>,
    decoded: Decoded,
    text: String,
    error: Option<String>,
}

impl Work {
    fn run(mut self) -> RecordEnd {
        let stop = self.session.stop_flag();
        let mut flushed = Instant::now();
        let mut expired = Instant::now();
        // Half a second at most between flushes: "at most the last second is missing" with room to spare.
        const FLUSH: Duration = Duration::from_millis(500);
        loop {
            match self.session.next(Duration::from_millis(100)) {
                Err(()) => break,
                Ok(None) => {}
                Ok(Some(batch)) => {
                    self.decoded.batch = batch;
                    if self.done() {
                        // Behind the end that was asked for; the rings are still emptied.
                    } else if self.error.is_none() {
                        self.batch();
                    }
                    let batch = std::mem::take(&mut self.decoded.batch);
                    self.session.recycle(batch);
                }
            }
            let time_up = self.until.is_some_and(|until| Instant::now() >= until);
            if self.done() || time_up || self.error.is_some() {
                stop.store(true, Ordering::Release);
            }
            if flushed.elapsed() >= FLUSH {
                flushed = Instant::now();
                self.flush();
            }
            if expired.elapsed() >= Duration::from_secs(10) {
                expired = Instant::now();
                if let Some(flows) = &mut self.flows {
                    flows.tracker.expire(now());
                }
                if let Some(conversations) = &mut self.conversations {
                    let mut out = Vec::new();
                    conversations.expire(now(), &mut out);
                    self.say(&out);
                }
            }
        }
        self.finish()
    }

    fn done(&self) -> bool {
        self.limit.is_some_and(|limit| self.frames.load(Ordering::Relaxed) >= limit)
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    fn batch(&mut self) {
        let so_far = self.frames.load(Ordering::Relaxed);
        if let Some(limit) = self.limit {
            let room = usize::try_from(limit - so_far).unwrap_or(usize::MAX);
            self.decoded.batch.frames.truncate(room);
        }
        let mut kept = self.decoded.batch.frames.len();
        if let Some(writer) = &mut self.writer {
            match writer.write_batch(&self.decoded.batch) {
                Ok(Written::All) => {}
                Ok(Written::Done(taken)) => {
                    kept = taken;
                    self.limit = Some(so_far + taken as u64);
                    self.decoded.batch.frames.truncate(taken);
                }
                Err(error) => self.fail(error.to_string()),
            }
        }
        self.frames.fetch_add(kept as u64, Ordering::Relaxed);
        if self.printer.is_none() && self.flows.is_none() && self.conversations.is_none() {
            return;
        }
        self.decoded.decode();
        if let Some(flows) = &mut self.flows {
            flows.tracker.batch(&self.decoded.batch, self.decoded.packets(), None);
            if let Err(error) = flows.file.update(&mut flows.tracker) {
                let text = format!("{}: {error}", flows.path.display());
                self.fail(text);
            }
        }
        self.print();
        if let Some(conversations) = &mut self.conversations {
            let mut out = Vec::new();
            conversations.batch(&self.decoded.batch, self.decoded.packets(), &mut out);
            self.say(&out);
        }
    }

    fn say(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut out = std::io::stdout().lock();
        let result = out.write_all(text).and_then(|()| out.flush());
        drop(out);
        self.wrote(result);
    }

    /// What became of writing to standard output.
    fn wrote(&mut self, result: std::io::Result<()>) {
        match result {
            Ok(()) => {}
            // The reader has gone: nothing is wrong, the capture is over, and what it wrote is kept.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                (self.printer, self.conversations) = (None, None);
                self.session.stop_flag().store(true, Ordering::Release);
            }
            Err(error) => self.fail(format!("standard output: {error}")),
        }
    }

    fn print(&mut self) {
        let Some(printer) = &mut self.printer else { return };
        self.text.clear();
        for (meta, packet) in self.decoded.batch.frames.iter().zip(self.decoded.packets()) {
            printer.print(&self.decoded.batch, meta, packet, &mut self.text);
        }
        let mut out = std::io::stdout().lock();
        let result = out.write_all(self.text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        self.wrote(result);
    }

    fn flush(&mut self) {
        if self.error.is_some() {
            return;
        }
        if let Some(Err(error)) = self.writer.as_mut().map(CaptureWriter::flush) {
            self.fail(error.to_string());
        }
    }

    fn finish(mut self) -> RecordEnd {
        let ended = self.session.end();
        if let Some(mut conversations) = self.conversations.take() {
            let mut out = Vec::new();
            conversations.finish(&mut out);
            self.say(&out);
        }
        if let Some(mut writer) = self.writer.take() {
            for (index, stats) in ended.stats.iter().enumerate() {
                let statistics = InterfaceStatistics {
                    received: Some(stats.received),
                    dropped: Some(stats.dropped),
                    filter_accepted: Some(stats.captured),
                    os_dropped: Some(stats.dropped),
                    ..InterfaceStatistics::default()
                };
                writer.set_statistics(index as u32, statistics);
            }
            if let Err(error) = writer.finish(now()) {
                self.fail(error.to_string());
            }
        }
        let mut flow_rows = None;
        if let Some(flows) = self.flows.take() {
            match flows.finish() {
                Ok(rows) => flow_rows = Some(rows),
                Err(error) => self.fail(error),
            }
        }
        RecordEnd {
            frames: self.frames.load(Ordering::Relaxed),
            stats: ended.stats,
            lost: ended.lost,
            error: self.error,
            flow_rows,
        }
    }
}
