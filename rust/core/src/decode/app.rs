//! Applications named by content: what the first bytes of a TCP or UDP payload are.

use super::{Cursor, Next, Proto};
use crate::packet::Packet;

/// Names the application that the payload at the cursor belongs to, if its bytes show it.
#[inline]
pub fn next(at: &mut Cursor<'_>, packet: &Packet) -> Next {
    let payload = at.rest();
    if payload.is_empty() {
        return Next::End;
    }
    let proto = if packet.has_tcp { tcp(payload) } else { udp(payload, packet) };
    Next::Layer(proto.unwrap_or(Proto::Data))
}

#[inline]
fn tcp(payload: &[u8]) -> Option<Proto> {
    match payload {
        // TLS record: handshake, alert, change cipher spec or data; version 3.x (RFC 8446, 5.1)
        [20..=23, 3, 0..=4, ..] => Some(Proto::Tls),
        [b'A'..=b'Z', ..] if is_http(payload) => Some(Proto::Http),
        _ => None,
    }
}

/// A request line or status line of HTTP/1 (RFC 9112, 3 and 4).
fn is_http(payload: &[u8]) -> bool {
    const STARTS: [&[u8]; 10] =
        [b"HTTP/1.", b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"TRACE "];
    STARTS.iter().any(|start| payload.starts_with(start))
}

fn udp(payload: &[u8], packet: &Packet) -> Option<Proto> {
    let dns_port = packet.src_port == 53 || packet.dst_port == 53;
    (dns_port && payload.len() >= 12).then_some(Proto::Dns)
}
