//! Where the rows of a column go: a column is declared once for arrays and for encoders.

use super::address::{write_ip, write_mac};
use super::column::{self, Table};
use super::parquet::chunk::Encoder;
use super::parquet::direct::Bits;
use arrow_array::ArrayRef;
use std::hash::Hash;

/// Takes the rows of one column: into an array, or straight into an encoder.
pub trait Sink {
    /// What becomes of them.
    type Out;
    /// As [`column::numbers`].
    fn numbers<V: Bits>(self, rows: impl ExactSizeIterator<Item = Option<V>>) -> Self::Out;
    /// The same of the rows that `there` has a bit for: 64 rows a word, the first in its lowest bit.
    fn present<R, V: Bits>(self, rows: &[R], there: impl Iterator<Item = u64>, get: impl Fn(&R) -> V) -> Self::Out;
    /// As [`column::times`].
    fn times(self, rows: impl ExactSizeIterator<Item = Option<i64>>) -> Self::Out;
    /// As [`column::booleans`].
    fn booleans(self, rows: impl ExactSizeIterator<Item = Option<bool>>) -> Self::Out;
    /// As [`column::lists`].
    fn lists<'a>(self, rows: impl ExactSizeIterator<Item = &'a [u16]>) -> Self::Out;
    /// As [`column::text`]; `write` appends UTF-8.
    fn texts<I>(self, rows: impl ExactSizeIterator<Item = I>, write: impl FnMut(I, &mut Vec<u8>) -> bool) -> Self::Out;
    /// As [`column::dictionary`].
    fn dictionary<K: Hash + Eq + Send + Sync + 'static>(
        self,
        rows: impl ExactSizeIterator<Item = Option<K>>,
        write: impl Fn(&K, &mut String),
    ) -> Self::Out;
    /// As [`column::names`].
    fn names<'a>(self, rows: impl ExactSizeIterator<Item = Option<&'a str>>) -> Self::Out;
    /// The same of `rows` rows those that `there` has a bit for.
    fn some_names<'a>(
        self,
        rows: usize,
        there: impl Iterator<Item = u64>,
        get: impl Fn(usize) -> Option<&'a str>,
    ) -> Self::Out;
    /// A dictionary of IP addresses, of `rows` rows those that `there` has a bit for: family, 4 or 6, and the bytes as a
    /// number, whose first 4 are an IPv4 address.
    fn addresses(
        self,
        rows: usize,
        there: impl Iterator<Item = u64>,
        get: impl Fn(usize) -> Option<(u8, u128)>,
    ) -> Self::Out;
    /// A dictionary of hardware addresses, likewise.
    fn macs(self, rows: usize, there: impl Iterator<Item = u64>, get: impl Fn(usize) -> Option<[u8; 6]>) -> Self::Out;
}

/// A bit for each of so many rows.
pub(super) fn every(rows: usize) -> impl Iterator<Item = u64> {
    (0..rows.div_ceil(64)).map(move |at| u64::MAX >> (64 - (rows - at * 64).min(64)))
}

/// An Arrow array.
pub struct Arrow;

impl Sink for Arrow {
    type Out = ArrayRef;
    fn numbers<V: Bits>(self, rows: impl ExactSizeIterator<Item = Option<V>>) -> ArrayRef {
        column::numbers::<V::Arrow, V>(rows)
    }
    fn present<R, V: Bits>(self, rows: &[R], there: impl Iterator<Item = u64>, get: impl Fn(&R) -> V) -> ArrayRef {
        column::numbers::<V::Arrow, V>(options(rows.len(), there, |at| rows.get(at).map(&get)))
    }
    fn times(self, rows: impl ExactSizeIterator<Item = Option<i64>>) -> ArrayRef {
        column::times(rows)
    }
    fn booleans(self, rows: impl ExactSizeIterator<Item = Option<bool>>) -> ArrayRef {
        column::booleans(rows)
    }
    fn lists<'a>(self, rows: impl ExactSizeIterator<Item = &'a [u16]>) -> ArrayRef {
        column::lists(rows)
    }
    fn texts<I>(
        self,
        rows: impl ExactSizeIterator<Item = I>,
        mut write: impl FnMut(I, &mut Vec<u8>) -> bool,
    ) -> ArrayRef {
        let mut bytes = Vec::new();
        column::text(rows, |row, out| {
            bytes.clear();
            let there = write(row, &mut bytes);
            out.push_str(&String::from_utf8_lossy(&bytes));
            there
        })
    }
    fn dictionary<K: Hash + Eq + Send + Sync + 'static>(
        self,
        rows: impl ExactSizeIterator<Item = Option<K>>,
        write: impl Fn(&K, &mut String),
    ) -> ArrayRef {
        column::dictionary(rows, write)
    }
    fn names<'a>(self, rows: impl ExactSizeIterator<Item = Option<&'a str>>) -> ArrayRef {
        column::names(rows)
    }
    fn some_names<'a>(
        self,
        rows: usize,
        there: impl Iterator<Item = u64>,
        get: impl Fn(usize) -> Option<&'a str>,
    ) -> ArrayRef {
        column::names(options(rows, there, get))
    }
    fn addresses(
        self,
        rows: usize,
        there: impl Iterator<Item = u64>,
        get: impl Fn(usize) -> Option<(u8, u128)>,
    ) -> ArrayRef {
        let write = |(family, address): &(u8, u128), out: &mut String| write_ip(*family, &address.to_be_bytes(), out);
        column::dictionary(options(rows, there, get), write)
    }
    fn macs(self, rows: usize, there: impl Iterator<Item = u64>, get: impl Fn(usize) -> Option<[u8; 6]>) -> ArrayRef {
        column::dictionary(options(rows, there, get), write_mac)
    }
}

