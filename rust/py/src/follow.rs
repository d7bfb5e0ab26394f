//! What the ends of a flow said, as text.

use crate::files::{WarningTuple, input, source_error};
use crate::filter::frame_filter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sniffkit_core::pipeline::{Pipeline, Received};
use sniffkit_core::show::Zone;
use sniffkit_core::show::conversation::{Conversations, Select, Style};
use sniffkit_core::source::{CaptureFiles, Warning};
use std::net::IpAddr;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FollowText>()?;
    module.add_function(wrap_pyfunction!(follow, module)?)?;
    Ok(())
}

/// `text`, `hex`, `raw` or `json`.
pub fn style(name: &str) -> PyResult<Style> {
    match name {
        "text" => Ok(Style::Text),
        "hex" => Ok(Style::Hex),
        "raw" => Ok(Style::Raw),
        "json" => Ok(Style::Json),
        other => Err(PyValueError::new_err(format!("style is text, hex, raw or json, not {other:?}"))),
    }
}

/// The text of what was said, piece by piece.
#[pyclass(module = "sniffkit._core")]
pub struct FollowText {
    pipeline: Pipeline<()>,
    conversations: Conversations,
    warnings: Vec<Warning>,
    ended: bool,
}

#[pymethods]
impl FollowText {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    /// The next piece; ^C is looked at between batches.
    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        while !self.ended {
            py.check_signals()?;
            let mut out = Vec::new();
            let ended = py.detach(|| match self.pipeline.receive() {
                Received::Waiting => false,
                Received::Batch(mut decoded, ()) => {
                    self.warnings.append(&mut decoded.batch.reached.warnings);
                    self.conversations.batch(&decoded.batch, decoded.packets(), &mut out);
                    self.pipeline.recycle(decoded);
                    false
                }
                Received::End => {
                    self.conversations.finish(&mut out);
                    true
                }
            });
            if ended {
                self.ended = true;
                self.warnings.extend(self.pipeline.end().map_err(source_error)?);
            }
            if !out.is_empty() {
                return Ok(Some(PyBytes::new(py, &out)));
            }
        }
        Ok(None)
    }

    /// How many pieces there were.
    #[getter]
    fn written(&self) -> u64 {
        self.conversations.written
    }

    /// After the end: damage of the inputs as (file, offset, text).
    fn warnings(&mut self) -> Vec<WarningTuple> {
        self.warnings.drain(..).map(|w| (w.input, w.offset, w.what)).collect()
    }
}

/// Ends of a flow: (IP protocol, (address, port), (address, port)).
type Ends = (u8, (String, u16), (String, u16));

/// What flows said: that of `uid`, those between `ends`, or all.
#[pyfunction]
#[pyo3(signature = (inputs, *, uid=None, ends=None, style="text", colour=false, zone=vec![], filter=None))]
#[allow(clippy::too_many_arguments)] // keyword arguments, one an option of the command
fn follow(
    py: Python<'_>,
    inputs: Vec<Bound<'_, PyAny>>,
    uid: Option<String>,
    ends: Option<Ends>,
    style: &str,
    colour: bool,
    zone: Vec<(i64, i32)>,
    filter: Option<&str>,
) -> PyResult<FollowText> {
    let parse =
        |text: &str| text.parse::<IpAddr>().map_err(|_| PyValueError::new_err(format!("{text:?} is no IP address")));
    let select = match (uid, ends) {
        (Some(uid), _) => Select::Uid(uid),
        (None, Some((proto, a, b))) => Select::Ends(proto, (parse(&a.0)?, a.1), (parse(&b.0)?, b.1)),
        (None, None) => Select::All,
    };
    let filter = filter.map(|text| frame_filter(text, &inputs)).transpose()?;
    let conversations = Conversations::follow(select, self::style(style)?, colour, Zone::new(zone));
    let inputs = inputs.iter().map(input).collect::<PyResult<Vec<_>>>()?;
    let source = py.detach(|| CaptureFiles::open(inputs)).map_err(source_error)?;
    let pipeline = Pipeline::start(Box::new(source), filter, Box::new(|_| ()));
    Ok(FollowText { pipeline, conversations, warnings: Vec::new(), ended: false })
}
