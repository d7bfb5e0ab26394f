//! Tables of capture files.

use crate::discovery::{self, Chunk, KnownTuple};
use crate::filter::frame_filter;
use crate::output::{Output, io_error};
use crate::watch::{Rest, TURN, Watch};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pyo3::exceptions::{PyException, PyKeyError, PyKeyboardInterrupt, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};
use sniffkit_core::app::spool::Directory;
use sniffkit_core::source::{CaptureFiles, Input, SourceError, Warning};
use sniffkit_core::table::keep::{Keep, Test};
use sniffkit_core::table::reader::{Request, TableReader};
use sniffkit_core::table::{arp, column::Column, column::Table, flows, hosts, packets, rows};
use sniffkit_core::track::Options;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pyo3::import_exception!(sniffkit.errors, FilterError);

/// Rows of a table behind which a lot may be left to free.
const MANY_ROWS: u64 = 10_000;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TableStream>()?;
    module.add_function(wrap_pyfunction!(open_table, module)?)?;
    module.add_function(wrap_pyfunction!(table_columns, module)?)?;
    Ok(())
}

/// A warning as Python gets it: file, offset in bytes (None: of the filter), what is wrong.
pub type WarningTuple = (String, Option<u64>, String);

/// Reads from a Python file object. Each read takes the GIL; nothing is held between them.
struct FileObject(Py<PyAny>);

impl Read for FileObject {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Python::attach(|py| {
            self.read_with(py, buffer).map_err(|error| {
                if error.is_instance_of::<PyException>(py) {
                    return std::io::Error::other(error.to_string());
                }
                // ^C while Python waited for bytes: raised again where signals are looked at next.
                let again = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
                match again {
                    Ok(_) => std::io::ErrorKind::Interrupted.into(),
                    Err(error) => std::io::Error::other(error.to_string()),
                }
            })
        })
    }
}

