//! Frames as text: what `read` and `capture` print.

use crate::files::{WarningTuple, input, source_error};
use crate::filter::frame_filter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sniffkit_core::decode::decode;
use sniffkit_core::frame::{FrameBatch, FrameMeta, InterfaceInfo};
use sniffkit_core::packet::Packet;
use sniffkit_core::pipeline::FrameFilter;
use sniffkit_core::show::{
    FieldFormat, FieldPrinter, LineOptions, LinePrinter, Occurrence, Time, Zone, ascii, canonical_line, hex,
    hex_and_ascii, json, network_offset, tree,
};
use sniffkit_core::source::{CaptureFiles, Source, SourceError};
use std::sync::{Mutex, PoisonError};

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FrameText>()?;
    module.add_function(wrap_pyfunction!(read_text, module)?)?;
    module.add_function(wrap_pyfunction!(known_fields, module)?)?;
    Ok(())
}

/// How frames are written.
enum Style {
    Line(Box<LinePrinter>),
    Tree,
    Json,
    Fields(FieldPrinter),
    Canonical,
}

/// Bytes after each frame, and whether the link header is among them.
#[derive(Clone, Copy)]
struct Dump {
    write: fn(&[u8], &mut String),
    link: bool,
}

/// The text of a run of frames at a time: iterate for `str` pieces that end with a newline.
#[pyclass(module = "sniffkit._core")]
pub struct FrameText {
    /// Readers may be moved to another thread but not shared; only ever reached through `&mut self`, never locked.
    files: Mutex<CaptureFiles>,
    batch: FrameBatch,
    packet: Packet,
    style: Style,
    dump: Option<Dump>,
    filter: Option<FrameFilter>,
    /// The numbers of the frames that are written, the next one last; `None`: all.
    chosen: Option<Vec<u64>>,
    left: u64,
}

impl FrameText {
    fn next_text(&mut self) -> Result<Option<String>, SourceError> {
        if self.left == 0 {
            return Ok(None);
        }
        let files = self.files.get_mut().unwrap_or_else(PoisonError::into_inner);
        let more = files.next_batch(&mut self.batch)?;
        let mut out = String::with_capacity(self.batch.frames.len() * 128);
        let Self { batch, packet, style, dump, filter, chosen, left, .. } = self;
        for meta in &batch.frames {
            if *left == 0 {
                break;
            }
            let frame = batch.bytes(meta);
            let info = &batch.interfaces[meta.interface as usize];
            let link_type = info.link_type;
            while let Some(chosen) = chosen.as_mut().filter(|chosen| chosen.last().is_some_and(|at| *at < meta.number))
            {
                chosen.pop(); // one that there is none of, or that the filter left out
                *left = left.saturating_sub(1);
            }
            if filter.as_mut().is_some_and(|filter| !filter.keeps(frame, meta, &batch.interfaces)) {
                continue;
            }
            let begin = out.len();
            if let Some(chosen) = chosen {
                if chosen.last() != Some(&meta.number) {
                    // Lines after it may depend on what it says: sequence numbers are relative.
                    if matches!(style, Style::Line(_)) {
                        decode(frame, meta.frame_len, link_type, packet);
                        style.write(meta, info, frame, packet, &mut out);
                        out.truncate(begin);
                    }
                    continue;
                }
                chosen.pop();
            }
            *left -= 1;
            decode(frame, meta.frame_len, link_type, packet);
            style.write(meta, info, frame, packet, &mut out);
            if let Some(dump) = dump {
                let start = if dump.link { 0 } else { network_offset(packet) };
                (dump.write)(frame.get(start..).unwrap_or(&[]), &mut out);
            }
            // A payload that ends a line does not end ours, as in tcpdump and live.
            if out.len() == begin || !out.ends_with('\n') || matches!(style, Style::Line(_)) {
                out.push('\n');
            }
        }
        filter.as_mut().map_or(Ok(()), |filter| filter.check(files))?;
        Ok(more.then_some(out))
    }
}

impl Style {
    fn write(&mut self, meta: &FrameMeta, info: &InterfaceInfo, frame: &[u8], packet: &Packet, out: &mut String) {
        match self {
            Self::Line(printer) => printer.print(meta, frame, packet, out),
            Self::Tree => tree(meta, frame, packet, out),
            Self::Json => json(meta, Some(info), frame, packet, out),
            Self::Fields(printer) => {
                printer.print(meta, frame, packet, out);
                out.push('\n');
            }
            Self::Canonical => {
                out.push_str(&canonical_line(frame, packet));
                out.push('\n');
            }
        }
    }
}

#[pymethods]
impl FrameText {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The text of the next run of frames. The GIL is free meanwhile; ^C is looked at after each.
    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<String>> {
        let text = py.detach(|| self.next_text()).map_err(source_error)?;
        py.check_signals()?;
        Ok(text)
    }

