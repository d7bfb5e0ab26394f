//! What goes on beside a long read: ^C is looked at, progress told, and warnings given when a stream has ended.

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::ArrowError;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use sniffkit_core::table::reader::TableReader;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long work goes on before Python gets a turn.
pub const TURN: Duration = Duration::from_millis(50);

/// How long rows wait in vain for more of them.
const PROMPT: Duration = Duration::from_millis(200);

/// Looks at ^C and tells progress (frames so far) while the GIL is free otherwise.
pub struct Watch {
    progress: Option<Py<PyAny>>,
    last: Instant,
    /// When rows were last handed out though they were few.
    prompt: Instant,
    /// Why the work had to stop.
    pub stopped: Option<PyErr>,
}

impl Watch {
    pub fn new(progress: Option<Py<PyAny>>) -> Self {
        Self { progress, last: Instant::now(), prompt: Instant::now(), stopped: None }
    }

    /// Gives Python its turn now.
    pub fn look(py: Python<'_>, progress: Option<&Py<PyAny>>, frames: u64) -> PyResult<()> {
        py.check_signals()?;
        progress.map_or(Ok(()), |progress| progress.call1(py, (frames,)).map(drop))
    }

    /// To be called often: from time to time rows go out, so that whoever follows a slow pipe has them.
    pub fn hand_out(&mut self, reader: &mut TableReader) {
        if self.prompt.elapsed() >= PROMPT {
            self.prompt = Instant::now();
            reader.emit_early();
        }
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
    pub watch: Watch,
    /// Whether no more input is to be taken.
    pub stopped: Arc<AtomicBool>,
    /// Gets the warnings, a list of (file, offset, text), once the last batch has been taken.
    pub on_end: Option<Py<PyAny>>,
    /// Gets what ^C raised, then too: the table has the rows until then, and an exception cannot pass Arrow's C interface.
    pub on_stop: Option<Py<PyAny>>,
}

impl Rest {
    /// The next batch. After ^C the table ends as if its input did.
    fn read(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        loop {
            if let Some(batch) = TableReader::take(&mut self.reader) {
                return Some(Ok(batch));
            }
            let interrupted = self.watch.stopped.is_none() && !self.watch.go_on(self.reader.frames());
            if interrupted || self.stopped.load(Ordering::Relaxed) {
                self.reader.stop();
            }
            match self.reader.advance() {
                Ok(true) => self.watch.hand_out(&mut self.reader),
                Ok(false) => return TableReader::take(&mut self.reader).map(Ok),
                Err(error) => return Some(Err(ArrowError::ExternalError(Box::new(error)))),
            }
        }
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        let warnings: Vec<_> = self.reader.take_warnings().into_iter().map(|w| (w.input, w.offset, w.what)).collect();
        Python::attach(|py| {
            self.on_end.take().map_or(Ok(()), |on_end| on_end.call1(py, (warnings,)).map(drop))?;
            match (self.watch.stopped.take(), self.on_stop.take()) {
                (None, _) => Ok(()),
                (Some(error), Some(on_stop)) => on_stop.call1(py, (error,)).map(drop),
                (Some(error), None) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {
                    py.import("_thread")?.call_method0("interrupt_main").map(drop)
                }
                (Some(error), None) => Err(error),
            }
        })
        .map_err(|error: PyErr| ArrowError::ExternalError(error.to_string().into()))
    }
}

impl Iterator for Rest {
    type Item = Result<ArrayRef, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.batches.pop_front() {
            Some(batch) => Some(Ok(batch)),
            // The consumer may hold the GIL, and a file object in Python needs it to be read.
            None => Python::attach(|py| py.detach(|| self.read())),
        };
        match next {
            Some(batch) => Some(batch.map(|batch| Arc::new(StructArray::from(batch)) as ArrayRef)),
            None => self.end().err().map(Err),
        }
    }
}
