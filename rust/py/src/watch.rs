//! What goes on beside a long read: ^C is looked at, progress told, and warnings given when a stream has ended.

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::ArrowError;
use pyo3::prelude::*;
use sniffkit_core::table::reader::TableReader;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long work goes on before Python gets a turn.
pub const TURN: Duration = Duration::from_millis(50);

/// Looks at ^C and tells progress (frames so far) while the GIL is free otherwise.
pub struct Watch {
    progress: Option<Py<PyAny>>,
    last: Instant,
    /// Why the work had to stop.
    pub stopped: Option<PyErr>,
}

impl Watch {
    pub fn new(progress: Option<Py<PyAny>>) -> Self {
        Self { progress, last: Instant::now(), stopped: None }
    }

    /// Gives Python its turn now.
    pub fn look(py: Python<'_>, progress: Option<&Py<PyAny>>, frames: u64) -> PyResult<()> {
        py.check_signals()?;
        progress.map_or(Ok(()), |progress| progress.call1(py, (frames,)).map(drop))
    }

    /// To be called often; `false` when the work must stop.
    pub fn go_on(&mut self, frames: u64) -> bool {
        if self.last.elapsed() < TURN {
            return true;
        }
        self.last = Instant::now();
        match Python::attach(|py| Self::look(py, self.progress.as_ref(), frames)) {
            Ok(()) => true,
            Err(error) => {
                self.stopped = Some(error);
                false
            }
        }
    }
}

/// What is left of a table, for an Arrow consumer that takes it batch by batch, on whichever thread.
pub struct Rest {
    /// Batches made already.
    pub batches: VecDeque<RecordBatch>,
    pub reader: TableReader,
    /// Gets the warnings, a list of (file, offset, text), once the last batch has been taken.
    pub on_end: Option<Py<PyAny>>,
}

impl Rest {
    fn end(&mut self) -> Result<(), ArrowError> {
        let Some(on_end) = self.on_end.take() else { return Ok(()) };
        let warnings: Vec<_> = self.reader.take_warnings().into_iter().map(|w| (w.input, w.offset, w.what)).collect();
        Python::attach(|py| on_end.call1(py, (warnings,)).map(drop))
            .map_err(|error| ArrowError::ExternalError(error.to_string().into()))
    }
}

impl Iterator for Rest {
    type Item = Result<ArrayRef, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.batches.pop_front() {
            Some(batch) => Some(Ok(batch)),
            // The consumer may hold the GIL, and a file object in Python needs it to be read.
            None => Python::attach(|py| py.detach(|| self.reader.next())),
        };
        match next {
            Some(batch) => Some(batch.map(|batch| Arc::new(StructArray::from(batch)) as ArrayRef)),
            None => self.end().err().map(Err),
        }
    }
}
