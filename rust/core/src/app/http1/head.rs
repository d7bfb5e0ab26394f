//! The head of a message: start line and the header fields that tables need (RFC 9112, 2 to 5).

use super::fields::{Lines, field, named, trim};
use compact_str::CompactString;

/// First line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `METHOD target HTTP/x.y`
    Request {
        /// Method.
        method: CompactString,
        /// Request target as sent.
        uri: CompactString,
    },
    /// `HTTP/x.y code reason`
    Response {
        /// Status code.
        status: u16,
        /// Reason phrase.
        message: CompactString,
    },
}

/// A head, as far as it matters. Most values are short: they stand in it, and not each in memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// First line.
    pub start: Start,
    /// `1.0` or `1.1`.
    pub version: CompactString,
    /// Host field.
    pub host: Option<CompactString>,
    /// User-Agent field.
    pub user_agent: Option<CompactString>,
    /// Referer field.
    pub referrer: Option<CompactString>,
    /// Content-Type field.
    pub content_type: Option<CompactString>,
    /// Content-Encoding field.
    pub content_encoding: Option<CompactString>,
    /// Content-Disposition field.
    pub disposition: Option<CompactString>,
    /// Upgrade field, lower case.
    pub upgrade: Option<CompactString>,
    /// HTTP2-Settings field (RFC 7540, 3.2.1).
    pub http2_settings: bool,
    /// Transfer-Encoding field, lower case.
    pub transfer_encoding: Option<CompactString>,
    /// What the Content-Length fields say.
    pub length: Length,
    /// The Content-Range field of a 206 says that nothing is left out.
    pub whole_range: bool,
}

impl Head {
    /// Whether the body is a part of what was asked for, cut out of its coded bytes (RFC 9110, 14.2 and 15.3.7).
    pub(super) fn is_part(&self) -> bool {
        matches!(self.start, Start::Response { status: 206, .. }) && !self.whole_range
    }

    /// What the body was coded with and can be undone, in the order in which that was done: content codings, but of a part,
    /// then transfer codings but for the chunks (RFC 9112, 7).
    #[must_use]
    pub fn codings(&self) -> Option<CompactString> {
        let list = self.transfer_encoding.as_deref().unwrap_or("");
        let transfer = list.split(',').map(str::trim).filter(|coding| !matches!(*coding, "" | "chunked"));
        let content = self.content_encoding.clone().filter(|_| !self.is_part());
        transfer.fold(content, |before, coding| {
            Some(before.map_or_else(|| coding.into(), |before| compact_str::format_compact!("{before}, {coding}")))
        })
    }

    /// Bytes of the texts that may be long.
    pub(super) fn text_len(&self) -> usize {
        let (Start::Request { uri: first, .. } | Start::Response { message: first, .. }) = &self.start;
        let fields = [&self.host, &self.user_agent, &self.referrer, &self.content_type, &self.disposition];
        first.len() + fields.into_iter().flatten().map(CompactString::len).sum::<usize>()
    }
}

/// What Content-Length says (RFC 9110, 8.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// No such field.
    #[default]
    Absent,
    /// One value, perhaps repeated.
    Bytes(u64),
    /// Several that differ: a smuggling shape (RFC 9112, 6.3).
    Several(u64),
    /// Not a number.
    Bad,
}

/// What the bytes at the start of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// A request line.
    Request,
    /// A status line.
    Response,
    /// Too few bytes to say.
    Perhaps,
    /// Something else.
    No,
}

/// Methods that make a stream HTTP whatever its port: RFC 9110, WebDAV (RFC 4918, 3253, 5323), CalDAV, UPnP, RTSP's not.
const METHODS: [&[u8]; 38] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"MKCALENDAR",
    b"MKACTIVITY",
    b"CHECKOUT",
    b"CHECKIN",
    b"UNCHECKOUT",
    b"MERGE",
    b"LABEL",
    b"UPDATE",
    b"ACL",
    b"BIND",
    b"UNBIND",
    b"REBIND",
    b"NOTIFY",
    b"M-SEARCH",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"PURGE",
    b"POLL",
    b"BMOVE",
    b"VERSION-CONTROL",
];