impl FileObject {
    fn read_with(&self, py: Python<'_>, buffer: &mut [u8]) -> PyResult<usize> {
        let bytes = self.0.bind(py).call_method1("read", (buffer.len(),))?;
        let bytes: &[u8] =
            bytes.extract().map_err(|_| PyTypeError::new_err("read() gives no bytes: open it with mode 'rb'"))?;
        let Some(room) = buffer.get_mut(..bytes.len()) else {
            return Err(PyValueError::new_err("read(n) gave more bytes than it was asked for"));
        };
        room.copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// What Python passes as an input: a path, `-`, or an object with `read`.
pub fn input(object: &Bound<'_, PyAny>) -> PyResult<Input> {
    if let Ok(path) = object.extract::<PathBuf>() {
        return Ok(Input::from(path));
    }
    if object.hasattr("read")? {
        let name =
            object.getattr("name").and_then(|n| n.extract::<String>()).unwrap_or_else(|_| "<file object>".into());
        return Ok(Input::Reader(name, Box::new(FileObject(object.clone().unbind()))));
    }
    Err(PyValueError::new_err("an input is a path, '-' or an object with read()"))
}

pub fn source_error(error: SourceError) -> PyErr {
    let text = error.to_string();
    match error {
        SourceError::Filter(_) => FilterError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}

/// A table that is read batch by batch.
#[pyclass(module = "sniffkit._core")]
pub struct TableStream {
    reader: Option<TableReader>,
    batches: Vec<RecordBatch>,
    warnings: Vec<Warning>,
    /// Whether no more input is to be taken, also by a consumer of `__arrow_c_stream__`.
    stopped: Arc<AtomicBool>,
    /// Called with the number of frames read so far, now and then.
    #[pyo3(set)]
    progress: Option<Py<PyAny>>,
    /// Called with the warnings once a consumer of `__arrow_c_stream__` has taken everything.
    #[pyo3(set)]
    on_end: Option<Py<PyAny>>,
    /// Called with what ^C raised once that consumer has the rows until then; without, it is raised in the main thread.
    #[pyo3(set)]
    on_stop: Option<Py<PyAny>>,
}

impl TableStream {
    fn new(reader: TableReader) -> Self {
        let (batches, warnings) = (Vec::new(), Vec::new());
        let stopped = Arc::default();
        Self { reader: Some(reader), batches, warnings, stopped, progress: None, on_end: None, on_stop: None }
    }

    /// Runs the reader to its end, or until it has the first rows. The GIL is free while it works; ^C is looked at now
    /// and then.
    fn run(&mut self, py: Python<'_>, everything: bool) -> PyResult<()> {
        let mut watch = Watch::new(None);
        while let Some(reader) = &mut self.reader {
            if !everything && !self.batches.is_empty() {
                return Ok(());
            }
            let more = py.detach(|| {
                let start = Instant::now();
                loop {
                    match reader.advance() {
                        Ok(true) if everything && start.elapsed() < TURN => {}
                        other => return other,
                    }
                }
            });
            if !everything {
                watch.hand_out(reader);
            }
            while let Some(batch) = reader.take() {
                self.batches.push(batch);
            }
            Watch::look(py, self.progress.as_ref(), reader.frames())?;
            if !more.map_err(source_error)? {
                self.warnings.extend(reader.take_warnings());
                return Ok(());
            }
        }
        Ok(())
    }

    fn schema(&self) -> PyResult<SchemaRef> {
        self.reader
            .as_ref()
            .map(TableReader::schema)
            .ok_or_else(|| PyValueError::new_err("this stream has been consumed"))
    }
}

#[pymethods]
impl TableStream {
    /// Reads everything; returns the warnings as (file, offset, text).
    fn finish(&mut self, py: Python<'_>) -> PyResult<Vec<WarningTuple>> {
        self.run(py, true)?;
        Ok(self.warnings.drain(..).map(|w| (w.input, w.offset, w.what)).collect())
    }

    /// Makes the first rows, so that an input that cannot be read is an exception here.
    fn begin(&mut self, py: Python<'_>) -> PyResult<()> {
        self.run(py, false)
    }

    /// Takes no more input: the table ends as if that did. For what is left to be done after ^C. From any thread once a
    /// consumer has the stream.
    fn stop(&mut self, py: Python<'_>) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(reader) = &mut self.reader {
            py.detach(|| reader.stop());
        }
    }

    /// Reads on until there are rows or a pause in the input; `None` at the end. For tables that grow while one looks.
    fn step(&mut self, py: Python<'_>) -> PyResult<Option<Chunk>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let more = py.detach(|| reader.advance()).map_err(source_error)?;
        let batches: Vec<RecordBatch> = std::iter::from_fn(|| reader.take()).collect();
        py.check_signals()?;
        if !more && batches.is_empty() {
            self.warnings.extend(reader.take_warnings());
            return Ok(None);
        }
        Ok(Some(Chunk::new(reader.schema(), batches)))
    }

    /// Rows that are new or have changed since it was last asked, for tables whose rows come at the end (`hosts`); their
    /// last column, `news`, says what is new.
    fn news(&mut self) -> Option<Chunk> {
        let batch = self.reader.as_mut()?.news()?;
        Some(Chunk::new(batch.schema(), vec![batch]))
    }

    /// What a later run can start from: see `open_table`.
    fn known(&self) -> Vec<KnownTuple> {
        self.reader.iter().flat_map(TableReader::known).map(discovery::to_python).collect()
    }

    /// Writes the table to a Parquet file; returns (rows, warnings). Reads and writes batch by batch; after ^C the file
    /// is whole and has the rows until then.
    #[pyo3(name = "to_parquet")]
    fn write_file(&mut self, py: Python<'_>, path: PathBuf) -> PyResult<(u64, Vec<WarningTuple>)> {
        let mut reader = self.reader.take().ok_or_else(|| PyValueError::new_err("this stream has been consumed"))?;
        let output = Output::create(path)?;
        let mut watch = Watch::new(self.progress.take());
        let rows = py.detach(|| {
            let rows = reader.write(&output.file, |frames| watch.go_on(frames));
            rows.map_err(|error| write_error(&output.path, &error)).and_then(|rows| output.keep().map(|()| rows))
        });
        if let Some(stopped) = watch.stopped {
            return Err(stopped);
        }
        let warnings = reader.take_warnings();
        let rows = rows?;
        if rows >= MANY_ROWS {
            // To free many flows takes a while that nobody has to wait for. Without a thread they are freed here.
            drop(std::thread::Builder::new().spawn(move || drop(reader)));
        }
        Ok((rows, warnings.into_iter().map(|w| (w.input, w.offset, w.what)).collect()))
    }

    /// Column names and Arrow types, as text.
    fn columns(&self) -> PyResult<Vec<(String, String)>> {
        Ok(self.schema()?.fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect())
    }

    /// The Arrow PyCapsule interface: the schema alone, without reading anything.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.schema()?.as_ref())?)
    }

    /// The Arrow PyCapsule interface: the table as a stream that reads on as it is consumed. The first rows are made
    /// now, so that an input that cannot be read is an exception here.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &mut self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let mut watch = Watch::new(None);
        if let Err(error) = self.run(py, false) {
            if self.on_stop.is_none() || !error.is_instance_of::<PyKeyboardInterrupt>(py) {
                return Err(error);
            }
            self.stop(py);
            watch.stopped = Some(error);
        }
        let schema = self.schema()?;
        let Some(mut reader) = self.reader.take() else { return Err(PyValueError::new_err("no stream")) };
        reader.return_warnings(std::mem::take(&mut self.warnings));
        let field = arrow_schema::Field::new_struct("", schema.fields().clone(), false)
            .with_metadata(schema.metadata().clone());
        let batches = std::mem::take(&mut self.batches).into();
        let (on_end, on_stop) = (self.on_end.take(), self.on_stop.take());
        let rest = Rest { batches, reader, watch, stopped: self.stopped.clone(), on_end, on_stop };
        // The protocol allows to give another schema; the library's cast would make null what does not fit.
        let _ = requested_schema;
        Ok(to_stream_pycapsule(py, Box::new(ArrayIterator::new(rest, Arc::new(field))), None)?)
    }
}

