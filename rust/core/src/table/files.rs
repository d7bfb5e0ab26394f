//! The `files` table: every body that was transferred, named and hashed.

use super::column::{Column, booleans, dictionary, names, numbers, ranges, text};
use super::rows::{Rows, Streams, column, ends, hex, point, whose};
use crate::app::{File, Found};
use arrow_array::types::{UInt32Type, UInt64Type};

fn file(found: &Found) -> Option<&File> {
    match found {
        Found::File(file) => Some(file),
        _ => None,
    }
}

fn each<'a>(rows: &Rows<'a>) -> impl ExactSizeIterator<Item = Option<&'a File>> {
    rows.each(file)
}

pub(super) fn columns() -> Vec<Column<Streams>> {
    let mut all = whose();
    all.extend(point());
    all.extend(ends());
    all.extend([
        column!("trans_depth", U32, "Position of its exchange in the connection, from 1.", |r| {
            numbers::<UInt32Type, _>(each(r).map(|one| one.map(|one| one.depth)))
        }),
        column!("source", Dict, "Protocol that carried it.", |r| names(each(r).map(|_| Some("http")))),
        column!("is_orig", Bool, "Sent by the flow's originator.", |r| booleans(
            each(r).map(|one| one.map(|one| one.from_orig))
        )),
        column!("filename", Text, "Name by Content-Disposition or the URL, as given: not a safe path.", |r| {
            text(each(r).map(|one| one.and_then(|one| one.name.as_deref())), |value, out| {
                out.push_str(value.unwrap_or(""));
                value.is_some()
            })
        }),
        column!("url", Text, "Host and target of the request.", |r| {
            text(each(r).map(|one| one.and_then(|one| one.url.as_deref())), |value, out| {
                out.push_str(value.unwrap_or(""));
                value.is_some()
            })
        }),
        column!("path", Text, "Name of the file that `extract` wrote; null without.", |r| {
            text(each(r).map(|one| one.and_then(|one| one.path.as_deref())), |value, out| {
                out.push_str(value.unwrap_or(""));
                value.is_some()
            })
        }),
        column!("mime_type", Dict, "Content-Type without parameters.", |r| {
            dictionary(each(r).map(|one| one.and_then(|one| one.mime_type.as_deref())), |value, out| {
                out.push_str(value)
            })
        }),
        column!("content_encoding", Dict, "Content coding that it was transferred in.", |r| {
            dictionary(each(r).map(|one| one.and_then(|one| one.encoding.as_deref())), |value, out| out.push_str(value))
        }),
        column!("transferred_bytes", U64, "Bytes before the coding was undone.", |r| {
            numbers::<UInt64Type, _>(each(r).map(|one| one.map(|one| one.body.len)))
        }),
        column!("size", U64, "Bytes of the file, coding undone.", |r| {
            numbers::<UInt64Type, _>(each(r).map(|one| one.map(|one| one.body.decoded_len)))
        }),
        column!("sha256", Text, "SHA-256 of the file; null if it is not whole.", |r| {
            let whole = |one: &'_ File| one.body.sha256.filter(|_| one.body.missing.is_empty() && one.fault.is_none());
            text(each(r).map(|one| one.and_then(whole)), |value, out| {
                hex(value.as_ref().map_or(&[][..], |hash| &hash[..]), out);
                value.is_some()
            })
        }),
        column!("complete", Bool, "It was seen from first to last byte, and nothing is odd.", |r| {
            booleans(each(r).map(|one| one.map(|one| one.fault.is_none())))
        }),
        column!("reason", Dict, "Why it is not complete.", |r| {
            dictionary(each(r).map(|one| one.and_then(|one| one.fault)), |value, out| out.push_str(value))
        }),
        column!("write_error", Dict, "Why `extract` did not write it; null if it did.", |r| {
            dictionary(each(r).map(|one| one.and_then(|one| one.body.write_error.as_deref())), |value, out| {
                out.push_str(value)
            })
        }),
        column!(
            "missing",
            ListText,
            "Ranges that were not captured: first-last byte of what was transferred; at most 1,000, as for streams.",
            |r| { ranges(each(r).map(|one| one.map_or(&[][..], |one| &one.body.missing))) }
        ),
    ]);
    all
}
