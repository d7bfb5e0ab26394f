//! Tables of many files in pieces: see `sniffkit/dataset`.

use crate::files::{WarningTuple, input, options, source_error};
use crate::filter::frame_filter;
use crate::watch::TURN;
use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sniffkit_core::frame::Reached;
use sniffkit_core::source::{MergedFiles, Part, ReadOptions, SourceError, first_time};
use sniffkit_core::table::keep::Keep;
use sniffkit_core::table::reader::{HourFile, Request, TableReader};
use sniffkit_core::track::Options;
use sniffkit_core::track::share::Share;
use std::collections::BTreeMap;
use std::time::Instant;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DatasetReader>()?;
    module.add_function(wrap_pyfunction!(first_frame_time, module)?)
}

/// An OSError; with its number where the error says nothing of the file, so that no file is passed over for it.
fn error_of(error: SourceError) -> PyErr {
    match &error {
        SourceError::Io { input, error: why } if error.is_of_process() => {
            PyOSError::new_err((why.raw_os_error(), why.to_string(), input.clone()))
        }
        _ => source_error(error),
    }
}

/// The time of an input's first frame, ns; `None` if it has none. Raises OSError if it is missing or no capture.
#[pyfunction]
fn first_frame_time(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let source = input(source)?;
    py.detach(|| first_time(source)).map_err(error_of)
}

/// Where a run stands: frames that the filter let through so far, files opened so far, of those not at their end (which
/// one, its frames so far), and the number of the last frame.
type Place = (u64, usize, Vec<(usize, u64)>, u64);

/// Rows of one hour as Python gets them.
type HourBytes<'py> = (Option<i64>, u64, Bound<'py, PyBytes>);

/// A table of files that are read as one capture in time order, handed out in pieces.
#[pyclass(module = "sniffkit._core")]
pub struct DatasetReader {
    reader: TableReader,
    /// Frames before this reader began.
    before: u64,
}

#[pymethods]
impl DatasetReader {
    /// `files`: each with the time of its first frame, ordered by it. `place` and `state` are what another reader of the
    /// same files, rules and share had; `share`: which one, of how many. `chunk`: bytes that are read at once.
    #[new]
    #[pyo3(signature = (kind, files, columns=None, filter=None, rules=None, share=(0, 1), place=None, state=None, chunk=256 << 10))]
    #[allow(clippy::too_many_arguments)] // keyword arguments
    fn new(
        kind: &str,
        files: Vec<(Bound<'_, PyAny>, i64)>,
        columns: Option<Vec<String>>,
        filter: Option<&str>,
        rules: Option<BTreeMap<String, f64>>,
        share: (u32, u32),
        place: Option<Place>,
        state: Option<&[u8]>,
        chunk: usize,
    ) -> PyResult<Self> {
        let options = options(Options::default(), rules)?;
        let share =
            Share::new(share.0, share.1).ok_or_else(|| PyValueError::new_err("a share is (index, how many)"))?;
        let inputs: Vec<_> = files.iter().map(|(file, _)| file.clone()).collect();
        let filter = filter.map(|text| frame_filter(text, &inputs)).transpose()?;
        let (before, opened, reading, number) = place.unwrap_or_default();
        let part = |(file, first): &(Bound<'_, PyAny>, i64)| Ok(Part { input: input(file)?, first: *first, taken: 0 });
        let parts = files.iter().map(part).collect::<PyResult<Vec<_>>>()?;
        let from = Reached { opened, reading, number, warnings: Vec::new() };
        let source = Box::new(MergedFiles::new(parts, &from, ReadOptions { chunk, ..ReadOptions::default() }));
        let request = Request { source, filter, columns, options, keep: Keep::default() };
        let reader = match kind {
            "flows" => TableReader::flows_from(request, share, state).map_err(PyValueError::new_err)?,
            _ if state.is_some() || !share.is_all() => return Err(PyValueError::new_err("only flows have a state")),
            "packets" => TableReader::packets(request).map_err(PyKeyError::new_err)?,
            other => TableReader::streams(other, request).map_err(PyKeyError::new_err)?,
        };
        Ok(Self { reader, before })
    }

    /// Reads on for a moment, but not beyond the batch in which frame number `until` is or `rows` are ready; `false` at
    /// the end of the input.
    fn advance(&mut self, py: Python<'_>, until: u64, rows: usize) -> PyResult<bool> {
        let (reader, before) = (&mut self.reader, self.before);
        let more = py.detach(|| {
            let start = Instant::now();
            loop {
                let more = reader.read_on()?;
                let full = before + reader.frames() >= until || reader.rows_ready() >= rows;
                if !more || full || start.elapsed() >= TURN {
                    return Ok(more);
                }
            }
        });
        py.check_signals()?;
        more.map_err(error_of)
    }

    /// Frames so far, those before this reader included.
    #[getter]
    fn frames(&self) -> u64 {
        self.before + self.reader.frames()
    }

    /// How many rows are ready.
    #[getter]
    fn ready(&self) -> usize {
        self.reader.rows_ready()
    }

    /// Takes the rows that are ready: (hour of `ts` since 1970 or None, how many rows, a Parquet file) for each hour.
    fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Vec<HourBytes<'py>>> {
        let reader = &mut self.reader;
        let hours: Vec<HourFile> =
            py.detach(|| reader.take_hours()).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(hours.into_iter().map(|(hour, rows, bytes)| (hour, rows, PyBytes::new(py, &bytes))).collect())
    }

    /// Where it stands, for another reader to go on from with `state`.
    fn place(&self) -> Place {
        let reached = self.reader.reached();
        (self.frames(), reached.opened, reached.reading.clone(), reached.number)
    }

    /// What decides the rows to come. Raises ValueError for a table whose state is not kept; take its rows before.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.reader.save()).map_err(PyValueError::new_err)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The warnings since the last call: (file, offset, what is wrong).
    fn warnings(&mut self) -> Vec<WarningTuple> {
        self.reader.take_warnings().into_iter().map(|w| (w.input, w.offset, w.what)).collect()
    }

    /// What the flow table has seen and what did not fit, from the beginning on.
    fn counters(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::from(self.reader.counters().named())
    }
}