/// Without the empty lines before a message, which are passed over (RFC 9112, 2.2).
#[inline]
#[must_use]
pub fn begin(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Says what a stream that begins with `bytes` is, empty lines before it passed over. A request needs its method and a
/// space, then a target that is not empty; that the line ends in `HTTP/1.` is checked when it is whole. With a method that
/// is not known it needs the whole line, and is perhaps one until then.
#[must_use]
pub fn looks(bytes: &[u8]) -> Looks {
    const STATUS: &[u8] = b"HTTP/1.";
    // Nearly everything else is told apart here: this runs over the payload of every flow not known yet.
    if !matches!(bytes, [b'A'..=b'Z' | b'\r' | b'\n', ..] | []) {
        return Looks::No;
    }
    let bytes = begin(bytes);
    let prefix = bytes.len().min(STATUS.len());
    if bytes[..prefix] == STATUS[..prefix] && prefix > 0 {
        return if prefix == STATUS.len() { Looks::Response } else { Looks::Perhaps };
    }
    let mut perhaps = bytes.is_empty();
    for method in METHODS {
        if let Some(rest) = bytes.strip_prefix(method) {
            match rest {
                [] | [b' '] => perhaps = true,
                [b' ', target, ..] if target.is_ascii_graphic() => return Looks::Request,
                _ => {}
            }
        } else if method.starts_with(bytes) {
            perhaps = true;
        }
    }
    match perhaps {
        true => Looks::Perhaps,
        false if is_request(bytes) => Looks::Request,
        false if begins_request(bytes) => Looks::Perhaps,
        false => Looks::No,
    }
}

/// Whether `bytes` begin with a method that is known, empty lines before it passed over.
#[must_use]
pub fn has_known_method(bytes: &[u8]) -> bool {
    let bytes = begin(bytes);
    METHODS.iter().any(|method| bytes.strip_prefix(*method).is_some_and(|rest| rest.first() == Some(&b' ')))
}

/// Whether `bytes` may be the beginning of a request line of whatever method that goes on in the next segment: its target,
/// a path or a URI of HTTP, is not over, or its version is not.
fn begins_request(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|byte| !token(byte)).filter(|end| bytes[*end] == b' ') else { return false };
    let rest = &bytes[end + 1..];
    let (target, version) = rest.split_at(rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len()));
    (target.starts_with(b"/") || target.starts_with(b"http"))
        && target.iter().all(u8::is_ascii_graphic)
        && (b" HTTP/1.0\r".starts_with(version) || b" HTTP/1.1\r".starts_with(version))
}

/// Whether `bytes` begin with a request line of whatever method: `token SP target SP HTTP/1.x` (RFC 9112, 3).
fn is_request(bytes: &[u8]) -> bool {
    let is_token = bytes.iter().position(|byte| !token(byte)).is_some_and(|end| bytes[end] == b' ');
    let line = is_token.then(|| memchr::memchr(b'\n', bytes).map(|end| &bytes[..end])).flatten();
    let is_target = |uri: &[u8]| !uri.is_empty() && uri.iter().all(u8::is_ascii_graphic);
    matches!(line.and_then(start_line), Some((Line::Request { uri, .. }, [b'1', ..])) if is_target(uri))
}

/// `tchar` (RFC 9110, 5.6.2).
fn token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Bytes as text: UTF-8 where they are, else each byte as its Latin-1 character. Never loses a byte.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    decoded(bytes)
}

/// The same, for what is short as a rule.
#[must_use]
pub fn short(bytes: &[u8]) -> CompactString {
    decoded(bytes)
}

fn decoded<T: for<'a> From<&'a str> + FromIterator<char>>(bytes: &[u8]) -> T {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The same in lower case.
#[must_use]
pub fn lower(bytes: &[u8]) -> CompactString {
    let mut text = short(bytes);
    text.make_ascii_lowercase();
    text
}

/// A start line, not copied yet.
enum Line<'a> {
    Request { method: &'a [u8], uri: &'a [u8] },
    Response { status: u16, message: &'a [u8] },
}

/// Where a head ends: behind its empty line. `from` is where the search may begin.
#[must_use]
pub fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
        let line_end = at + found + 1;
        match &bytes[line_end..] {
            [b'\n', ..] => return Some(line_end + 1),
            [b'\r', b'\n', ..] => return Some(line_end + 2),
            _ => at = line_end,
        }
    }
    None
}

