//! Applications named by content: what the first bytes of a TCP or UDP payload are.

use super::{Cursor, Next, Proto};
use crate::app::dns::message::looks as is_dns;
use crate::app::http1::head::begin;
use crate::packet::Packet;

/// Names the application that the payload at the cursor belongs to, if its bytes show it.
#[inline(always)]
pub fn next(is_tcp: bool, ports: (u16, u16), at: &mut Cursor<'_>, _packet: &Packet) -> Next {
    let payload = at.rest();
    if payload.is_empty() {
        return Next::End;
    }
    let proto = if is_tcp { tcp(payload, ports) } else { udp(payload, ports) };
    Next::Layer(proto.unwrap_or(Proto::Data))
}

#[inline]
fn tcp(payload: &[u8], ports: (u16, u16)) -> Option<Proto> {
    match payload {
        // TLS record: change cipher spec, alert, handshake or data; version 3.x; at most 2^14 + 2048 bytes
        // (RFC 8446, 5.1 and RFC 5246, 6.2.3)
        [20..=23, 3, 0..=4, high, low, ..] if (1..=0x4800).contains(&u16::from_be_bytes([*high, *low])) => {
            Some(Proto::Tls)
        }
        [b'A'..=b'Z', ..] if is_http(payload) => Some(Proto::Http),
        // Empty lines may come first (RFC 9112, 2.2).
        [b'\r' | b'\n', ..] if is_http(begin(payload)) => Some(Proto::Http),
        // Over TCP a length precedes the message (RFC 1035, 4.2.2).
        [_, _, message @ ..] if has(ports, 53) && is_dns(message) => Some(Proto::Dns),
        _ => None,
    }
}

fn has(ports: (u16, u16), port: u16) -> bool {
    ports.0 == port || ports.1 == port
}

/// A request line or status line of HTTP/1 (RFC 9112, 3 and 4).
fn is_http(payload: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"TRACE "];
    payload.starts_with(b"HTTP/1.")
        || METHODS.iter().any(|method| payload.strip_prefix(*method).is_some_and(|rest| is_request(rest, method)))
}

/// What stands behind the method: other protocols have the same ones (RFC 2326, 6.1; RFC 3261, 7.1). A line that is whole
/// ends in the version, or has a path alone (RFC 1945, 4.1); of one that goes on the target is judged (RFC 9112, 3.2).
fn is_request(rest: &[u8], method: &[u8]) -> bool {
    let is_path = rest.starts_with(b"/");
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return is_path || rest.starts_with(b"*") || rest.starts_with(b"http") || method == b"CONNECT ";
    };
    let line = rest[..end].trim_ascii_end();
    match line.iter().rposition(|byte| *byte == b' ') {
        Some(space) => line[space + 1..].starts_with(b"HTTP/"),
        None => is_path,
    }
}

fn udp(payload: &[u8], ports: (u16, u16)) -> Option<Proto> {
    let proto = if has(ports, 53) {
        Proto::Dns
    } else if has(ports, 5353) {
        Proto::Mdns
    } else if has(ports, 5355) {
        Proto::Llmnr
    } else {
        return None;
    };
    is_dns(payload).then_some(proto)
}
