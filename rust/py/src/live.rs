//! Live capture for Python.

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;
use sniffkit_capture::netns::Netns;
use sniffkit_capture::ring::{BLOCK, MAX_BLOCKS, RingOptions};
use sniffkit_capture::strftime::local_name;
use sniffkit_capture::{CaptureError, PointSpec, PointStats, RecordEnd, RecordOptions, Recorder, SessionOptions};
use sniffkit_core::app::content::Work;
use sniffkit_core::frame::Direction;
use sniffkit_core::show::conversation::{Conversations, Select};
use sniffkit_core::show::{Dump, LineOptions, TextPrinter, Zone};
use sniffkit_core::table::rows;
use sniffkit_core::track::Options;
use sniffkit_core::write::{Format, Resolution, Rotation, SectionInfo, WriteOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How often a waiting caller looks for signals; one that comes while it waits wakes it.
const TICK: Duration = Duration::from_millis(200);

/// A ring of the default size where there are few, KiB.
const RING_KIB: usize = 8 << 10;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LiveSession>()?;
    module.add_class::<LiveOptions>()?;
    module.add("RING_KIB", RING_KIB)?;
    module.add_function(wrap_pyfunction!(namespace_label, module)?)
}

/// What a namespace, given by `ip netns` name, path or PID, is called in tables.
#[pyfunction]
fn namespace_label(name: &str) -> PyResult<String> {
    Ok(Netns::open(name).map_err(capture_error)?.label())
}

/// The exception's class tells which of `sniffkit.errors` it becomes.
pub fn capture_error(error: CaptureError) -> PyErr {
    let text = error.to_string();
    match error {
        CaptureError::Privilege(_) => PyPermissionError::new_err(text),
        CaptureError::Filter(_) => PyValueError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}

/// How to capture; attributes are set one by one. `buffer` and `max_bytes` in bytes, times in seconds.
#[pyclass(module = "sniffkit._core", get_all, set_all)]
#[derive(Clone, Default)]
pub struct LiveOptions {
    filter: Option<String>,
    snap_len: Option<u32>,
    buffer: Option<usize>,
    promiscuous: bool,
    direction: Option<String>,
    write: Option<String>,
    format: Option<String>,
    comments: Vec<String>,
    max_bytes: Option<u64>,
    max_seconds: Option<u32>,
    max_files: Option<u32>,
    flows: Option<PathBuf>,
    /// Rules of the flow table by name, where they are not those of a live capture.
    rules: BTreeMap<String, f64>,
    print: bool,
    link: bool,
    /// `-t` and the like: a name that `read_text` takes.
    time: Option<String>,
    /// TCP sequence numbers as they stand in the header.
    absolute: bool,
    dump: Option<String>,
    /// `follow`, or the table whose rows are printed as they end: `http` …
    say: Option<String>,
    /// For `follow`: `text`, `hex`, `raw` or `json`.
    style: Option<String>,
    colour: bool,
    count: Option<u64>,
    duration: Option<f64>,
    /// Local time: since when (seconds since 1970) how many seconds ahead of UTC.
    zone: Vec<(i64, i32)>,
    /// A filter expression for what is left out in the process' own namespace: who reads the capture's output.
    own_output: Option<String>,
    /// User id, group id and all groups to go on as, once every capture point is open.
    drop_to: Option<(u32, u32, Vec<u32>)>,
}

#[pymethods]
impl LiveOptions {
    #[new]
    fn new() -> Self {
        Self { promiscuous: true, ..Self::default() }
    }
}

/// `x`, `xx`, `X`, `XX` or `A`, as tcpdump's flags.
pub fn dump(flag: Option<&str>) -> PyResult<Dump> {
    Ok(match flag {
        None => Dump::None,
        Some("x") => Dump::Hex { link: false },
        Some("xx") => Dump::Hex { link: true },
        Some("X") => Dump::HexAscii { link: false },
        Some("XX") => Dump::HexAscii { link: true },
        Some("A") => Dump::Ascii,
        Some(other) => return Err(PyValueError::new_err(format!("no dump {other:?}"))),
    })
}

fn write_options(options: &LiveOptions) -> WriteOptions {
    WriteOptions {
        format: if options.format.as_deref() == Some("pcap") {
            Format::Pcap(Resolution::Nanos)
        } else {
            Format::Pcapng
        },
        rotation: Rotation {
            max_bytes: options.max_bytes,
            max_seconds: options.max_seconds,
            max_files: options.max_files,
            name_at: Some(local_name),
        },
        section: SectionInfo { comments: options.comments.clone(), os: system(), ..SectionInfo::default() },
    }
}

/// `Linux 6.1.0`, for `shb_os`.
fn system() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {}", release.trim()))
}

