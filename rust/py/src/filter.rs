//! Capture filters over frames of files.

use crate::live::capture_error;
use pyo3::prelude::*;
use sniffkit_capture::filter::{Target, compile};
use sniffkit_core::frame::{FrameBatch, LinkType};
use sniffkit_core::pipeline::FrameFilter;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use std::path::PathBuf;

/// A capture filter over the frames of these inputs. What Ethernet cannot tell the link types that their files begin with
/// may: `inbound`, `ifindex`.
pub fn frame_filter(expression: &str, inputs: &[Bound<'_, PyAny>]) -> PyResult<FrameFilter> {
    let text = expression.to_owned();
    let compiled = move |link_type: LinkType, big_endian| compile(&text, Target::file(link_type.0, big_endian));
    if let Err(error) = compiled(LinkType::ETHERNET, false) {
        let tried: Vec<_> =
            inputs.iter().flat_map(link_types).map(|link_type| compiled(link_type, false).err()).collect();
        if tried.iter().all(Option::is_some) {
            // What is wrong whatever the link type is told of one that libpcap can point into.
            let raw = compiled(LinkType::RAW, false).err();
            let anywhere = raw.is_some_and(|raw| raw.to_string().starts_with(&error.to_string()));
            let of_files = tried.into_iter().flatten().next().filter(|_| !anywhere);
            return Err(capture_error(of_files.unwrap_or(error)));
        }
    }
    let compile = move |link_type, big_endian| compiled(link_type, big_endian).map_err(|error| error.to_string());
    Ok(FrameFilter::new(expression, Box::new(compile)))
}

/// The link types that a file begins with; none of what can be read only once.
fn link_types(input: &Bound<'_, PyAny>) -> Vec<LinkType> {
    let Some(path) = input.extract::<PathBuf>().ok().filter(|path| path.is_file()) else { return Vec::new() };
    let mut batch = FrameBatch::default();
    // A file that cannot be read is told of where it is read.
    let _ = CaptureFiles::open([Input::from(path)]).map(|mut files| files.next_batch(&mut batch));
    batch.interfaces.iter().map(|info| info.link_type).collect()
}
