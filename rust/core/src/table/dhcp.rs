//! The `dhcp` table: one row a message.

use super::address::write_mac;
use super::column::{Column, booleans, dictionary, names, numbers, text};
use super::rows::{Rows, Streams, column, ends, hex, point, whose};
use crate::app::Found;
use crate::app::dhcp::Message;
use arrow_array::ArrayRef;
use arrow_array::types::{UInt8Type, UInt32Type};
use std::fmt::Write as _;
use std::net::IpAddr;

fn dhcp(found: &Found) -> Option<&Message> {
    match found {
        Found::Dhcp(message) => Some(message),
        _ => None,
    }
}

fn each<'a>(rows: &Rows<'a>) -> impl ExactSizeIterator<Item = Option<&'a Message>> {
    rows.each(dhcp)
}

fn addr(rows: &Rows<'_>, get: fn(&Message) -> Option<IpAddr>) -> ArrayRef {
    dictionary(each(rows).map(|one| one.and_then(get)), |addr, out| write!(out, "{addr}").unwrap_or_default())
}

fn words(rows: &Rows<'_>, get: fn(&Message) -> Option<&str>) -> ArrayRef {
    names(each(rows).map(|one| one.and_then(get)))
}

pub(super) fn columns() -> Vec<Column<Streams>> {
    let mut all = whose();
    all.extend(point());
    all.extend(ends());
    all.extend([
        column!("version", U8, "4 or 6.", |r| numbers::<UInt8Type, _>(each(r).map(|one| one.map(|one| one.version)))),
        column!(
            "msg_type",
            Dict,
            "DISCOVER OFFER REQUEST … (RFC 2132, 9.6), SOLICIT … (RFC 8415, 7.3); null for BOOTP or if cut before it.",
            |r| { names(each(r).map(|one| one.and_then(Message::kind_name))) }
        ),
        column!("trans_id", U32, "Transaction id; null where a message has none.", |r| numbers::<UInt32Type, _>(
            each(r).map(|one| one.and_then(|one| one.xid))
        )),
        column!(
            "client_mac",
            Dict,
            "Client's hardware address; IPv6: as its relay heard it (RFC 6939), else from its DUID, if that has one.",
            |r| { dictionary(each(r).map(|one| one.and_then(|one| one.relayed_mac.or(one.client_mac))), write_mac) }
        ),
        column!("client_addr", Dict, "Address that the client has already.", |r| addr(r, |m| m.client_addr)),
        column!("requested_addr", Dict, "Address that the client asks for.", |r| addr(r, |m| m.requested_addr)),
        column!("assigned_addr", Dict, "Address that the server gives.", |r| addr(r, |m| m.assigned_addr)),
        column!("server_addr", Dict, "Server identifier (IPv4).", |r| addr(r, |m| m.server_addr)),
        column!("relay_addr", Dict, "Relay agent; IPv6: the client's link.", |r| addr(r, |m| m.relay_addr)),
        column!("host_name", Dict, "Host name that the client gives.", |r| words(r, |m| m.host_name.as_deref())),
        column!("domain", Dict, "Domain that the server gives.", |r| words(r, |m| m.domain.as_deref())),
        column!("lease_time", U32, "Lease time or valid lifetime, seconds.", |r| numbers::<UInt32Type, _>(
            each(r).map(|one| one.and_then(|one| one.lease_time))
        )),
        column!("vendor_class", Dict, "Vendor class.", |r| words(r, |m| m.vendor_class.as_deref())),
        column!("client_id", Text, "Client identifier or DUID, hexadecimal.", |r| {
            text(each(r).map(|one| one.and_then(|one| one.client_id.as_deref())), |id, out| {
                hex(id.unwrap_or_default(), out);
                id.is_some()
            })
        }),
        column!("complete", Bool, "It could be read to its end.", |r| booleans(
            each(r).map(|one| one.map(|one| one.fault.is_none()))
        )),
        column!("reason", Dict, "Why it is not complete.", |r| names(each(r).map(|one| one.and_then(|one| one.fault)))),
    ]);
    all
}