fn conversations(what: &str, options: &LiveOptions) -> PyResult<Conversations> {
    let zone = Zone::new(options.zone.clone());
    if what == "follow" {
        let style = crate::follow::style(options.style.as_deref().unwrap_or("text"))?;
        return Ok(Conversations::follow(Select::All, style, options.colour, zone));
    }
    match rows::find(what) {
        Some((table, _)) => Ok(Conversations::transactions((table.wants)(Work::Decode), zone)),
        None => Err(PyValueError::new_err(format!("no table {what:?} to print"))),
    }
}

/// So many seconds from now on; `None` if that is behind all that the clock can say (`inf`).
fn time(what: &str, seconds: f64) -> PyResult<Option<Duration>> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("{what} is a time in seconds, not {seconds}")));
    }
    Ok(Duration::try_from_secs_f64(seconds).ok().filter(|time| Instant::now().checked_add(*time).is_some()))
}

/// What `work` gives, on a thread that is left behind if the caller gives up before it ends.
fn beside<T: Send + 'static>(
    py: Python<'_>,
    given_up: Option<Bound<'_, PyAny>>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    const TICK: Duration = Duration::from_millis(20);
    /// What is about to end shall end: it may have made files.
    const GRACE: Duration = Duration::from_millis(500);
    let (done, mut result) = sync_channel(1);
    let mut wait = |time| {
        let result = &mut result;
        py.detach(move || result.recv_timeout(time))
    };
    let thread = std::thread::Builder::new().name("sniffkit-start".into()).spawn(move || done.send(work()))?;
    loop {
        match wait(TICK) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(_) => return Err(PyOSError::new_err("the starting thread gave nothing")),
            },
            Err(RecvTimeoutError::Timeout) => {}
        }
        let raised = py.check_signals();
        let given_up = given_up.as_ref().map_or(Ok(false), |ask| ask.call0()?.is_truthy())?;
        if raised.is_err() || given_up {
            let last = wait(GRACE);
            raised?;
            return last.map_err(|_| PyKeyboardInterrupt::new_err(()));
        }
    }
}

/// A running capture: live when the constructor returns.
#[pyclass(module = "sniffkit._core")]
pub struct LiveSession {
    recorder: Recorder,
    end: Mutex<Option<RecordEnd>>,
}

impl LiveSession {
    fn ended<T>(&self, read: impl FnOnce(&RecordEnd) -> T) -> Option<T> {
        self.end.lock().ok()?.as_ref().map(read)
    }
}

