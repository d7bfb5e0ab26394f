//! Rows straight into an encoder, without an Arrow array between.

use super::chunk::{Encoder, Shape, Values};
use super::levels::Validity;
pub use super::numbers::Bits;
use crate::table::column::Known;
use ahash::RandomState;
use hashbrown::HashMap;
use std::hash::Hash;

impl Encoder {
    /// Adds rows of a column of numbers.
    #[inline]
    pub fn numbers<V: Bits>(&mut self, rows: impl ExactSizeIterator<Item = Option<V>>) {
        let (Values::Numbers(out), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only columns of numbers are asked for numbers");
        };
        // Writes every value and keeps those that are there: no branch to mispredict.
        let mut at = out.len();
        out.resize(at + rows.len(), 0);
        note(valid, rows, |value| {
            let there = value.is_some();
            out[at] = value.map_or(0, Bits::bits);
            at += usize::from(there);
        });
        out.truncate(at);
    }

    /// Adds rows of a column of text, each written by `write` into a buffer that is reused; `false` makes it null.
    pub fn texts<I>(&mut self, rows: impl ExactSizeIterator<Item = I>, mut write: impl FnMut(I, &mut String) -> bool) {
        let (Values::Text { lengths, bytes }, Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only columns of text are asked for text");
        };
        let mut buffer = String::new();
        let rows = rows.map(|row| {
            buffer.clear();
            write(row, &mut buffer).then(|| {
                bytes.extend_from_slice(buffer.as_bytes());
                lengths.push(buffer.len() as u64);
            })
        });
        note(valid, rows, |_| ());
    }

    /// Adds rows of a dictionary column: `write` is called once for each distinct value of a chunk.
    pub fn dictionary<K: Hash + Eq + Send + 'static>(
        &mut self,
        rows: impl ExactSizeIterator<Item = Option<K>>,
        write: impl Fn(&K, &mut String),
    ) {
        let (Values::Dict(dictionary), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only dictionary columns are asked for values of a dictionary");
        };
        let codes = self.codes.get_or_insert_with(|| Box::new(HashMap::<K, u32, RandomState>::default()));
        let Some(codes) = codes.downcast_mut::<HashMap<K, u32, RandomState>>() else {
            unreachable!("a column has values of one type");
        };
        let mut buffer = String::new();
        note(valid, rows, |key| {
            if let Some(key) = key {
                let code = *codes.entry(key).or_insert_with_key(|key| {
                    buffer.clear();
                    write(key, &mut buffer);
                    dictionary.code(buffer.as_bytes())
                });
                dictionary.row(code);
            }
        });
    }

    /// The same for texts that exist already.
    pub fn names<'a>(&mut self, rows: impl ExactSizeIterator<Item = Option<&'a str>>) {
        let (Values::Dict(dictionary), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only dictionary columns are asked for names");
        };
        let mut known = Known::default();
        note(valid, rows, |name| {
            if let Some(name) = name {
                let code = known.code(name, |name| dictionary.code(name.as_bytes()));
                dictionary.row(code);
            }
        });
    }
}

/// Notes which rows are there, and does something with each.
#[inline]
fn note<V>(valid: &mut Validity, rows: impl ExactSizeIterator<Item = Option<V>>, mut each: impl FnMut(Option<V>)) {
    let (mut word, mut count) = (0, 0);
    for value in rows {
        word |= u64::from(value.is_some()) << count;
        each(value);
        count += 1;
        if count == 64 {
            valid.push(word, 64);
            (word, count) = (0, 0);
        }
    }
    valid.push(word, count);
}
