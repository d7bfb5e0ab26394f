//! Transactions of applications as lines.

use crate::app::dhcp::Message;
use crate::app::dns::{self, rcode_name, type_name};
use crate::app::http1::{Exchange, Start};
use crate::app::tls::{Handshake, cipher_name, fingerprint, version_name};
use crate::stream::Place;
use std::fmt::Write as _;

/// `GET http://host/path 200 OK text/html 1234 bytes 1.204 ms`.
pub fn http(exchange: &Exchange, out: &mut String) {
    let written = (|| {
        match exchange.request.as_ref().map(|part| (&part.head.start, &part.head.host)) {
            Some((Start::Request { method, uri }, host)) if !method.is_empty() => {
                write!(out, "{method} {}{uri}", host.as_deref().unwrap_or(""))?;
            }
            _ => write!(out, "?")?,
        }
        match exchange.response.as_ref() {
            Some(part) => {
                if let Start::Response { status, message } = &part.head.start {
                    let space = if message.is_empty() { "" } else { " " };
                    write!(out, " {status}{space}{message}")?;
                }
                if let Some(kind) = &part.head.content_type {
                    write!(out, " {kind}")?;
                }
                match part.body_len() {
                    Some(len) => write!(out, " {len} bytes")?,
                    None => write!(out, " ? bytes")?,
                }
                if let Some(request) = &exchange.request {
                    passed(request.first, part.last, out)?;
                }
            }
            None => write!(out, " -")?,
        }
        fault(exchange.fault(), out)
    })();
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

/// `1.204 ms`, if both times were recorded.
fn passed(from: Place, to: Place, out: &mut String) -> std::fmt::Result {
    from.until(&to).map_or(Ok(()), |ns| write!(out, " {:.3} ms", ns as f64 / 1e6))
}

fn fault(what: Option<&'static str>, out: &mut String) -> std::fmt::Result {
    what.map_or(Ok(()), |what| write!(out, " [{what}]"))
}

/// `A www.example.com NOERROR 192.0.2.1 0.402 ms`.
pub fn dns(exchange: &dns::Exchange, out: &mut String) {
    let written = (|| {
        if let Some(question) = exchange.asking().and_then(|message| message.questions.first()) {
            match type_name(question.qtype) {
                Some(name) => write!(out, "{name} {}", question.name)?,
                None => write!(out, "TYPE{} {}", question.qtype, question.name)?,
            }
        }
        match &exchange.response {
            Some(response) => {
                match rcode_name(response.rcode) {
                    Some(name) => write!(out, " {name}")?,
                    None => write!(out, " RCODE{}", response.rcode)?,
                }
                for answer in &response.answers {
                    write!(out, " {}", answer.data)?;
                }
                if exchange.query.is_some() {
                    passed(exchange.asked, exchange.answered, out)?;
                }
            }
            None => write!(out, " -")?,
        }
        fault(exchange.fault(), out)
    })();
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

/// `TLSv1.3 example.com TLS_AES_128_GCM_SHA256 t13d…`.
pub fn tls(handshake: &Handshake, out: &mut String) {
    let written = (|| {
        let server = handshake.server.as_ref();
        write!(out, "{}", server.and_then(|hello| version_name(hello.version)).unwrap_or("TLS"))?;
        if let Some(hello) = &handshake.client {
            write!(out, " {}", hello.server_name.as_deref().unwrap_or("-"))?;
        }
        if let Some(name) = server.and_then(|hello| cipher_name(hello.cipher)) {
            write!(out, " {name}")?;
        }
        if let Some(hello) = &handshake.client {
            write!(out, " {}", fingerprint::ja4(hello, handshake.quic))?;
        }
        fault(handshake.fault, out)
    })();
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

/// `ACK 192.0.2.9 host 3600 s`.
pub fn dhcp(message: &Message, out: &mut String) {
    let written = (|| {
        write!(out, "{}", message.kind_name().unwrap_or("BOOTP"))?;
        if let Some(addr) = message.assigned_addr.or(message.requested_addr) {
            write!(out, " {addr}")?;
        }
        if let Some(name) = &message.host_name {
            write!(out, " {name}")?;
        }
        if let Some(lease) = message.lease_time {
            write!(out, " {lease} s")?;
        }
        fault(message.fault, out)
    })();
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}
