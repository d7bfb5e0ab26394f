//! Tables of capture files.

use crate::discovery::{self, Chunk, KnownTuple};
use crate::live::capture_error;
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::SchemaRef;
use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::PyRecordBatchReader;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};
use sniffkit_capture::filter::compile;
use sniffkit_core::frame::LinkType;
use sniffkit_core::pipeline::FrameFilter;
use sniffkit_core::source::{CaptureFiles, Input, SourceError, Warning};
use sniffkit_core::table::reader::{Request, TableReader};
use sniffkit_core::table::{arp, column::Column, column::Table, flows, hosts, packets, parquet};
use sniffkit_core::track::Options;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TableStream>()?;
    module.add_function(wrap_pyfunction!(open_table, module)?)?;
    module.add_function(wrap_pyfunction!(write_parquet, module)?)?;
    module.add_function(wrap_pyfunction!(table_columns, module)?)?;
    Ok(())
}

/// A warning as Python gets it: file, offset in bytes, what is wrong.
type WarningTuple = (String, u64, String);

/// Reads from a Python file object. Each read takes the GIL; nothing is held between them.
struct FileObject(Py<PyAny>);

impl Read for FileObject {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Python::attach(|py| {
            let bytes = self.0.bind(py).call_method1("read", (buffer.len(),))?;
            let bytes: &[u8] = bytes.extract()?;
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            Ok(len)
        })
        .map_err(|error: PyErr| std::io::Error::other(error.to_string()))
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
    PyOSError::new_err(error.to_string())
}

/// A capture filter over frames of files, compiled anew for each link type that turns up.
pub fn frame_filter(expression: &str) -> PyResult<FrameFilter> {
    let expression = expression.to_owned();
    let ethernet = compile(&expression, LinkType::ETHERNET.0, 262_144).map_err(capture_error)?;
    let mut programs = vec![(LinkType::ETHERNET, Some(ethernet))];
    Ok(Box::new(move |frame, wire_len, link_type| {
        let at = programs.iter().position(|(known, _)| *known == link_type).unwrap_or_else(|| {
            // An expression that makes no sense for a link type matches none of its frames.
            programs.push((link_type, compile(&expression, link_type.0, 262_144).ok()));
            programs.len() - 1
        });
        programs[at].1.as_ref().is_some_and(|program| program.matches(frame, wire_len))
    }))
}

/// A table that is read batch by batch.
#[pyclass(module = "sniffkit._core")]
pub struct TableStream {
    reader: Option<TableReader>,
    batches: Vec<RecordBatch>,
    warnings: Vec<Warning>,
}

