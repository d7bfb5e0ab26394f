//! What happens to captured frames: written, printed, counted into flows, on a thread behind the ring's.

use crate::collector::now;
use crate::error::CaptureError;
use crate::flow_table::FlowTable;
use crate::output::{Output, Printed};
use crate::session::{LatestStats, PointSpec, PointStats, Session, SessionOptions};
use sniffkit_core::frame::FrameMeta;
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::show::TextPrinter;
use sniffkit_core::show::conversation::Conversations;
use sniffkit_core::track::Options;
use sniffkit_core::write::{CaptureWriter, Format, WriteError, WriteOptions, Written};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Frames that are decoded and followed together, once they are written: what is made of them stays in the processor's own
/// cache.
const PART: usize = 64;

/// What to do with the frames.
#[derive(Default)]
pub struct RecordOptions {
    /// Capture file (`-` is standard output) and how to write it.
    pub write: Option<(String, WriteOptions)>,
    /// Flow table, Parquet, and its rules. The file is there once the capture has ended: half a Parquet file cannot be read.
    pub flows: Option<(PathBuf, Options)>,
    /// Print each frame to standard output.
    pub print: Option<TextPrinter>,
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
    /// Counters per point, in the order they were asked for. What came behind the end that was asked for or after an
    /// error, and so was not kept, counts as rejected.
    pub stats: Vec<PointStats>,
    /// Points that went away while capturing.
    pub lost: Vec<String>,
    /// Why writing failed, if it did; what was written before is whole.
    pub error: Option<String>,
    /// Rows of the flow table.
    pub flow_rows: Option<u64>,
    /// The capture file that was written last, and how many were begun.
    pub last_file: Option<(String, u64)>,
    /// What standard output took.
    pub printed: Printed,
}

/// A running recording.
pub struct Recorder {
    stop: Arc<AtomicBool>,
    /// Somebody has asked for the end, and waits for it.
    asked: Arc<AtomicBool>,
    frames: Arc<AtomicU64>,
    latest: LatestStats,
    names: Vec<String>,
    thread: Mutex<Option<JoinHandle<RecordEnd>>>,
    /// Its other end is closed when the thread ends.
    end: UnixStream,
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
        let pcapng = options.write.as_ref().map(|(_, how)| how).filter(|how| how.format == Format::Pcapng);
        let (in_blocks, rotates) = (pcapng.is_some(), pcapng.is_some_and(|how| how.rotation.is_active()));
        let mut session = Session::start(points, session, in_blocks, rotates)?;
        between()?;
        // The table first: it has no name yet, so nothing is left behind where one of the two cannot be.
        let flows = options.flows.map(|(path, rules)| FlowTable::create(path, rules)).transpose()?;
        let writer = options
            .write
            .map(|(name, mut how)| {
                how.section.comments.push(format!("topology: {}", session.topology()));
                CaptureWriter::create(&name, how, session.interfaces(), now())
            })
            .transpose()
            .map_err(|error| CaptureError::System(error.to_string()))?;
        let (stop, latest) = (session.stop_flag(), session.latest_stats());
        let frames = Arc::new(AtomicU64::new(0));
        let names = session.names();
        let asked = Arc::new(AtomicBool::new(false));
        let no_thread = |error| CaptureError::system("starting a thread", &error);
        let prints = options.print.is_some() || options.conversations.is_some();
        let output = prints.then(|| Output::stdout(asked.clone())).transpose().map_err(no_thread)?;
        let printer = options.print.map(|printer| printer.with_names(session.interface_names()));
        let work = Work {
            kept: vec![0; session.interfaces().len()],
            session,
            writer,
            rotates,
            flows,
            output,
            printer,
            conversations: options.conversations,
            limit: options.count,
            until: options.duration.map(|time| Instant::now() + time),
            frames: frames.clone(),
            decoded: Decoded::default(),
            part: Vec::new(),
            text: String::new(),
            said: Vec::new(),
            error: None,
        };
        let (end, ends) = UnixStream::pair().map_err(no_thread)?;
        let run = move || {
            let _ends = ends;
            work.run()
        };
        let thread = std::thread::Builder::new().name("sniffkit-record".into()).spawn(run).map_err(no_thread)?;
        Ok(Self { stop, asked, frames, latest, names, thread: Mutex::new(Some(thread)), end })
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

