//! Rows of any Arrow stream as the bytes of a file: lines of text, Parquet.

use arrow_array::RecordBatchReader;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use pyo3_arrow::PyRecordBatchReader;
use sniffkit_core::table::parquet::{BatchFile, ParquetError};
use sniffkit_core::table::text::{Format, Lines};
use std::sync::{Mutex, PoisonError};

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TableBytes>()
}

/// What the rows become.
enum Layout {
    /// Text; the flag says whether it has begun.
    Lines(Lines, bool),
    /// A Parquet file, until it has ended.
    Parquet(Option<Box<BatchFile<Vec<u8>>>>),
}

/// The bytes of a stream, as a file of a format has them, a batch of rows at a time. `stream`: what
/// `__arrow_c_stream__()` gave, called by Python itself: code that lets go of the GIL behind PyO3's back, as pyarrow's
/// does, must not run beneath a call into it. `format` is the suffix of a file name, `.tsv`, `.csv`, `.jsonl` or
/// `.parquet`; at most `limit` rows are taken, and nothing more is read. The bytes of a step may be none.
#[pyclass]
struct TableBytes {
    /// A mutex because the reader must not be shared, though only the one who holds this object uses it.
    reader: Mutex<Box<dyn RecordBatchReader + Send>>,
    layout: Mutex<Layout>,
    left: usize,
    /// How many rows there have been.
    #[pyo3(get)]
    rows: u64,
}

#[pymethods]
impl TableBytes {
    #[new]
    #[pyo3(signature = (stream, format, limit=None))]
    fn new(stream: &Bound<'_, PyCapsule>, format: &str, limit: Option<usize>) -> PyResult<Self> {
        let reader = PyRecordBatchReader::from_arrow_pycapsule(stream)?.into_reader()?;
        let layout = if format == ".parquet" {
            let file = BatchFile::new(Vec::new(), reader.schema());
            Layout::Parquet(Some(Box::new(file.map_err(|error| unfit(&error))?)))
        } else {
            let format = Format::of_suffix(format).ok_or_else(|| PyValueError::new_err("no such format"))?;
            Layout::Lines(Lines::new(format, &reader.schema()), false)
        };
        let left = limit.unwrap_or(usize::MAX);
        Ok(Self { reader: Mutex::new(reader), layout: Mutex::new(layout), left, rows: 0 })
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        py.check_signals()?;
        let bytes = py.detach(|| self.step())?;
        Ok(bytes.map(|bytes| PyBytes::new(py, &bytes)))
    }
}

impl TableBytes {
    fn step(&mut self) -> PyResult<Option<Vec<u8>>> {
        let layout = self.layout.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Layout::Lines(lines, begun @ false) = layout {
            *begun = true;
            let mut out = String::new();
            lines.header(&mut out);
            return Ok(Some(out.into_bytes()));
        }
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        let batch = if self.left == 0 { None } else { reader.next().transpose().map_err(failed)? };
        let Some(batch) = batch else {
            let Layout::Parquet(file) = layout else { return Ok(None) };
            return file.take().map(|file| file.finish().map_err(failed)).transpose();
        };
        let batch = batch.slice(0, batch.num_rows().min(self.left));
        self.left -= batch.num_rows();
        self.rows += batch.num_rows() as u64;
        match layout {
            Layout::Lines(lines, _) => {
                let mut out = String::new();
                lines.rows(&batch, &mut out).map_err(failed)?;
                Ok(Some(out.into_bytes()))
            }
            Layout::Parquet(None) => Ok(None),
            Layout::Parquet(Some(file)) => {
                file.write(&batch).map_err(|error| unfit(&error))?;
                Ok(Some(std::mem::take(file.out())))
            }
        }
    }
}

/// What Parquet has no type for.
fn unfit(error: &ParquetError) -> PyErr {
    let text = error.to_string();
    failed(format!("no Parquet file can hold this: {}", text.strip_prefix("NYI: ").unwrap_or(&text)))
}

/// What went wrong below a stream, which came through Arrow's C interface as text, or with its rows.
fn failed(error: impl std::fmt::Display) -> PyErr {
    PyOSError::new_err(error.to_string())
}
