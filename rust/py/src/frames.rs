//! Frames as they were captured, for libraries that dissect them themselves.

use crate::files::{WarningTuple, input, source_error};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sniffkit_core::frame::{FrameBatch, LinkType};
use sniffkit_core::source::{CaptureFiles, Source};
use std::sync::{Mutex, PoisonError};

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Frames>()
}

/// A frame as Python gets it: time (ns since 1970), length on the wire, link type, interface if it is named, captured bytes.
type FrameTuple<'py> = (i64, u32, u32, Option<String>, Bound<'py, PyBytes>);

/// The frames of captures, a run of them at a time.
#[pyclass(module = "sniffkit._core")]
pub struct Frames {
    /// As in `FrameText`: only ever reached through `&mut self`, never locked.
    files: Mutex<CaptureFiles>,
    batch: FrameBatch,
}

#[pymethods]
impl Frames {
    /// Raises OSError for the first file that is missing or no capture.
    #[new]
    fn new(py: Python<'_>, inputs: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let inputs = inputs.iter().map(input).collect::<PyResult<Vec<_>>>()?;
        let files = py.detach(|| CaptureFiles::open(inputs)).map_err(source_error)?;
        Ok(Self { files: Mutex::new(files), batch: FrameBatch::default() })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Vec<FrameTuple<'py>>>> {
        let Self { files, batch } = self;
        let files = files.get_mut().unwrap_or_else(PoisonError::into_inner);
        let more = py.detach(|| files.next_batch(batch)).map_err(source_error)?;
        py.check_signals()?;
        let frames = batch.frames.iter().filter_map(|meta| {
            let interface = &batch.interfaces[meta.interface as usize];
            // Data of a custom block is of no link: others pass over it.
            (interface.link_type != LinkType::CUSTOM_BLOCK).then(|| {
                let bytes = PyBytes::new(py, batch.bytes(meta));
                (meta.ts, meta.frame_len, interface.link_type.0, interface.name.clone(), bytes)
            })
        });
        Ok(more.then(|| frames.collect()))
    }

    /// The warnings met so far, as (file, offset, text); taken.
    fn warnings(&mut self) -> Vec<WarningTuple> {
        let files = self.files.get_mut().unwrap_or_else(PoisonError::into_inner);
        files.take_warnings().into_iter().map(|w| (w.input, w.offset, w.what)).collect()
    }
}