    /// The counters of the session as they were at most half a second ago.
    #[must_use]
    pub fn latest_stats(&self) -> Vec<PointStats> {
        self.latest.read()
    }

    /// Asks the capture to end. What the rings hold still comes; who does not read standard output is not waited for.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        self.stop.store(true, Ordering::Release);
    }

    /// Waits for the end, so long at most, or until a signal comes to this thread. Whether it has ended.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        let mut end = libc::pollfd { fd: self.end.as_raw_fd(), events: 0, revents: 0 };
        let time = libc::c_int::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX);
        // SAFETY: the pointer is to one pollfd, whose descriptor is open as long as `self` is there.
        unsafe { libc::poll(&raw mut end, 1, time) > 0 }
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

struct Work {
    session: Session,
    /// Frames kept, per point.
    kept: Vec<u64>,
    writer: Option<CaptureWriter>,
    /// The writer may end a file with any batch, and says there what has been received by then.
    rotates: bool,
    flows: Option<FlowTable>,
    /// Where all that is printed goes.
    output: Option<Output>,
    printer: Option<TextPrinter>,
    conversations: Option<Conversations>,
    limit: Option<u64>,
    until: Option<Instant>,
    frames: Arc<AtomicU64>,
    decoded: Decoded,
    /// Frames of a batch that are followed together.
    part: Vec<FrameMeta>,
    /// What is to be shown of the batch at hand: lines of frames, and what flows say.
    text: String,
    said: Vec<u8>,
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
                    self.batch();
                    let batch = std::mem::take(&mut self.decoded.batch);
                    self.session.recycle(batch);
                }
            }
            self.say(&[]); // whether an earlier text was read
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
                // Not the clock's: packets may have waited for us, and time is their own.
                let time = self.session.reached();
                if let Some(flows) = &mut self.flows {
                    flows.tracker.expire(time);
                }
                if let Some(conversations) = &mut self.conversations {
                    let mut out = Vec::new();
                    conversations.expire(time, &mut out);
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

    /// The reader of a pipe has gone: nothing is wrong, the capture is over, and what it wrote is kept.
    fn reader_gone(&mut self) {
        self.writer = None;
        self.printer = None;
        self.limit = Some(self.frames.load(Ordering::Relaxed));
    }

    fn failed_to_write(&mut self, error: &WriteError) {
        match error {
            WriteError::Io { error, .. } if error.kind() == ErrorKind::BrokenPipe => self.reader_gone(),
            _ => self.fail(error.to_string()),
        }
    }

    /// Does with a batch what is to be done, part by part; what is to be shown goes out once. Behind the end that was asked
    /// for, or an error, the rings are still emptied.
    fn batch(&mut self) {
        let kept = if self.error.is_none() { self.write() } else { 0 };
        let frames = std::mem::replace(&mut self.decoded.batch.frames, std::mem::take(&mut self.part));
        for part in frames[..kept].chunks(PART) {
            self.decoded.batch.frames.clear();
            self.decoded.batch.frames.extend_from_slice(part);
            self.follow();
        }
        self.part = std::mem::replace(&mut self.decoded.batch.frames, frames); // both kept for their memory
        let (mut text, mut said) = (std::mem::take(&mut self.text), std::mem::take(&mut self.said));
        self.say(text.as_bytes());
        self.say(&said);
        text.clear();
        said.clear();
        (self.text, self.said) = (text, said); // likewise
    }

    /// Writes the frames of the batch at hand, those behind the last that was asked for excepted; how many are kept.
    fn write(&mut self) -> usize {
        let so_far = self.frames.load(Ordering::Relaxed);
        let room = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit - so_far).unwrap_or(usize::MAX));
        self.decoded.batch.frames.truncate(room);
        let mut kept = self.decoded.batch.frames.len();
        let mut failed = None;
        if let Some(writer) = &mut self.writer {
            let before = writer.frames();
            if self.rotates {
                set_statistics(writer, &self.session.latest_stats().read());
            }
            let mut result = writer.write_batch(&self.decoded.batch);
            if self.flows.is_some() && result.is_ok() {
                // The table counts what is in the file: nothing that waits in a buffer, and may not get there.
                result = writer.flush().and(result);
            }
            match result {
                Ok(Written::All) => {}
                Ok(Written::Done(taken)) => {
                    self.limit = Some(so_far + taken as u64);
                    kept = taken;
                }
                Err(error) => {
                    let reached = usize::try_from(writer.frames().saturating_sub(before)).unwrap_or(usize::MAX);
                    kept = kept.min(reached);
                    failed = Some(error);
                }
            }
        }
        for meta in &self.decoded.batch.frames[..kept] {
            if let Some(count) = self.kept.get_mut(meta.interface as usize) {
                *count += 1;
            }
        }
        self.frames.store(so_far + kept as u64, Ordering::Relaxed);
        if let Some(error) = failed {
            self.failed_to_write(&error);
        }
        kept
    }

    /// Does with the frames of the batch at hand what is done beside writing.
    fn follow(&mut self) {
        if self.printer.is_none() && self.flows.is_none() && self.conversations.is_none() {
            return;
        }
        self.decoded.batch.bring();
        self.decoded.decode();
        if let Some(flows) = &mut self.flows {
            flows.tracker.batch(&self.decoded.batch, self.decoded.packets(), None);
            if let Err(text) = flows.update() {
                self.fail(text);
            }
        }
        if let Some(printer) = &mut self.printer {
            for (meta, packet) in self.decoded.batch.frames.iter().zip(self.decoded.packets()) {
                printer.print(&self.decoded.batch, meta, packet, &mut self.text);
            }
        }
        if let Some(conversations) = &mut self.conversations {
            conversations.batch(&self.decoded.batch, self.decoded.packets(), &mut self.said);
        }
    }

    fn say(&mut self, text: &[u8]) {
        let Some(output) = &mut self.output else { return };
        // What is kept is whole, whoever reads; where nothing is, the reader has all that the rings can hold meanwhile.
        let patient = self.writer.is_none() && self.flows.is_none();
        if let Err(error) = output.say(text, patient) {
            self.not_printed(&error);
        }
    }

    fn not_printed(&mut self, error: &std::io::Error) {
        if error.kind() == ErrorKind::BrokenPipe {
            // What is written beside the printed lines is still finished.
            let writer = self.writer.take();
            self.conversations = None;
            self.reader_gone();
            self.writer = writer;
        } else {
            self.fail(CaptureError::system("standard output", error).to_string());
        }
    }

    fn flush(&mut self) {
        if self.error.is_some() {
            return;
        }
        let stats = self.session.latest_stats().read();
        if let Some(writer) = &mut self.writer {
            set_statistics(writer, &stats);
            if let Err(error) = writer.flush() {
                self.failed_to_write(&error);
            }
        }
    }

    fn finish(mut self) -> RecordEnd {
        let mut ended = self.session.end();
        if let Some(mut conversations) = self.conversations.take() {
            let mut out = Vec::new();
            conversations.finish(&mut out);
            self.say(&out);
        }
        self.flush();
        let mut last_file = None;
        if let Some(mut writer) = self.writer.take() {
            if self.error.is_some() {
                // Blocks that did not reach the file have been cut off, and their frames are not kept.
                self.kept = writer.written().collect();
                self.frames.store(self.kept.iter().sum(), Ordering::Relaxed);
            }
            set_statistics(&mut writer, &ended.stats);
            last_file = Some((writer.name().to_owned(), writer.file_count()));
            if let Err(error) = writer.finish(now()) {
                self.failed_to_write(&error);
            }
        }
        for (stats, kept) in ended.stats.iter_mut().zip(&self.kept) {
            stats.rejected += stats.captured.saturating_sub(*kept);
            stats.captured = *kept;
        }
        let mut flow_rows = None;
        if let Some(flows) = self.flows.take() {
            match flows.finish() {
                Ok(rows) => flow_rows = Some(rows),
                Err(error) => self.fail(error),
            }
        }
        // Last: the files are whole by now, however long somebody takes to read.
        let printed = self.output.take().map(Output::finish).transpose().unwrap_or_else(|error| {
            self.not_printed(&error);
            None
        });
        RecordEnd {
            frames: self.frames.load(Ordering::Relaxed),
            stats: ended.stats,
            lost: ended.lost,
            error: self.error,
            flow_rows,
            last_file,
            printed: printed.unwrap_or_default(),
        }
    }
}

fn set_statistics(writer: &mut CaptureWriter, stats: &[PointStats]) {
    for (index, stats) in (0..).zip(stats) {
        writer.set_statistics(index, stats.for_file());
    }
}
