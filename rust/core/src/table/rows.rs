//! Tables of what streams said: their rows, the columns that all of them have, and the list of them.

use super::address::write_ip;
use super::column::{Column, Table, names, numbers, text, times};
use crate::app::content::Work;
use crate::app::{Found, Row, Wants, Who};
use crate::track::Points;
use arrow_array::ArrayRef;
use arrow_array::types::UInt16Type;

/// A run of rows of one table.
pub struct Rows<'a> {
    /// The rows; all of the kind that the table is of.
    pub rows: &'a [Row],
    /// Where they come from.
    pub points: &'a Points,
}

impl<'a> Rows<'a> {
    /// What was found, row by row; `get` picks the table's own kind.
    pub(super) fn each<T>(&self, get: fn(&'a Found) -> Option<&'a T>) -> impl ExactSizeIterator<Item = Option<&'a T>> {
        self.rows.iter().map(move |row| get(&row.found))
    }
}

/// Rows of streams.
pub struct Streams;

impl Table for Streams {
    type Rows<'a> = Rows<'a>;
}

/// A table of what streams said.
pub struct StreamTable {
    /// Name.
    pub name: &'static str,
    /// What must be looked for, where so much is done with bodies.
    pub wants: fn(Work) -> Wants,
    /// The columns that need more done with bodies than to count them.
    pub of_bodies: &'static [(&'static str, Work)],
    /// The columns.
    pub columns: fn() -> Vec<Column<Streams>>,
}

impl StreamTable {
    /// What must be done with bodies for these columns.
    pub(super) fn work(&self, columns: &[&Column<Streams>]) -> Work {
        let needed = self.of_bodies.iter().filter(|(name, _)| columns.iter().any(|column| column.name == *name));
        needed.map(|(_, work)| *work).max().unwrap_or_default()
    }
}

/// Every such table: a new one is its file and its line here.
pub static TABLES: &[StreamTable] = &[
    StreamTable {
        name: "http",
        wants: |bodies| Wants { http: true, bodies, ..Wants::NOTHING },
        of_bodies: &[("body_sha256", Work::Hash), ("complete", Work::Decode), ("reason", Work::Decode)],
        columns: super::http::columns,
    },
    StreamTable {
        name: "files",
        wants: |bodies| Wants { files: true, bodies, ..Wants::NOTHING },
        of_bodies: &[
            ("size", Work::Decode),
            ("sha256", Work::Hash),
            ("complete", Work::Decode),
            ("reason", Work::Decode),
        ],
        columns: super::files::columns,
    },
    StreamTable {
        name: "streams",
        wants: |bodies| Wants { raw: true, bodies, ..Wants::NOTHING },
        of_bodies: &[("sha256", Work::Hash)],
        columns: super::streams::columns,
    },
    StreamTable {
        name: "dns",
        wants: |_| Wants { dns: true, ..Wants::NOTHING },
        of_bodies: &[],
        columns: super::dns::columns,
    },
    StreamTable {
        name: "tls",
        wants: |_| Wants { tls: true, ..Wants::NOTHING },
        of_bodies: &[],
        columns: super::tls::columns,
    },
    StreamTable {
        name: "dhcp",
        wants: |_| Wants { dhcp: true, ..Wants::NOTHING },
        of_bodies: &[],
        columns: super::dhcp::columns,
    },
];

/// The table of that name with its columns.
#[must_use]
pub fn find(name: &str) -> Option<(&'static StreamTable, &'static [Column<Streams>])> {
    static ALL: std::sync::LazyLock<Vec<Vec<Column<Streams>>>> =
        std::sync::LazyLock::new(|| TABLES.iter().map(|table| (table.columns)()).collect());
    let at = TABLES.iter().position(|table| table.name == name)?;
    Some((&TABLES[at], &ALL[at]))
}

/// Declares one column.
macro_rules! column {
    ($name:literal, $kind:ident, $doc:literal, $fill:expr) => {
        Column::<Streams> { name: $name, kind: crate::table::column::Kind::$kind, doc: $doc, fill: $fill, direct: None }
    };
}
pub(super) use column;

fn address(rows: &Rows<'_>, get: fn(&Who) -> [u8; 16]) -> ArrayRef {
    super::column::dictionary(
        rows.rows.iter().map(|row| Some((row.who.family, get(&row.who)))),
        |(family, bytes), out| {
            write_ip(*family, bytes, out);
        },
    )
}

/// `uid ts`.
pub(super) fn whose() -> Vec<Column<Streams>> {
    vec![
        column!("uid", Text, "The flow.", |r| text(r.rows.iter(), |row, out| {
            row.who.uid.write(out);
            true
        })),
        column!("ts", Time, "Time of the first byte; null where the file records none.", |r| times(
            r.rows.iter().map(|row| row.first.time())
        )),
    ]
}

/// `netns interface`.
pub(super) fn point() -> Vec<Column<Streams>> {
    vec![
        column!("netns", Dict, "Network namespace of the capture point; null when the capture does not say.", |r| {
            names(r.rows.iter().map(|row| r.points.get(row.who.point).and_then(|p| p.netns.as_deref())))
        }),
        column!("interface", Dict, "Interface name; null when the capture does not say.", |r| {
            names(r.rows.iter().map(|row| r.points.get(row.who.point).and_then(|p| p.interface.as_deref())))
        }),
    ]
}

/// `orig_h orig_p resp_h resp_p`.
pub(super) fn ends() -> Vec<Column<Streams>> {
    vec![
        column!("orig_h", Dict, "The flow's originator.", |r| address(r, |who| who.orig)),
        column!("orig_p", U16, "Its port.", |r| numbers::<UInt16Type, _>(
            r.rows.iter().map(|row| Some(row.who.orig_p))
        )),
        column!("resp_h", Dict, "The flow's responder.", |r| address(r, |who| who.resp)),
        column!("resp_p", U16, "Its port.", |r| numbers::<UInt16Type, _>(
            r.rows.iter().map(|row| Some(row.who.resp_p))
        )),
    ]
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
