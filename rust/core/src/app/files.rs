//! Bodies as files: what they are called, and whether they are whole.

use super::found::File;
use super::http1::{Exchange, Part, Side, Start};
use crate::stream::Place;

/// The body of a message as a file; `None` if it had none.
pub(super) fn of(exchange: &Exchange, side: Side, orig_side: u8, client: usize) -> Option<(Place, File)> {
    let part = part(exchange, side)?;
    if part.body.len == 0 {
        return None;
    }
    let missing = (!part.body.missing.is_empty()).then_some("bytes are missing");
    let mime = part.head.content_type.as_deref().and_then(|text| text.split(';').next()).map(str::trim);
    let sender = if side == Side::Request { client } else { client ^ 1 };
    let file = File {
        depth: exchange.depth,
        from_orig: sender == usize::from(orig_side),
        name: name_of(exchange, side),
        mime_type: mime.filter(|mime| !mime.is_empty()).map(str::to_owned),
        encoding: part.head.content_encoding.clone(),
        body: part.body.clone(),
        fault: part.fault.or(missing).or(part.body.fault),
    };
    Some((part.first, file))
}

fn part(exchange: &Exchange, side: Side) -> Option<&Part> {
    match side {
        Side::Request => exchange.request.as_ref(),
        Side::Response => exchange.response.as_ref(),
    }
}

/// The name of a body as its sender or the URL gives it: untrusted text, not a safe path.
#[must_use]
pub fn name_of(exchange: &Exchange, side: Side) -> Option<String> {
    let disposition = part(exchange, side).and_then(|part| part.head.disposition.as_deref());
    if let Some(name) = disposition.and_then(filename) {
        return Some(name);
    }
    let Some(Start::Request { uri, .. }) = exchange.request.as_ref().map(|part| &part.head.start) else { return None };
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    (!last.is_empty()).then(|| last.to_owned())
}

/// `filename` of a Content-Disposition (RFC 6266, 4.1).
fn filename(text: &str) -> Option<String> {
    let at = text.to_ascii_lowercase().find("filename=")?;
    let value = text.get(at + "filename=".len()..)?.trim_start();
    let name = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or(quoted),
        None => value.split(';').next().unwrap_or(value).trim_end(),
    };
    (!name.is_empty()).then(|| name.to_owned())
}
