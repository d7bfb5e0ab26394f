//! Bodies as files: what they are called, and whether they are whole.

use super::found::File;
use super::http1::{Exchange, Head, Part, Side, Start};
use super::spool::{Directory, reason, safe_name, suffix};
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
        url: exchange.request.as_ref().map(|request| url(&request.head)),
        path: part.path.clone(),
        mime_type: mime.filter(|mime| !mime.is_empty()).map(str::to_owned),
        encoding: part.head.content_encoding.as_ref().map(ToString::to_string),
        body: part.body.clone(),
        fault: part.fault.or(missing).or(part.body.fault),
    };
    Some((part.first, file))
}

/// Gives the file of a body its name.
pub(super) fn keep(exchange: &mut Exchange, side: Side, files: &mut Directory) {
    let named = name_of(exchange, side);
    let slot = match side {
        Side::Request => &mut exchange.request,
        Side::Response => &mut exchange.response,
    };
    let Some(part) = slot else { return };
    let Some(spool) = part.file.take() else { return };
    if part.body.write_error.is_some() {
        return; // a part of it is no file
    }
    let mut name = safe_name(named.as_deref().unwrap_or(""));
    let mime = part.head.content_type.as_deref().and_then(|text| text.split(';').next()).unwrap_or("").trim();
    if !name.contains('.') {
        name.push_str(suffix(mime).unwrap_or(""));
    }
    match files.keep(spool, &name) {
        Ok(name) => part.path = Some(name),
        Err(error) => part.body.write_error = Some(reason(&error)),
    }
}

/// Host and target as one text.
fn url(head: &Head) -> String {
    let Start::Request { uri, .. } = &head.start else { return String::new() };
    match &head.host {
        Some(host) if uri.starts_with('/') => format!("http://{host}{uri}"),
        _ => uri.to_string(),
    }
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