#[pymethods]
impl LiveSession {
    /// Opens every point ((namespace or None, interface) each) and starts. `given_up`: asked while it lasts, because a long
    /// filter or a pipe that nobody reads can take for ever; then KeyboardInterrupt. So does a signal whose handler raises.
    #[new]
    #[pyo3(signature = (points, options, given_up=None))]
    fn new(
        py: Python<'_>,
        points: Vec<(Option<String>, String)>,
        options: PyRef<'_, LiveOptions>,
        given_up: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options = options.clone();
        let points: Vec<PointSpec> =
            points.into_iter().map(|(netns, interface)| PointSpec { netns, interface }).collect();
        if points.is_empty() {
            return Err(PyValueError::new_err("no interface to capture on"));
        }
        let direction = match options.direction.as_deref() {
            None | Some("inout") => None,
            Some("in") => Some(Direction::In),
            Some("out") => Some(Direction::Out),
            Some(other) => return Err(PyValueError::new_err(format!("direction is in, out or inout, not {other:?}"))),
        };
        // 256 MiB in all: the kernel takes and clears it at once, and does not swap it. What is slow behind
        // the ring thread has a queue of its own.
        let buffer = options.buffer.unwrap_or((256 / points.len()).clamp(2, RING_KIB >> 10) << 20);
        if buffer > MAX_BLOCKS * BLOCK {
            return Err(PyOSError::new_err(format!("a ring has at most {} KiB", MAX_BLOCKS * BLOCK / 1024)));
        }
        let session = SessionOptions {
            ring: RingOptions {
                snap_len: options.snap_len.filter(|len| *len > 0).unwrap_or(262_144),
                buffer,
                promiscuous: options.promiscuous,
                direction,
            },
            filter: options.filter.clone().filter(|text| !text.trim().is_empty()),
            own_output: options.own_output.clone(),
        };
        let line = LineOptions {
            link: options.link,
            time: options.time.as_deref().map(crate::show::time_of).transpose()?.unwrap_or_default(),
            zone: Zone::new(options.zone.clone()),
            absolute: options.absolute,
        };
        let printer = match options.dump.as_deref() {
            Some("json") => TextPrinter::json(),
            name => TextPrinter::new(line, dump(name)?),
        };
        let rules = crate::files::options(Options::live(), Some(options.rules.clone()))?;
        let record = RecordOptions {
            write: options.write.clone().map(|name| (name, write_options(&options))),
            flows: options.flows.clone().map(|path| (path, rules)),
            print: options.print.then_some(printer),
            conversations: options.say.as_deref().map(|what| conversations(what, &options)).transpose()?,
            count: options.count,
            duration: options.duration.map(|s| time("duration", s)).transpose()?.flatten(),
        };
        let drop_to = options.drop_to;
        let between = move || {
            drop_to.map_or(Ok(()), |(uid, gid, groups)| sniffkit_capture::privilege::drop_to(uid, gid, &groups))
        };
        let started = beside(py, given_up, move || Recorder::start(&points, &session, record, between))?;
        let recorder = started.map_err(capture_error)?;
        Ok(Self { recorder, end: Mutex::new(None) })
    }

    /// The capture points as `namespace/interface`.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.recorder.names().to_vec()
    }

    /// Frames kept so far.
    #[getter]
    fn frames(&self) -> u64 {
        self.recorder.frames()
    }

    /// Ask the capture to end; `wait` sees the end.
    fn stop(&self) {
        self.recorder.stop();
    }

    /// Wait for the end, at most `seconds` (for ever without). `True` when it has ended. ^C raises.
    #[pyo3(signature = (seconds=None))]
    fn wait(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let until = seconds.map(|s| time("a wait", s.max(0.0))).transpose()?.flatten();
        let until = until.map(|time| Instant::now() + time);
        loop {
            let left = until.map_or(TICK, |until| until.saturating_duration_since(Instant::now()));
            if py.detach(|| self.recorder.wait(left.min(TICK))) {
                break;
            }
            py.check_signals()?;
            if left.is_zero() {
                return Ok(false);
            }
        }
        py.detach(|| {
            // Held meanwhile: whoever else has waited finds the end there.
            let Ok(mut slot) = self.end.lock() else { return };
            if let Some(end) = self.recorder.join() {
                *slot = Some(end);
            }
        });
        Ok(true)
    }

    /// (captured, received, dropped, rejected) of each point; before the end as they were at most half a second ago.
    fn stats(&self) -> Vec<(u64, u64, u64, u64)> {
        let row = |s: &PointStats| (s.captured, s.received, s.dropped, s.rejected);
        let stats = self.ended(|end| end.stats.clone()).unwrap_or_else(|| self.recorder.latest_stats());
        stats.iter().map(row).collect()
    }

    /// After the end: capture points that went away before.
    #[getter]
    fn lost(&self) -> Vec<String> {
        self.ended(|end| end.lost.clone()).unwrap_or_default()
    }

    /// After the end: why writing failed, if it did.
    #[getter]
    fn error(&self) -> Option<String> {
        self.ended(|end| end.error.clone()).flatten()
    }

    /// After the end: the capture file that was written last, and how many were begun.
    #[getter]
    fn last_file(&self) -> Option<(String, u64)> {
        self.ended(|end| end.last_file.clone()).flatten()
    }

    /// After the end: lines that were not printed, because nobody read them.
    #[getter]
    fn unprinted(&self) -> u64 {
        self.ended(|end| end.printed.left_out).unwrap_or(0)
    }

    /// After the end: bytes that were printed.
    #[getter]
    fn printed(&self) -> u64 {
        self.ended(|end| end.printed.bytes).unwrap_or(0)
    }

    /// After the end: rows of the flow table.
    #[getter]
    fn flow_rows(&self) -> Option<u64> {
        self.ended(|end| end.flow_rows).flatten()
    }
}