/// Reads a start line and its version; `None` if it is none.
fn start_line(line: &[u8]) -> Option<(Line<'_>, &[u8])> {
    let line = trim(line);
    if let Some(rest) = line.strip_prefix(b"HTTP/") {
        let mut parts = rest.splitn(3, |byte| *byte == b' ');
        let version = parts.next()?;
        let code = parts.next()?;
        let message = trim(parts.next().unwrap_or(b""));
        if code.len() != 3 || !code.iter().all(u8::is_ascii_digit) || !is_version(version) {
            return None;
        }
        let status = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        return Some((Line::Response { status, message }, version));
    }
    let space = line.iter().position(|byte| *byte == b' ')?;
    let last = line.iter().rposition(|byte| *byte == b' ')?;
    let version = line[last + 1..].strip_prefix(b"HTTP/")?;
    if !is_version(version) || last <= space {
        return None;
    }
    let method = &line[..space];
    if method.is_empty() || !method.iter().all(token) {
        return None;
    }
    let uri = trim(&line[space + 1..last]);
    Some((Line::Request { method, uri }, version))
}

fn is_version(version: &[u8]) -> bool {
    matches!(version, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Parses the beginning of a request line that was cut before its version.
#[must_use]
pub fn parse_cut(bytes: &[u8]) -> Option<Box<Head>> {
    if looks(bytes) != Looks::Request || bytes.contains(&b'\n') {
        return None;
    }
    let end = bytes.iter().rposition(|byte| *byte == b' ').filter(|last| bytes[..*last].contains(&b' '));
    let target = &bytes[..end.unwrap_or(bytes.len())];
    let mut head = parse(&[target, b" HTTP/1.1"].concat())?;
    head.version = CompactString::default();
    Some(head)
}

/// Parses a whole head, its empty line included or not. `None` if the first line is neither request nor status line.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Box<Head>> {
    parse_lines(&mut Lines::of(bytes))
}

/// Parses the head at the start of `bytes`, no empty line before it, if they hold it whole, and says where it ends.
/// Instead of a head `None` if the first line is neither request nor status line.
#[must_use]
pub fn parse_start(bytes: &[u8]) -> Option<(Option<Box<Head>>, usize)> {
    let mut lines = Lines::of(bytes);
    let head = parse_lines(&mut lines);
    let end = if lines.at_empty { bytes.len() - lines.rest.len() } else { end(bytes, 0)? };
    Some((head, end))
}

fn parse_lines(lines: &mut Lines<'_>) -> Option<Box<Head>> {
    let (start, version) = start_line(lines.next()?)?;
    let start = match start {
        Line::Request { method, uri } => Start::Request { method: short(method), uri: short(uri) },
        Line::Response { status, message } => Start::Response { status, message: short(message) },
    };
    let version = match version {
        b"1.1" => CompactString::const_new("1.1"),
        other => short(other),
    };
    let mut head = Box::new(Head {
        start,
        version,
        host: None,
        user_agent: None,
        referrer: None,
        content_type: None,
        content_encoding: None,
        disposition: None,
        upgrade: None,
        http2_settings: false,
        transfer_encoding: None,
        length: Length::Absent,
        whole_range: false,
    });
    lines.fields(|line| {
        field(&mut head, line);
        true
    });
    Some(head)
}

/// The Host field of a whole head, if it is that of a request: what [`parse`] finds, and nothing else copied.
#[must_use]
pub fn host_of_request(bytes: &[u8]) -> Option<Option<CompactString>> {
    let mut lines = Lines::of(bytes);
    let (Line::Request { .. }, _) = start_line(lines.next()?)? else { return None };
    let mut host = None;
    lines.fields(|line| {
        host = named(line).filter(|(name, _)| name.eq_ignore_ascii_case(b"host")).map(|(_, value)| short(value));
        host.is_none()
    });
    Some(host)
}
