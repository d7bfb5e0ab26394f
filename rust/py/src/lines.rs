//! Rows of any Arrow stream as lines of text.

use arrow_array::RecordBatchReader;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use pyo3_arrow::PyRecordBatchReader;
use sniffkit_core::table::text::{Format, Lines};
use std::sync::{Mutex, PoisonError};

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TableLines>()
}

/// The lines of a stream, a batch of rows at a time. `stream`: what `__arrow_c_stream__()` gave, called by Python itself:
/// code that lets go of the GIL behind PyO3's back, as pyarrow's does, must not run beneath a call into it. `format` is the
/// suffix of a file name, `.tsv`, `.csv` or `.jsonl`; at most `limit` rows are taken, and nothing more is read.
#[pyclass]
struct TableLines {
    /// A mutex because the reader must not be shared, though only the one who holds this object uses it.
    reader: Mutex<Box<dyn RecordBatchReader + Send>>,
    lines: Lines,
    left: usize,
    begun: bool,
    /// How many rows there have been.
    #[pyo3(get)]
    rows: u64,
}

#[pymethods]
impl TableLines {
    #[new]
    #[pyo3(signature = (stream, format, limit=None))]
    fn new(stream: &Bound<'_, PyCapsule>, format: &str, limit: Option<usize>) -> PyResult<Self> {
        let format = Format::of_suffix(format).ok_or_else(|| PyValueError::new_err("no such format of lines"))?;
        let reader = PyRecordBatchReader::from_arrow_pycapsule(stream)?.into_reader()?;
        let lines = Lines::new(format, &reader.schema());
        Ok(Self { reader: Mutex::new(reader), lines, left: limit.unwrap_or(usize::MAX), begun: false, rows: 0 })
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        py.check_signals()?;
        let mut out = String::new();
        if !self.begun {
            self.begun = true;
            self.lines.header(&mut out);
            if !out.is_empty() {
                return Ok(Some(PyBytes::new(py, out.as_bytes())));
            }
        }
        if self.left == 0 {
            return Ok(None);
        }
        let made = py.detach(|| {
            let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Some(batch) = reader.next() else { return Ok(false) };
            let batch = batch?;
            let batch = batch.slice(0, batch.num_rows().min(self.left));
            self.left -= batch.num_rows();
            self.rows += batch.num_rows() as u64;
            self.lines.rows(&batch, &mut out).map(|()| true)
        });
        // What went wrong below the stream came through Arrow's C interface, as text.
        let more = made.map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(more.then(|| PyBytes::new(py, out.as_bytes())))
    }
}
