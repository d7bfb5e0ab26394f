//! Frames of files as text, a batch at a time.

use crate::files::{frame_filter, input, source_error};
use crate::live::dump;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sniffkit_core::frame::{FrameBatch, FrameMeta};
use sniffkit_core::packet::Packet;
use sniffkit_core::pipeline::Pipeline;
use sniffkit_core::show::{FieldPrinter, LineOptions, TextPrinter, Time, canonical_line, json, tree};
use sniffkit_core::source::CaptureFiles;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TextStream>()?;
    module.add_function(wrap_pyfunction!(open_text, module)?)?;
    module.add_function(wrap_pyfunction!(known_fields, module)?)?;
    Ok(())
}

enum Style {
    Lines(Box<TextPrinter>),
    Canonical,
    Tree,
    Json,
    Fields(FieldPrinter),
}

impl Style {
    /// Appends the text of one frame, newline included.
    fn print(&mut self, batch: &FrameBatch, meta: &FrameMeta, packet: &Packet, out: &mut String) {
        let frame = batch.bytes(meta);
        match self {
            Self::Lines(printer) => return printer.print(batch, meta, packet, out),
            Self::Canonical => out.push_str(&canonical_line(frame, packet)),
            // Ends with a newline, and the next one sets frames apart.
            Self::Tree => tree(meta, frame, packet, out),
            Self::Json => json(meta, frame, packet, out),
            Self::Fields(printer) => printer.print(meta, frame, packet, out),
        }
        out.push('\n');
    }
}

/// Text of the frames of a capture, handed out in pieces.
#[pyclass(module = "sniffkit._core")]
pub struct TextStream {
    pipeline: Pipeline,
    style: Style,
    left: u64,
    warnings: Vec<(String, u64, String)>,
}

#[pymethods]
impl TextStream {
    /// The text of the next frames, or `None` at the end.
    fn next_text(&mut self, py: Python<'_>) -> PyResult<Option<String>> {
        if self.left == 0 {
            return Ok(None);
        }
        let Self { pipeline, style, left, warnings } = self;
        let text = py.detach(|| {
            let decoded = pipeline.next()?;
            let mut out = String::new();
            let keep = usize::try_from(*left).unwrap_or(usize::MAX);
            for (meta, packet) in decoded.batch.frames.iter().zip(decoded.packets()).take(keep) {
                style.print(&decoded.batch, meta, packet, &mut out);
            }
            *left -= decoded.batch.frames.len().min(keep) as u64;
            pipeline.recycle(decoded);
            Some(out)
        });
        py.check_signals()?;
        if text.is_none() {
            let found = py.detach(|| pipeline.end()).map_err(source_error)?;
            warnings.extend(found.into_iter().map(|w| (w.input, w.offset, w.what)));
        }
        Ok(text)
    }

    /// The warnings met, as (file, offset, text).
    fn warnings(&mut self) -> Vec<(String, u64, String)> {
        std::mem::take(&mut self.warnings)
    }
}

/// Every name that `fields` takes, sorted.
#[pyfunction]
fn known_fields() -> Vec<&'static str> {
    let mut names: Vec<_> = sniffkit_core::show::known_fields().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Opens the text of `inputs`. `style`: `lines` (tcpdump's), `tree`, `json` (one object a line), `fields` (those named
/// in `fields`, tab-separated) or `canonical` (layers, for comparisons). An unknown field is a `ValueError`.
/// `time`: `local`, `none`, `epoch` or `date`.
#[pyfunction]
#[pyo3(signature = (inputs, style="lines", filter=None, count=None, link=false, dump_as=None, time="local", utc_offset=0, fields=None))]
#[allow(clippy::too_many_arguments)]
fn open_text(
    py: Python<'_>,
    inputs: Vec<Bound<'_, PyAny>>,
    style: &str,
    filter: Option<&str>,
    count: Option<u64>,
    link: bool,
    dump_as: Option<&str>,
    time: &str,
    utc_offset: i32,
    fields: Option<Vec<String>>,
) -> PyResult<TextStream> {
    let inputs = inputs.iter().map(input).collect::<PyResult<Vec<_>>>()?;
    let filter = filter.map(frame_filter).transpose()?;
    let source = py.detach(|| CaptureFiles::open(inputs)).map_err(source_error)?;
    let time = match time {
        "none" => Time::None,
        "epoch" => Time::Epoch,
        "date" => Time::Date,
        _ => Time::default(),
    };
    let options = LineOptions { link, time, utc_offset, ..LineOptions::default() };
    let style = match style {
        "canonical" => Style::Canonical,
        "tree" => Style::Tree,
        "json" => Style::Json,
        "fields" => {
            let printer = FieldPrinter::new(fields.unwrap_or_default());
            Style::Fields(printer.map_err(|name| PyValueError::new_err(format!("no field is called {name:?}")))?)
        }
        _ => Style::Lines(Box::new(TextPrinter::new(options, dump(dump_as)?))),
    };
    Ok(TextStream {
        pipeline: Pipeline::start(Box::new(source), filter),
        style,
        left: count.unwrap_or(u64::MAX),
        warnings: Vec::new(),
    })
}
