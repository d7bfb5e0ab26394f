//! The `http` table: one row a request with its response.

use super::column::{Column, booleans, dictionary, numbers, ranges, text};
use super::rows::{Rows, Streams, column, ends, hex, point, whose};
use crate::app::Found;
use crate::app::http1::{Exchange, Head, Part, Start};
use arrow_array::ArrayRef;
use arrow_array::types::{Int64Type, UInt16Type, UInt32Type, UInt64Type};

fn http(found: &Found) -> Option<&Exchange> {
    match found {
        Found::Http(exchange) => Some(exchange),
        _ => None,
    }
}

fn each<'a>(rows: &Rows<'a>) -> impl ExactSizeIterator<Item = Option<&'a Exchange>> {
    rows.each(http)
}

fn request(exchange: &Exchange) -> Option<&Part> {
    exchange.request.as_ref()
}

fn response(exchange: &Exchange) -> Option<&Part> {
    exchange.response.as_ref()
}

/// Text of the request's or response's head, each value its own.
fn own(rows: &Rows<'_>, part: fn(&Exchange) -> Option<&Part>, get: fn(&Head) -> Option<&str>) -> ArrayRef {
    text(each(rows).map(|one| one.and_then(part).and_then(|part| get(&part.head))), |value, out| {
        out.push_str(value.unwrap_or(""));
        value.is_some()
    })
}

/// The same, dictionary-encoded.
fn shared(rows: &Rows<'_>, part: fn(&Exchange) -> Option<&Part>, get: fn(&Head) -> Option<&str>) -> ArrayRef {
    dictionary(each(rows).map(|one| one.and_then(part).and_then(|part| get(&part.head))), |value, out| {
        out.push_str(value);
    })
}

/// A part of a start line, which may have been left out or cut off.
fn there(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn method(head: &Head) -> Option<&str> {
    match &head.start {
        Start::Request { method, .. } => there(method),
        Start::Response { .. } => None,
    }
}

fn uri(head: &Head) -> Option<&str> {
    match &head.start {
        Start::Request { uri, .. } => there(uri),
        Start::Response { .. } => None,
    }
}

fn status(one: &Exchange) -> Option<u16> {
    match response(one)?.head.start {
        Start::Response { status, .. } => Some(status),
        Start::Request { .. } => None,
    }
}

fn version(one: &Exchange) -> Option<&str> {
    request(one).or_else(|| response(one)).and_then(|part| there(&part.head.version))
}

fn message(head: &Head) -> Option<&str> {
    match &head.start {
        Start::Response { message, .. } => there(message),
        Start::Request { .. } => None,
    }
}

fn duration(one: &Exchange) -> Option<i64> {
    request(one)?.first.until(&response(one)?.last)
}

/// The hash of a body that was there and is whole.
fn sha256(one: &Exchange) -> Option<[u8; 32]> {
    let part = response(one)?;
    let whole = part.fault.is_none() && part.body.missing.is_empty() && part.body.len > 0;
    part.body.sha256.filter(|_| whole)
}

pub(super) fn columns() -> Vec<Column<Streams>> {
    let mut all = whose();
    all.extend(point());
    all.extend(ends());
    all.extend([
        column!("trans_depth", U32, "Position in the connection, from 1.", |r| {
            numbers::<UInt32Type, _>(each(r).map(|one| one.map(|one| one.depth)))
        }),
        column!("method", Dict, "Request method; null if the request was not seen or could not be read.", |r| shared(
            r, request, method
        )),
        column!("host", Dict, "Host field.", |r| shared(r, request, |h| h.host.as_deref())),
        column!("uri", Text, "Request target as sent; null without one (CONNECT in HTTP/2).", |r| own(r, request, uri)),
        column!(
            "version",
            Dict,
            "HTTP version, `1.1`; of the response if the request was not seen; null where it was cut off.",
            |r| { dictionary(each(r).map(|one| one.and_then(version)), |value, out| out.push_str(value)) }
        ),
        column!("user_agent", Dict, "User-Agent field.", |r| shared(r, request, |h| h.user_agent.as_deref())),
        column!("referrer", Dict, "Referer field.", |r| shared(r, request, |h| h.referrer.as_deref())),
        column!("status_code", U16, "Status of the final response; null without one.", |r| {
            numbers::<UInt16Type, _>(each(r).map(|one| one.and_then(status)))
        }),
        column!("status_msg", Dict, "Reason phrase; null without one, as in HTTP/2.", |r| shared(r, response, message)),
        column!(
            "request_body_len",
            U64,
            "Request body after de-chunking, before decompression, bytes; null if its head was cut or nothing behind it seen.",
            |r| { numbers::<UInt64Type, _>(each(r).map(|one| one.and_then(request).and_then(Part::body_len))) }
        ),
        column!("response_body_len", U64, "The same of the response; null without one.", |r| {
            numbers::<UInt64Type, _>(each(r).map(|one| one.and_then(response).and_then(Part::body_len)))
        }),
        column!("content_type", Dict, "Content-Type of the response.", |r| {
            shared(r, response, |h| h.content_type.as_deref())
        }),
        column!("content_encoding", Dict, "Content-Encoding of the response.", |r| {
            shared(r, response, |h| h.content_encoding.as_deref())
        }),
        column!("duration", Nanos, "First byte of the request to last byte of the response, ns.", |r| {
            numbers::<Int64Type, _>(each(r).map(|one| one.and_then(duration)))
        }),
        column!("request_frame", U64, "Frame in which the request was complete, as tshark counts.", |r| {
            numbers::<UInt64Type, _>(each(r).map(|one| one.and_then(request).map(|part| part.last.frame)))
        }),
        column!("response_frame", U64, "Frame in which the response was complete.", |r| {
            numbers::<UInt64Type, _>(each(r).map(|one| one.and_then(response).map(|part| part.last.frame)))
        }),
        column!(
            "body_sha256",
            Text,
            "SHA-256 of the response body as `extract` writes it: content codings undone, but of a part (206).",
            |r| {
                text(each(r).map(|one| one.and_then(sha256)), |value, out| {
                    hex(value.as_ref().map_or(&[][..], |hash| &hash[..]), out);
                    value.is_some()
                })
            }
        ),
        column!(
            "ws_client_frames",
            U64,
            "WebSocket frames that the client sent behind an upgrade; null otherwise.",
            |r| {
                numbers::<UInt64Type, _>(each(r).map(|one| one.and_then(|one| one.websocket).map(|frames| frames[0])))
            }
        ),
        column!("ws_server_frames", U64, "The same of the server.", |r| {
            numbers::<UInt64Type, _>(each(r).map(|one| one.and_then(|one| one.websocket).map(|frames| frames[1])))
        }),
        column!("complete", Bool, "Request and response were seen from first to last byte, and nothing is odd.", |r| {
            booleans(each(r).map(|one| one.map(|one| one.fault().is_none())))
        }),
        column!("reason", Dict, "Why it is not complete.", |r| {
            dictionary(each(r).map(|one| one.and_then(Exchange::fault)), |value, out| out.push_str(value))
        }),
        column!(
            "missing",
            ListText,
            "Ranges of the response body that were not captured: first-last byte, from 0.",
            |r| { ranges(each(r).map(|one| one.and_then(response).map_or(&[][..], |part| &part.body.missing))) }
        ),
    ]);
    all
}
