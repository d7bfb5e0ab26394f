//! The `streams` table: each direction of each TCP connection, its bytes counted and hashed.

use super::column::{Column, booleans, dictionary, numbers, ranges, text};
use super::rows::{Rows, Streams, column, ends, hex, point, whose};
use crate::app::Found;
use crate::app::raw::RawStream;
use arrow_array::types::UInt64Type;

fn stream(found: &Found) -> Option<&RawStream> {
    match found {
        Found::Stream(stream) => Some(stream),
        _ => None,
    }
}

fn each<'a>(rows: &Rows<'a>) -> impl ExactSizeIterator<Item = Option<&'a RawStream>> {
    rows.each(stream)
}

pub(super) fn columns() -> Vec<Column<Streams>> {
    let mut all = whose();
    all.extend(point());
    all.extend(ends());
    all.extend([
        column!("is_orig", Bool, "Sent by the flow's originator.", |r| booleans(
            each(r).map(|one| one.map(|one| one.from_orig))
        )),
        column!("size", U64, "Bytes of the stream, missing ones counted.", |r| numbers::<UInt64Type, _>(
            each(r).map(|one| one.map(|one| one.body.len))
        )),
        column!("path", Text, "Name of the file that `extract` wrote; null without.", |r| {
            text(each(r).map(|one| one.and_then(|one| one.path.as_deref())), |value, out| {
                out.push_str(value.unwrap_or(""));
                value.is_some()
            })
        }),
        column!(
            "sha256",
            Text,
            "SHA-256 of the bytes, NUL where they are missing; null where that is more than 16 MiB.",
            |r| {
                text(each(r).map(|one| one.and_then(|one| one.body.sha256)), |value, out| {
                    hex(value.as_ref().map_or(&[][..], |hash| &hash[..]), out);
                    value.is_some()
                })
            }
        ),
        column!(
            "complete",
            Bool,
            "Seen up to its FIN, nothing missing; false for what was given up while too many others were open.",
            |r| booleans(
                each(r).map(|one| one.map(|one| one.ended && one.body.missing.is_empty() && one.body.fault.is_none()))
            )
        ),
        column!("write_error", Dict, "Why `extract` did not write it; null if it did.", |r| {
            dictionary(each(r).map(|one| one.and_then(|one| one.write_error.as_deref())), |value, out| {
                out.push_str(value)
            })
        }),
        column!(
            "missing",
            ListText,
            "Ranges that were not captured: first-last byte, from 0; the 1,000th reaches to the end of the last.",
            |r| { ranges(each(r).map(|one| one.map_or(&[][..], |one| &one.body.missing))) }
        ),
    ]);
    all
}
