//! The `tls` table: one row a handshake.

use super::column::{Column, booleans, dictionary, names, numbers, text};
use super::rows::{Rows, Streams, column, ends, point, whose};
use crate::app::Found;
use crate::app::http1::head;
use crate::app::tls::{ClientHello, Handshake, ServerHello, cipher_name, fingerprint, version_name};
use arrow_array::ArrayRef;
use arrow_array::types::UInt64Type;
use std::fmt::Write as _;

fn tls(found: &Found) -> Option<&Handshake> {
    match found {
        Found::Tls(handshake) => Some(handshake),
        _ => None,
    }
}

fn each<'a>(rows: &Rows<'a>) -> impl ExactSizeIterator<Item = Option<&'a Handshake>> {
    rows.each(tls)
}

fn server(one: &Handshake) -> Option<&ServerHello> {
    one.server.as_ref()
}

/// A text that the ClientHello gives, if there is one.
fn of_client(rows: &Rows<'_>, write: fn(&ClientHello, &Handshake, &mut String) -> bool) -> ArrayRef {
    text(each(rows), |one, out| {
        one.and_then(|one| one.client.as_ref().map(|hello| write(hello, one, out))).unwrap_or(false)
    })
}

fn fault(one: &Handshake) -> Option<&'static str> {
    one.fault.or(if one.client.is_none() { Some("no ClientHello") } else { None }).or(if one.server.is_none() {
        Some("no ServerHello")
    } else {
        None
    })
}

pub(super) fn columns() -> Vec<Column<Streams>> {
    let mut all = whose();
    all.extend(point());
    all.extend(ends());
    all.extend([
        column!("version", Dict, "Version that the server chose, `TLSv1.3`; null without a ServerHello.", |r| {
            dictionary(each(r).map(|one| one.and_then(server).map(|hello| hello.version)), |version, out| {
                match version_name(*version) {
                    Some(name) => out.push_str(name),
                    None => write!(out, "0x{version:04x}").unwrap_or_default(),
                }
            })
        }),
        column!("cipher", Dict, "Cipher suite that the server chose (IANA name).", |r| {
            dictionary(
                each(r).map(|one| one.and_then(server).map(|hello| hello.cipher)),
                |suite, out| match cipher_name(*suite) {
                    Some(name) => out.push_str(name),
                    None => write!(out, "0x{suite:04x}").unwrap_or_default(),
                },
            )
        }),
        column!("server_name", Dict, "Server name (SNI) of the ClientHello.", |r| {
            names(each(r).map(|one| one.and_then(|one| one.client.as_ref()?.server_name.as_deref())))
        }),
        column!("alpn", Text, "Application protocols that the client offers, comma-separated.", |r| {
            of_client(r, |hello, _, out| {
                for (i, id) in hello.alpn.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(&head::text(id));
                }
                !hello.alpn.is_empty()
            })
        }),
        column!("next_protocol", Dict, "The one the server chose; null where it is encrypted (TLS 1.3).", |r| {
            let chosen = |one: &'_ Handshake| one.server.as_ref().and_then(|hello| hello.alpn.clone());
            dictionary(each(r).map(|one| one.and_then(chosen)), |id, out| out.push_str(&head::text(id)))
        }),
        column!("ja3", Text, "JA3 fingerprint of the ClientHello.", |r| of_client(r, |hello, _, out| {
            out.push_str(&fingerprint::ja3(hello));
            true
        })),
        column!("ja4", Text, "JA4 fingerprint of the ClientHello.", |r| of_client(r, |hello, one, out| {
            out.push_str(&fingerprint::ja4(hello, one.quic));
            true
        })),
        column!("established", Bool, "Both sides went over to encrypted records.", |r| {
            booleans(each(r).map(|one| one.map(|one| one.established)))
        }),
        column!("client_frame", U64, "Frame in which the ClientHello was complete.", |r| numbers::<UInt64Type, _>(
            each(r).map(|one| one.filter(|one| one.client.is_some()).map(|one| one.client_place.frame))
        )),
        column!("server_frame", U64, "Frame in which the ServerHello was complete.", |r| numbers::<UInt64Type, _>(
            each(r).map(|one| one.filter(|one| one.server.is_some()).map(|one| one.server_place.frame))
        )),
        column!("complete", Bool, "Both hellos were seen and nothing is odd.", |r| {
            booleans(each(r).map(|one| one.map(|one| fault(one).is_none())))
        }),
        column!("reason", Dict, "Why it is not complete.", |r| names(each(r).map(|one| one.and_then(fault)))),
    ]);
    all
}
