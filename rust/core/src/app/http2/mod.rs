//! HTTP/2 in clear (RFC 9113): with prior knowledge or after an upgrade, header blocks by HPACK (RFC 7541).
//!
//! Rows are those of `http`, version `2`. Bodies are counted and hashed as transferred in DATA frames.

mod fields;
mod half;

use super::http1::exchange::CROWDED;
use super::http1::head::Length;
use super::http1::{Bodies as _, Exchange, Head, Part, Start};
use super::{After, Analyzer, Looks, Out};
use crate::app::content::{Body, Work};
use crate::stream::{Piece, Place};
use fields::Fields;
use half::Half;
use std::collections::BTreeMap;

/// What a client sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest header block, bytes; servers take 8 to 64 KiB.
const MAX_BLOCK: usize = 1 << 16;
/// Streams of a connection that are open at a time; the oldest is given up beyond.
const MAX_STREAMS: usize = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// Recognises the client by its preface.
pub fn looks(bytes: &[u8], _ports: (u16, u16)) -> Looks {
    if bytes.starts_with(PREFACE) {
        Looks::Client
    } else if PREFACE.starts_with(bytes) {
        Looks::Perhaps
    } else {
        Looks::No
    }
}

/// A connection whose client is that side.
pub fn make(client: usize) -> Box<dyn Analyzer> {
    Box::new(Http2::new(client))
}

/// What an HTTP/1.1 connection became by an upgrade: the request that asked for it is stream 1 (RFC 7540, 3.2), whose
/// final response comes in HTTP/2.
pub(super) fn make_upgraded(client: usize, asked: Exchange) -> Box<dyn Analyzer> {
    let depth = asked.depth;
    let first = Open { depth, upgraded: asked.request, ..Open::default() };
    Box::new(Http2 { streams: BTreeMap::from([(1, first)]), depth, opened: [0, 1], ..Http2::new(client) })
}

/// A stream number; the bit before it means nothing.
fn be32(bytes: &[u8]) -> u32 {
    crate::decode::cursor::be32(bytes, 0) & 0x7fff_ffff
}

/// A message in the making.
struct Running {
    head: Box<Head>,
    first: Place,
    body: Body,
    over: Option<Place>,
}

#[derive(Default)]
struct Open {
    depth: u32,
    /// The request, if it came in HTTP/1.1.
    upgraded: Option<Part>,
    request: Option<Running>,
    response: Option<Running>,
    fault: Option<&'static str>,
    /// It was given up because too many were open.
    crowded: bool,
}

struct Http2 {
    client: usize,
    sides: [Half; 2],
    streams: BTreeMap<u32, Open>,
    /// The highest number that the server and the client have opened, which are even and odd: what is not above it and not
    /// in `streams` is closed (RFC 9113, 5.1.1).
    opened: [u32; 2],
    depth: u32,
    fault: Option<&'static str>,
}

impl Http2 {
    fn new(client: usize) -> Self {
        let sides = [0, 1].map(|side| Half::new(if side == client { PREFACE.len() } else { 0 }));
        Self { client, sides, streams: BTreeMap::new(), opened: [0; 2], depth: 0, fault: None }
    }

