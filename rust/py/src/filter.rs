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
        Err(_) if compiled(LinkType::LINUX_SLL2).is_ok() && inputs.iter().all(|input| !is_ethernet(input)) => None,
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

/// Whether a file begins with frames of nothing but Ethernet; `false` of what can be read only once.
fn is_ethernet(input: &Bound<'_, PyAny>) -> bool {
    let Ok(path) = input.extract::<PathBuf>() else { return false };
    if !path.is_file() {
        return false;
    }
    let mut batch = FrameBatch::default();
    CaptureFiles::open([Input::from(path)]).is_ok_and(|mut files| files.next_batch(&mut batch).is_ok())
        && batch.interfaces.iter().all(|info| info.link_type == LinkType::ETHERNET)
}