/// The rows that are there, one by one.
fn options<V>(
    rows: usize,
    there: impl Iterator<Item = u64>,
    get: impl Fn(usize) -> Option<V>,
) -> impl ExactSizeIterator<Item = Option<V>> {
    let there: Vec<u64> = there.collect();
    (0..rows).map(move |at| if there[at / 64] >> (at % 64) & 1 == 1 { get(at) } else { None })
}

impl Sink for &mut Encoder {
    type Out = ();
    #[inline]
    fn numbers<V: Bits>(self, rows: impl ExactSizeIterator<Item = Option<V>>) {
        Encoder::numbers(self, rows);
    }
    #[inline]
    fn present<R, V: Bits>(self, rows: &[R], there: impl Iterator<Item = u64>, get: impl Fn(&R) -> V) {
        Encoder::present(self, rows, there, get);
    }
    fn times(self, rows: impl ExactSizeIterator<Item = Option<i64>>) {
        Encoder::numbers(self, rows);
    }
    fn booleans(self, rows: impl ExactSizeIterator<Item = Option<bool>>) {
        Encoder::booleans(self, rows);
    }
    fn lists<'a>(self, rows: impl ExactSizeIterator<Item = &'a [u16]>) {
        Encoder::lists(self, rows);
    }
    fn texts<I>(self, rows: impl ExactSizeIterator<Item = I>, write: impl FnMut(I, &mut Vec<u8>) -> bool) {
        Encoder::texts(self, rows, write);
    }
    fn dictionary<K: Hash + Eq + Send + Sync + 'static>(
        self,
        rows: impl ExactSizeIterator<Item = Option<K>>,
        write: impl Fn(&K, &mut String),
    ) {
        Encoder::dictionary(self, rows, write);
    }
    fn names<'a>(self, rows: impl ExactSizeIterator<Item = Option<&'a str>>) {
        Encoder::names(self, rows);
    }
    fn some_names<'a>(self, rows: usize, there: impl Iterator<Item = u64>, get: impl Fn(usize) -> Option<&'a str>) {
        Encoder::some_names(self, rows, there, get);
    }
    fn addresses(self, rows: usize, there: impl Iterator<Item = u64>, get: impl Fn(usize) -> Option<(u8, u128)>) {
        Encoder::addresses(self, rows, there, get);
    }
    fn macs(self, rows: usize, there: impl Iterator<Item = u64>, get: impl Fn(usize) -> Option<[u8; 6]>) {
        Encoder::macs(self, rows, there, get);
    }
}

/// Calls what puts a column into a sink: so its type is known.
pub(super) fn put<'a, T: Table, S: Sink>(
    rows: &T::Rows<'a>,
    sink: S,
    column: impl FnOnce(&T::Rows<'a>, S) -> S::Out,
) -> S::Out {
    column(rows, sink)
}

/// Declares one column of a table: what puts a run of rows into a [`Sink`].
macro_rules! column {
    ($table:ty, $name:literal, $kind:ident, $doc:literal, $put:expr) => {
        $crate::table::column::Column::<$table> {
            name: $name,
            kind: $crate::table::column::Kind::$kind,
            doc: $doc,
            fill: |rows| $crate::table::sink::put::<$table, _>(rows, $crate::table::sink::Arrow, $put),
            direct: Some(|rows, encoder| $crate::table::sink::put::<$table, _>(rows, encoder, $put)),
        }
    };
}
pub(super) use column as declare;
