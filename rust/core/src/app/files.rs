//! Bodies as files: what they are called, and whether they are whole.

use super::found::File;
use super::http1::{Exchange, Head, Part, Side, Start};
use super::spool::{Directory, percent_decoded, reason, safe_name, suffix};
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
        url: exchange.request.as_ref().and_then(|request| url(&request.head)),
        path: part.path.clone(),
        mime_type: mime.filter(|mime| !mime.is_empty()).map(str::to_owned),
        encoding: part.head.content_encoding.as_ref().map(ToString::to_string),
        body: part.body.clone(),
        fault: part.fault.or(missing).or(exchange.doubt()).or(part.body.fault),
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
    if part.body.len == 0 || part.body.write_error.is_some() {
        return; // no body is no file, nor is a part of what could be written
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

/// Host and target as one text; `None` without a target.
fn url(head: &Head) -> Option<String> {
    let Start::Request { uri, .. } = &head.start else { return None };
    match head.host.as_deref() {
        Some(host) if !host.is_empty() && uri.starts_with('/') => Some(format!("http://{host}{uri}")),
        _ => (!uri.is_empty()).then(|| uri.to_string()),
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

/// The file name of a Content-Disposition (RFC 6266, 4.1): `filename*` if it can be read (4.3), else `filename`.
fn filename(text: &str) -> Option<String> {
    let mut plain = None;
    let mut rest = text;
    while !rest.is_empty() {
        let (name, value, behind) = parameter(rest);
        rest = behind;
        if name.eq_ignore_ascii_case("filename*") {
            let extended = extended(&value).filter(|name| !name.is_empty());
            if extended.is_some() {
                return extended;
            }
        } else if name.eq_ignore_ascii_case("filename") && !value.is_empty() {
            plain.get_or_insert(value);
        }
    }
    plain
}

/// Name and value of the parameter at the start, quoted pairs undone (RFC 9110, 5.6.4 and 5.6.6), and what follows it.
/// What has no value, as the type in front, is a value without a name.
fn parameter(text: &str) -> (&str, String, &str) {
    let end = text.find(['=', ';', '"']).filter(|at| text[*at..].starts_with('='));
    let (name, value) = end.map_or(("", text), |at| (text[..at].trim(), &text[at + 1..]));
    let value = value.trim_start();
    let Some(quoted) = value.strip_prefix('"') else {
        let (value, rest) = value.split_once(';').unwrap_or((value, ""));
        return (name, value.trim_end().to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (name, value, quoted[at + 1..].split_once(';').map_or("", |(_, rest)| rest)),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (name, value, "")
}

/// `charset'language'value` (RFC 8187, 3.2); `None` if it cannot be read.
fn extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, value) = rest.split_once('\'')?;
    let bytes = percent_decoded(value);
    if charset.eq_ignore_ascii_case("utf-8") {
        return String::from_utf8(bytes).ok();
    }
    charset.eq_ignore_ascii_case("iso-8859-1").then(|| bytes.into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::filename;

    #[test]
    fn the_name_is_that_of_the_parameter() {
        for (text, name) in [
            ("attachment; filename=\"a b.txt\"", "a b.txt"),
            ("attachment; filename=plain.txt ; size=3", "plain.txt"),
            ("filename=bare.txt", "bare.txt"),
            ("attachment; FileName = \"sp.txt\"", "sp.txt"),
            ("attachment; filename*=UTF-8''na%C3%AFve%20file.txt", "naïve file.txt"),
            ("attachment; filename=\"x.txt\"; filename*=utf-8'de'%e2%82%ac.txt", "€.txt"),
            ("attachment; filename*=iso-8859-1''%a3.txt", "£.txt"),
            ("attachment; filename*=UTF-8''%ff.txt; filename=x.txt", "x.txt"),
            ("attachment; filename=\"q\\\"uote.txt\"", "q\"uote.txt"),
            ("attachment; filename=\"a\\\\b.txt\"", "a\\b.txt"),
            ("attachment; filename=\"a;b.txt\"", "a;b.txt"),
            ("attachment; xfilename=\"no.txt\"; filename=\"yes.txt\"", "yes.txt"),
            ("attachment; name=\"filename=evil.txt\"; filename=\"good.txt\"", "good.txt"),
            ("attachment; filename=\"open", "open"),
        ] {
            assert_eq!(filename(text).as_deref(), Some(name), "{text}");
        }
        for text in ["", "inline", "form-data; name=\"x\"", "attachment; filename=\"\"", "\";filename=x"] {
            assert_eq!(filename(text), None, "{text}");
        }
    }
}
