//! Capture filters over frames of files.

use crate::live::capture_error;
use pyo3::prelude::*;
use sniffkit_capture::filter::{Target, compile};
use sniffkit_core::frame::{FrameBatch, LinkType};
use sniffkit_core::pipeline::FrameFilter;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use std::path::PathBuf;

/// A capture filter over the frames of these inputs, compiled anew for each link type that turns up.
pub fn frame_filter(expression: &str, inputs: &[Bound<'_, PyAny>]) -> PyResult<FrameFilter> {
    let expression = expression.to_owned();
    let compiled = |link_type: LinkType| compile(&expression, Target::file(link_type.0));
    let ethernet = match compiled(LinkType::ETHERNET) {
        Ok(program) => Some(program),
        // What Ethernet cannot tell the cooked header may: `inbound`, `ifindex`.
        Err(_) if inputs.iter().flat_map(link_types).any(|link_type| compiled(link_type).is_ok()) => None,
        Err(error) => return Err(capture_error(error)),
    };
    let mut programs = vec![(LinkType::ETHERNET, ethernet)];
    Ok(Box::new(move |frame, wire_len, link_type| {
        let at = programs.iter().position(|(known, _)| *known == link_type).unwrap_or_else(|| {
            // An expression that makes no sense for a link type matches none of its frames.
            programs.push((link_type, compile(&expression, Target::file(link_type.0)).ok()));
            programs.len() - 1
        });
        programs[at].1.as_ref().is_some_and(|program| program.matches(frame, wire_len))
    }))
}

/// The link types that a file begins with; none of what can be read only once.
fn link_types(input: &Bound<'_, PyAny>) -> Vec<LinkType> {
    let Some(path) = input.extract::<PathBuf>().ok().filter(|path| path.is_file()) else { return Vec::new() };
    let mut batch = FrameBatch::default();
    // A file that cannot be read is told of where it is read.
    let _ = CaptureFiles::open([Input::from(path)]).map(|mut files| files.next_batch(&mut batch));
    batch.interfaces.iter().map(|info| info.link_type).collect()
}