impl TableStream {
    /// Runs the reader to its end. The GIL is free while it works; ^C is looked at between batches of frames.
    fn run(&mut self, py: Python<'_>, keep_going: impl Fn(&TableReader) -> bool) -> PyResult<()> {
        while let Some(reader) = &mut self.reader {
            if !keep_going(reader) {
                return Ok(());
            }
            let more = py.detach(|| {
                // A few batches at a time: the signal check needs the GIL.
                for _ in 0..16 {
                    match reader.advance() {
                        Ok(true) => {}
                        other => return other,
                    }
                }
                Ok(true)
            });
            while let Some(batch) = reader.take() {
                self.batches.push(batch);
            }
            py.check_signals()?;
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
        self.run(py, |_| true)?;
        Ok(self.warnings.drain(..).map(|w| (w.input, w.offset, w.what)).collect())
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

    /// What a later run can start from: see `open_table`.
    fn known(&self) -> Vec<KnownTuple> {
        self.reader.iter().flat_map(TableReader::known).map(discovery::to_python).collect()
    }

    /// Writes the table to a Parquet file; returns (rows, warnings). Reads and writes batch by batch.
    #[pyo3(name = "to_parquet")]
    fn write_file(&mut self, py: Python<'_>, path: PathBuf) -> PyResult<(u64, Vec<WarningTuple>)> {
        let mut reader = self.reader.take().ok_or_else(|| PyValueError::new_err("this stream has been consumed"))?;
        let mut file = create(&path)?;
        let result = py.detach(|| write_table(&mut reader, &mut file));
        let rows = result?;
        py.check_signals()?;
        let warnings = reader.take_warnings();
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

    /// The Arrow PyCapsule interface: the whole table as a stream. Consumes it.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &mut self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        self.run(py, |_| true)?;
        let schema = self.schema()?;
        self.reader = None;
        let batches = std::mem::take(&mut self.batches);
        let field = arrow_schema::Field::new_struct("", schema.fields().clone(), false)
            .with_metadata(schema.metadata().clone());
        let arrays = batches.into_iter().map(|batch| Ok(Arc::new(StructArray::from(batch)) as ArrayRef));
        let arrays = Box::new(ArrayIterator::new(arrays, Arc::new(field)));
        Ok(to_stream_pycapsule(py, arrays, requested_schema)?)
    }
}

fn create(path: &PathBuf) -> PyResult<BufWriter<File>> {
    let file = File::create(path).map_err(|error| io_error(path, &error))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}

fn io_error(path: &std::path::Path, error: &std::io::Error) -> PyErr {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    PyOSError::new_err(format!("{}: {text}", path.display()))
}

fn write_table(reader: &mut TableReader, file: &mut BufWriter<File>) -> PyResult<u64> {
    // The schema of a flow table is complete once the input has ended, so read up to the first rows before.
    let mut first = None;
    while first.is_none() && reader.advance().map_err(source_error)? {
        first = reader.take();
    }
    if first.is_none() {
        first = reader.take();
    }
    let schema = reader.schema();
    let rows = parquet::write(&mut *file, schema, first.map(Ok).into_iter().chain(reader))
        .map_err(|error| PyOSError::new_err(error.to_string()))?;
    file.flush()?;
    Ok(rows)
}

/// Opens a table of `inputs`: `kind` is `flows`, `packets`, `arp`, `neighbors` or `hosts`. `known`: addresses that an
/// earlier `arp` or `neighbors` table knew.
#[pyfunction]
#[pyo3(signature = (kind, inputs, columns=None, filter=None, known=None))]
fn open_table(
    py: Python<'_>,
    kind: &str,
    inputs: Vec<Bound<'_, PyAny>>,
    columns: Option<Vec<String>>,
    filter: Option<&str>,
    known: Option<Vec<KnownTuple>>,
) -> PyResult<TableStream> {
    let filter = filter.map(frame_filter).transpose()?;
    let inputs = inputs.iter().map(input).collect::<PyResult<Vec<_>>>()?;
    let source = py.detach(|| CaptureFiles::open(inputs)).map_err(source_error)?;
    if matches!(kind, "arp" | "neighbors" | "hosts") {
        let reader = discovery::open(kind, Box::new(source), filter, columns.as_deref(), known)?;
        return Ok(TableStream { reader: Some(reader), batches: Vec::new(), warnings: Vec::new() });
    }
    let request = Request { source: Box::new(source), filter, columns, options: Options::default() };
    let reader = match kind {
        "flows" => TableReader::flows(request),
        "packets" => TableReader::packets(request),
        other => Err(format!("no table {other:?}")),
    }
    .map_err(PyKeyError::new_err)?;
    Ok(TableStream { reader: Some(reader), batches: Vec::new(), warnings: Vec::new() })
}

/// Writes any Arrow stream to a Parquet file; returns how many rows.
#[pyfunction]
fn write_parquet(py: Python<'_>, stream: PyRecordBatchReader, path: PathBuf) -> PyResult<u64> {
    let reader = stream.into_reader()?;
    let mut file = create(&path)?;
    py.detach(|| {
        let schema = reader.schema();
        let rows = parquet::write(&mut file, schema, reader).map_err(|error| PyOSError::new_err(error.to_string()))?;
        file.flush()?;
        Ok(rows)
    })
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
        other => Err(PyKeyError::new_err(format!("no table {other:?}"))),
    }
}