/// What went wrong while a Parquet file was written: its output, or the input under its rows.
pub fn write_error(path: &Path, error: &(dyn Error + 'static)) -> PyErr {
    let mut cause = Some(error);
    while let Some(at) = cause {
        if let Some(error) = at.downcast_ref::<std::io::Error>() {
            return io_error(path, error);
        }
        if let Some(SourceError::Filter(why)) = at.downcast_ref() {
            return FilterError::new_err(why.clone());
        }
        if let Some(error) = at.downcast_ref::<SourceError>() {
            return PyOSError::new_err(error.to_string());
        }
        cause = at.source();
    }
    PyOSError::new_err(format!("{}: {error}", path.display()))
}

/// The rules of a flow table, with those given by name; KeyError for one that is not there.
pub fn options(mut options: Options, rules: Option<BTreeMap<String, f64>>) -> PyResult<Options> {
    for (name, value) in rules.unwrap_or_default() {
        options.set(&name, value).map_err(PyKeyError::new_err)?;
    }
    Ok(options)
}

/// What a column must be, as Python says it: column, `between` (two numbers), `numbers`, `texts`, `contains` (one text) or
/// `present`, the numbers, the texts.
type KeepTuple = (String, String, Vec<i128>, Vec<String>);

fn keep_of(tests: Vec<KeepTuple>) -> PyResult<Keep> {
    let test = |(column, kind, numbers, mut texts): KeepTuple| {
        let test = match (kind.as_str(), &numbers[..], &mut texts[..]) {
            ("between", [least, most], []) => Test::Between(*least, *most),
            ("numbers", _, []) => Test::Numbers(numbers),
            ("texts", [], _) => Test::Texts(texts),
            ("contains", [], [part]) => Test::Contains(std::mem::take(part)),
            ("present", [], []) => Test::Present,
            _ => return Err(PyValueError::new_err(format!("no test of a column: {kind}"))),
        };
        Ok((column, test))
    };
    Ok(Keep { tests: tests.into_iter().map(test).collect::<PyResult<_>>()? })
}

/// Opens a table of `inputs`: `kind` is `flows`, `packets`, `arp`, `neighbors`, `hosts` or one of the tables of streams, `http` …; `rules` are those
/// of [`Options::set`]. With `directory`, what `files` or `streams` have is written to files there, each of at most
/// `max_file` bytes, at most `max_files` and `max_total` bytes in all. `known`: addresses that an earlier `arp` or
/// `neighbors` table knew; `gateways`: addresses of default gateways. `keep`: of flows and packets, which rows the reader will keep; others may come.
#[pyfunction]
#[pyo3(signature = (
    kind, inputs, columns=None, filter=None, rules=None, directory=None, max_file=1 << 30, max_files=None,
    max_total=None, known=None, keep=None, gateways=Vec::new()
))]
#[allow(clippy::too_many_arguments)] // keyword arguments
fn open_table(
    py: Python<'_>,
    kind: &str,
    inputs: Vec<Bound<'_, PyAny>>,
    columns: Option<Vec<String>>,
    filter: Option<&str>,
    rules: Option<BTreeMap<String, f64>>,
    directory: Option<PathBuf>,
    max_file: u64,
    max_files: Option<u64>,
    max_total: Option<u64>,
    known: Option<Vec<KnownTuple>>,
    keep: Option<Vec<KeepTuple>>,
    gateways: Vec<String>,
) -> PyResult<TableStream> {
    let options = options(Options::default(), rules)?;
    let filter = filter.map(|text| frame_filter(text, &inputs)).transpose()?;
    let inputs = inputs.iter().map(input).collect::<PyResult<Vec<_>>>()?;
    let source = py.detach(|| CaptureFiles::open(inputs)).map_err(source_error)?;
    if matches!(kind, "arp" | "neighbors" | "hosts") {
        let reader = discovery::open(kind, Box::new(source), filter, columns.as_deref(), known, &gateways)?;
        return Ok(TableStream::new(reader));
    }
    let keep = keep_of(keep.unwrap_or_default())?;
    let request = Request { source: Box::new(source), filter, columns, options, keep };
    let mut reader = match kind {
        "flows" => TableReader::flows(request),
        "packets" => TableReader::packets(request),
        other => TableReader::streams(other, request),
    }
    .map_err(PyKeyError::new_err)?;
    if let Some(path) = directory {
        let files = Directory::create(&path, max_file).map_err(|error| io_error(&path, &error))?;
        reader.write_to(files.limited(max_files.unwrap_or(u64::MAX), max_total.unwrap_or(u64::MAX)));
    }
    Ok(TableStream::new(reader))
}

fn describe<T: Table>(columns: &[Column<T>]) -> Vec<(&'static str, String, &'static str)> {
    columns.iter().map(|c| (c.name, c.kind.data_type().to_string(), c.doc)).collect()
}

/// The columns of a table: (name, Arrow type, meaning).
#[pyfunction]
fn table_columns(kind: &str) -> PyResult<Vec<(&'static str, String, &'static str)>> {
    match kind {
        "flows" => Ok(describe(&flows::COLUMNS)),
        "packets" => Ok(describe(packets::COLUMNS)),
        "arp" | "neighbors" => Ok(describe(arp::COLUMNS)),
        "hosts" => Ok(describe(hosts::COLUMNS)),
        other => match rows::find(other) {
            Some((_, columns)) => Ok(describe(columns)),
            None => Err(PyKeyError::new_err(format!("no table {other:?}"))),
        },
    }
}