    /// Takes bytes of a side; `false` when the connection cannot be read on.
    fn bytes(&mut self, side: usize, mut bytes: &[u8], place: Place, out: &mut Out<'_>) -> bool {
        while !bytes.is_empty() {
            let half = &mut self.sides[side];
            half.last = place;
            if half.preface > 0 {
                let taken = half.preface.min(bytes.len());
                half.preface -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            if half.left == 0 {
                let (taken, rest) = bytes.split_at((9 - half.header.len()).min(bytes.len()));
                half.header.extend_from_slice(taken);
                bytes = rest;
                if half.header.len() < 9 {
                    return true;
                }
                let h = &half.header;
                half.left = usize::from(h[0]) << 16 | usize::from(h[1]) << 8 | usize::from(h[2]);
                (half.kind, half.flags) = (h[3], h[4]);
                half.stream = be32(&h[5..]);
                half.header.clear();
                half.frame.clear();
                half.padding = (half.flags & PADDED == 0).then_some(0);
                if half.left == 0 && !self.frame_over(side, place, out) {
                    return false;
                }
                continue;
            }
            let (taken, rest) = bytes.split_at(half.left.min(bytes.len()));
            bytes = rest;
            if half.kind == DATA {
                self.data(side, taken);
            } else if matches!(half.kind, HEADERS | CONTINUATION | PUSH_PROMISE) {
                half.frame.extend_from_slice(taken);
                half.left -= taken.len();
                if half.frame.len() > MAX_BLOCK {
                    self.fault = Some("header block longer than 65536 bytes");
                    return false;
                }
            } else {
                half.left -= taken.len();
            }
            if self.sides[side].left == 0 && !self.frame_over(side, place, out) {
                return false;
            }
        }
        true
    }

    /// A part of a DATA frame: padding is no body.
    fn data(&mut self, side: usize, mut bytes: &[u8]) {
        let half = &mut self.sides[side];
        let padding = match half.padding {
            Some(padding) => padding,
            None => {
                let padding = usize::from(bytes[0]);
                half.padding = Some(padding);
                bytes = &bytes[1..];
                half.left -= 1;
                padding
            }
        };
        let body = half.left.saturating_sub(padding).min(bytes.len());
        half.left -= bytes.len();
        let number = half.stream;
        // Behind its end it is none (RFC 9113, 5.1).
        if let Some(running) = self.running(side, number).filter(|running| running.over.is_none()) {
            running.body.data(&bytes[..body]);
        }
    }

    fn running(&mut self, side: usize, number: u32) -> Option<&mut Running> {
        let stream = self.streams.get_mut(&number)?;
        if side == self.client { stream.request.as_mut() } else { stream.response.as_mut() }
    }

    fn frame_over(&mut self, side: usize, place: Place, out: &mut Out<'_>) -> bool {
        let half = &mut self.sides[side];
        let (number, flags) = (half.stream, half.flags);
        match half.kind {
            HEADERS | PUSH_PROMISE | CONTINUATION => {
                let mut payload = &half.frame[..];
                if half.kind != CONTINUATION && flags & PADDED != 0 {
                    let Some((padding, rest)) = payload.split_first() else { return self.broken() };
                    let Some(end) = rest.len().checked_sub(usize::from(*padding)) else { return self.broken() };
                    payload = &rest[..end];
                }
                let skip = match half.kind {
                    HEADERS if flags & PRIORITY != 0 => 5,
                    PUSH_PROMISE => 4,
                    _ => 0,
                };
                let Some((before, fragment)) = payload.split_at_checked(skip) else { return self.broken() };
                half.block.extend_from_slice(fragment);
                if half.kind != CONTINUATION {
                    half.block_ends_stream = half.kind == HEADERS && flags & END_STREAM != 0;
                    half.promised = (half.kind == PUSH_PROMISE).then(|| be32(before));
                }
                if half.block.len() > MAX_BLOCK {
                    self.fault = Some("header block longer than 65536 bytes");
                    return false;
                }
                if flags & END_HEADERS != 0 {
                    return self.block(side, number, place, out);
                }
            }
            DATA if flags & END_STREAM != 0 => self.message_over(side, number, place, out),
            RST_STREAM => {
                if let Some(stream) = self.streams.get_mut(&number) {
                    stream.fault.get_or_insert("stream reset");
                }
                self.report(number, out);
            }
            _ => {}
        }
        true
    }

    fn broken(&mut self) -> bool {
        self.fault = Some("frame whose lengths do not fit");
        false
    }

    fn block(&mut self, side: usize, number: u32, place: Place, out: &mut Out<'_>) -> bool {
        let half = &mut self.sides[side];
        let block = std::mem::take(&mut half.block);
        let (ends, promised) = (half.block_ends_stream, half.promised);
        let head = match half.fields(&block) {
            Ok(head) => head,
            Err(fault) => {
                self.fault = Some(fault);
                return false;
            }
        };
        // A promise is the request of another stream, without a body (RFC 9113, 8.4).
        let number = promised.unwrap_or(number);
        let is_client = side == self.client;
        let is_request = is_client || promised.is_some();
        if promised.is_some_and(|number| number & 1 == 1) || !self.is_open(number, is_request) {
            return true; // what was on its way when the stream was reset; decoded for the table's sake
        }
        let stream = self.stream(number, out);
        let slot = if is_request { &mut stream.request } else { &mut stream.response };
        // A second block is a trailer; an interim response (1xx) is passed over.
        let interim = !is_request && head.status.is_some_and(|status| status < 200);
        if slot.is_none() && !interim {
            match head.head(is_request) {
                // Malformed, which concerns this stream alone (RFC 9113, 8.1.1).
                None => _ = stream.fault.get_or_insert("header block without its pseudo-fields"),
                Some(head) => {
                    let over = promised.map(|_| place);
                    let body = if ends || over.is_some() {
                        Body::new(None, Work::Count, None, 0)
                    } else {
                        let file = out.open(&Exchange::default(), super::http1::Side::Response);
                        Body::new(head.codings().as_deref(), out.work(), file, out.limit())
                    };
                    *slot = Some(Running { head: Box::new(head), first: place, body, over });
                }
            }
            if is_client && out.facts.http_host.is_none() {
                out.facts.service = Some("http2");
                let host = slot.as_ref().and_then(|running| running.head.host.clone());
                out.facts.http_host = host.filter(|host| !host.is_empty());
            }
        }
        if ends {
            self.message_over(side, number, place, out);
        }
        true
    }

    /// The stream of that number, which is open or is opened: the oldest one makes room.
    fn stream(&mut self, number: u32, out: &mut Out<'_>) -> &mut Open {
        if self.streams.len() >= MAX_STREAMS
            && !self.streams.contains_key(&number)
            && let Some(mut oldest) = self.streams.first_entry()
        {
            oldest.get_mut().crowded = true;
            let oldest = *oldest.key();
            self.report(oldest, out);
        }
        let depth = self.depth + 1;
        let stream = self.streams.entry(number).or_insert_with(|| Open { depth, ..Open::default() });
        self.depth = self.depth.max(stream.depth);
        stream
    }

    /// The connection cannot be read on. The request at which that is so has a row too, though nothing of it can be shown.
    fn unread(&mut self, side: usize, place: Place, out: &mut Out<'_>) {
        let half = &self.sides[side];
        let number = half.stream;
        if side == self.client && matches!(half.kind, HEADERS | CONTINUATION) && self.is_open(number, true) {
            let body = Body::new(None, Work::Count, None, 0);
            let head = Fields::unread().map(Box::new);
            let running = head.map(|head| Running { head, first: place, body, over: None });
            let request = &mut self.stream(number, out).request;
            *request = request.take().or(running);
        }
    }

    /// Whether a stream takes a header block: it is open, or that opens it. A response may be captured before its request.
    fn is_open(&mut self, number: u32, is_request: bool) -> bool {
        let opened = &mut self.opened[number as usize & 1];
        let is_new = number > *opened;
        if is_new && is_request {
            *opened = number;
        }
        is_new || self.streams.contains_key(&number)
    }

    fn message_over(&mut self, side: usize, number: u32, place: Place, out: &mut Out<'_>) {
        if let Some(running) = self.running(side, number) {
            running.over = Some(place);
        }
        let over = |part: &Option<Running>| part.as_ref().is_some_and(|running| running.over.is_some());
        if self
            .streams
            .get(&number)
            .is_some_and(|stream| (stream.upgraded.is_some() || over(&stream.request)) && over(&stream.response))
        {
            self.report(number, out);
        }
    }

    fn report(&mut self, number: u32, out: &mut Out<'_>) {
        let Some(stream) = self.streams.remove(&number) else { return };
        if stream.upgraded.is_none() && stream.request.is_none() && stream.response.is_none() {
            return; // no message of it can be shown
        }
        let fault = stream.fault.or(self.fault);
        let cut = if stream.crowded { CROWDED } else { "the message ends early" };
        let bodiless = may_be_bodiless(&stream);
        let part = |running: Option<Running>| {
            running.map(|running| {
                let (body, file) = running.body.finish();
                // Malformed (RFC 9113, 8.1.1).
                let is_other = matches!(running.head.length, Length::Bytes(len) if len != body.len)
                    && !(bodiless && body.len == 0 && matches!(running.head.start, Start::Response { .. }));
                let odd = match running.over {
                    None => Some(cut),
                    Some(_) => is_other.then_some("Content-Length is not that of the body"),
                };
                let last = running.over.unwrap_or(running.first);
                // What was reset sends no more.
                let is_unseen = running.over.is_none() && body.len == 0 && stream.fault.is_none();
                let fault = fault.or(odd);
                let mut part = Part::whole(running.head, (running.first, last), body, file, fault);
                part.is_unseen = is_unseen;
                part
            })
        };
        let mut exchange = Exchange {
            depth: stream.depth,
            request: stream.upgraded.or_else(|| part(stream.request)),
            response: part(stream.response),
            ..Exchange::default()
        };
        exchange.pairing.crowded = stream.crowded;
        super::web::report(Box::new(exchange), self.client, out);
    }
}

/// Whether the response of a stream may have a Content-Length and no body (RFC 9110, 6.4.1 and 8.6): if it answers HEAD, or
/// a request that was not seen, or by its status.
fn may_be_bodiless(stream: &Open) -> bool {
    let asked = stream.upgraded.as_ref().map(|part| &part.head);
    let method = match asked.or(stream.request.as_ref().map(|running| &running.head)).map(|head| &head.start) {
        Some(Start::Request { method, .. }) => Some(&**method),
        _ => None,
    };
    let status = stream.response.as_ref().map(|running| &running.head.start);
    matches!(method, None | Some("" | "HEAD" | "CONNECT"))
        || matches!(status, Some(Start::Response { status: 204 | 304, .. }))
}

impl Analyzer for Http2 {
    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a> {
        let (Piece::Data(_, place) | Piece::Gap(_, place)) = piece;
        let more = match piece {
            Piece::Data(bytes, place) => self.bytes(side, bytes, place, out),
            Piece::Gap(len, _) => {
                let half = &mut self.sides[side];
                let inside = half.kind == DATA && len <= half.left as u64 && half.padding == Some(0);
                if inside {
                    half.left -= len as usize;
                    let (number, is_over) = (half.stream, half.left == 0);
                    if let Some(running) = self.running(side, number).filter(|running| running.over.is_none()) {
                        running.body.gap(len);
                    }
                    !is_over || self.frame_over(side, place, out)
                } else {
                    // Frame boundaries and the header table are lost with it.
                    self.fault = Some("bytes are missing");
                    false
                }
            }
        };
        if !more {
            self.unread(side, place, out);
        }
        let named = out.facts.http_host.is_some();
        if more && (out.wants.http || out.wants.files || !named) { After::More } else { After::Enough }
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        for number in self.streams.keys().copied().collect::<Vec<_>>() {
            self.report(number, out);
        }
    }

    fn oldest_open(&self) -> Option<u64> {
        let first = |part: &Option<Running>| part.as_ref().map_or(u64::MAX, |running| running.first.frame);
        let asked = |stream: &Open| stream.upgraded.as_ref().map_or(u64::MAX, |part| part.first.frame);
        let earliest = |stream: &Open| first(&stream.request).min(first(&stream.response)).min(asked(stream));
        self.streams.values().map(earliest).min()
    }
}