    /// The warnings met so far, as (file, offset, text); taken, so that a second call has only newer ones.
    fn warnings(&mut self) -> Vec<WarningTuple> {
        let mut found = self.files.get_mut().unwrap_or_else(PoisonError::into_inner).take_warnings();
        found.extend(self.filter.iter_mut().flat_map(FrameFilter::take_warnings));
        found.into_iter().map(|w| (w.input, w.offset, w.what)).collect()
    }
}

/// How a line's time is written, by name.
pub fn time_of(name: &str) -> PyResult<Time> {
    Ok(match name {
        "clock" => Time::Clock,
        "none" => Time::None,
        "epoch" => Time::Epoch,
        "date" => Time::Date,
        "delta" => Time::Delta,
        "elapsed" => Time::Elapsed,
        other => return Err(PyValueError::new_err(format!("no time format {other:?}"))),
    })
}

/// Opens `inputs` to be read as text.
///
/// `style` is `line`, `tree`, `json`, `fields` (with the names in `fields`, as `field_format` says: separator, aggregator,
/// occurrence `a`, `f` or `l`, and quote or none, as tshark's `-E`) or `canonical`; `link`, `absolute`, `time`
/// (`clock`, `none`, `epoch`, `date`, `delta`, `elapsed`) and `zone` (local time: since when how many seconds ahead of UTC)
/// change lines; `dump` (`x`, `xx`, `X`, `XX`, `A`, `AA` as
/// tcpdump's flags) adds bytes; `count` frames at most, or only those with the numbers `frames`.
#[pyfunction]
#[pyo3(signature = (inputs, style="line", *, link=false, absolute=false, time="clock", zone=vec![], dump=None, fields=None, field_format=None, count=None, filter=None, frames=None))]
#[allow(clippy::too_many_arguments)] // one keyword argument a flag of the command
fn read_text(
    py: Python<'_>,
    inputs: Vec<Bound<'_, PyAny>>,
    style: &str,
    link: bool,
    absolute: bool,
    time: &str,
    zone: Vec<(i64, i32)>,
    dump: Option<&str>,
    fields: Option<Vec<String>>,
    field_format: Option<(char, char, char, Option<char>)>,
    count: Option<u64>,
    filter: Option<&str>,
    frames: Option<Vec<u64>>,
) -> PyResult<FrameText> {
    let time = time_of(time)?;
    let style = match style {
        "line" => Style::Line(Box::new(LinePrinter::new(LineOptions { link, time, zone: Zone::new(zone), absolute }))),
        "tree" => Style::Tree,
        "json" => Style::Json,
        "canonical" => Style::Canonical,
        "fields" => Style::Fields(
            FieldPrinter::new(fields.unwrap_or_default(), field_format.map_or(Ok(FieldFormat::default()), written)?)
                .map_err(|name| PyValueError::new_err(format!("no field {name:?}")))?,
        ),
        other => return Err(PyValueError::new_err(format!("no style {other:?}"))),
    };
    let dump = match dump {
        None => None,
        Some("x") => Some(Dump { write: hex, link: false }),
        Some("xx") => Some(Dump { write: hex, link: true }),
        Some("X") => Some(Dump { write: hex_and_ascii, link: false }),
        Some("XX") => Some(Dump { write: hex_and_ascii, link: true }),
        Some("A") => Some(Dump { write: ascii, link: false }),
        Some("AA") => Some(Dump { write: ascii, link: true }),
        Some(other) => return Err(PyValueError::new_err(format!("no dump {other:?}"))),
    };
    let filter = filter.map(|text| frame_filter(text, &inputs)).transpose()?;
    let inputs = inputs.iter().map(input).collect::<PyResult<Vec<_>>>()?;
    let files = py.detach(|| CaptureFiles::open(inputs)).map_err(source_error)?;
    let (batch, packet) = (FrameBatch::default(), Packet::default());
    let chosen = frames.map(|mut numbers| {
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.dedup();
        numbers
    });
    let left = count.unwrap_or(u64::MAX).min(chosen.as_ref().map_or(u64::MAX, |chosen| chosen.len() as u64));
    Ok(FrameText { files: Mutex::new(files), batch, packet, style, dump, filter, chosen, left })
}

fn written((separator, aggregator, occurrence, quote): (char, char, char, Option<char>)) -> PyResult<FieldFormat> {
    let occurrence = match occurrence {
        'a' => Occurrence::All,
        'f' => Occurrence::First,
        'l' => Occurrence::Last,
        other => return Err(PyValueError::new_err(format!("no occurrence {other:?}"))),
    };
    Ok(FieldFormat { separator, aggregator, occurrence, quote })
}

/// Every name that `style="fields"` takes, sorted.
#[pyfunction]
fn known_fields() -> Vec<&'static str> {
    let mut names: Vec<_> = sniffkit_core::show::known_fields().collect();
    names.sort_unstable();
    names.dedup();
    names
}
