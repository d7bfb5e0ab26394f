//! Rows straight into an encoder, without an Arrow array between.

use super::chunk::{Codes, Encoder, ITEM, Shape, Values};
use super::dictionary::Dictionary;
use super::levels::Validity;
pub use super::numbers::Bits;
use crate::table::address::{write_ip, write_mac};
use crate::table::column::Known;
use ahash::RandomState;
use hashbrown::HashMap;
use std::any::Any;
use std::hash::Hash;

/// Codes of a dictionary by what its texts stand for.
type By<K> = HashMap<K, u32, RandomState>;

impl<K: Send + Sync + 'static> Codes for By<K> {
    fn clear(&mut self) {
        HashMap::clear(self);
    }
}

/// Of IPv4 addresses apart, since what is looked up for each row should be small.
#[derive(Default)]
struct ByAddress {
    four: By<u32>,
    six: By<u128>,
}

impl Codes for ByAddress {
    fn clear(&mut self) {
        self.four.clear();
        self.six.clear();
    }
}

/// Of 64 rows, so few that the others are better left alone.
const FEW: u32 = 16;

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

    /// Adds the numbers of the rows that `there` has a bit for: 64 rows a word, the first in its lowest bit.
    #[inline]
    pub fn present<R, V: Bits>(&mut self, rows: &[R], there: impl Iterator<Item = u64>, get: impl Fn(&R) -> V) {
        let (Values::Numbers(out), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only columns of numbers are asked for numbers");
        };
        for (rows, there) in rows.chunks(64).zip(there) {
            valid.push(there, rows.len());
            if there.count_ones() as usize == rows.len() {
                out.extend(rows.iter().map(|row| get(row).bits()));
                continue;
            }
            if there.count_ones() < FEW {
                let mut left = there;
                while let Some(row) = rows.get(left.trailing_zeros() as usize) {
                    out.push(get(row).bits());
                    left &= left - 1;
                }
                continue;
            }
            // Writes every value and keeps those that are there: no branch to mispredict.
            let (mut values, mut at) = ([0; 64], 0);
            for (bit, row) in rows.iter().enumerate() {
                values[at % 64] = get(row).bits();
                at += (there >> bit & 1) as usize;
            }
            out.extend_from_slice(&values[..at]);
        }
    }

    /// Adds rows of a column of yes and no.
    pub fn booleans(&mut self, rows: impl ExactSizeIterator<Item = Option<bool>>) {
        let (Values::Bools(out), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only columns of yes and no are asked for them");
        };
        note(valid, rows, |value| out.extend(value));
    }

    /// Adds rows of a column of lists of 16-bit numbers; an empty one is null.
    pub fn lists<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [u16]>) {
        let (Values::Numbers(out), Shape::List { definition, repetition, nulls }) = (&mut self.values, &mut self.shape)
        else {
            unreachable!("only columns of lists of numbers are asked for them");
        };
        for items in rows {
            repetition.push(0);
            if items.is_empty() {
                definition.push(0);
                *nulls += 1;
                continue;
            }
            repetition.repeat(1, items.len() - 1);
            definition.repeat(ITEM, items.len());
            out.extend(items.iter().copied().map(u64::from));
        }
    }

    /// Adds rows of a column of text, each appended by `write`; `false` makes it null.
    pub fn texts<I>(&mut self, rows: impl ExactSizeIterator<Item = I>, mut write: impl FnMut(I, &mut Vec<u8>) -> bool) {
        let (Values::Text { lengths, bytes }, Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only columns of text are asked for text");
        };
        let rows = rows.map(|row| {
            let start = bytes.len();
            let there = write(row, bytes);
            if there {
                lengths.push((bytes.len() - start) as u64);
            } else {
                bytes.truncate(start);
            }
            there.then_some(())
        });
        note(valid, rows, |_| ());
    }

    /// Adds rows of a dictionary column: `write` is called once for each distinct value of a chunk.
    pub fn dictionary<K: Hash + Eq + Send + Sync + 'static>(
        &mut self,
        rows: impl ExactSizeIterator<Item = Option<K>>,
        write: impl Fn(&K, &mut String),
    ) {
        let (codes, dictionary, valid) = self.codes::<By<K>>();
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

    /// Adds rows of a dictionary column of IP addresses: family, 4 or 6, and the bytes as a number, whose first 4 are an
    /// IPv4 address.
    pub fn addresses(
        &mut self,
        rows: usize,
        there: impl Iterator<Item = u64>,
        get: impl Fn(usize) -> Option<(u8, u128)>,
    ) {
        let (codes, dictionary, valid) = self.codes::<ByAddress>();
        let mut buffer = Vec::new();
        some(valid, rows, there, get, |(family, address)| {
            let write = || {
                buffer.clear();
                write_ip(family, &address.to_be_bytes(), &mut buffer);
                dictionary.push(&buffer)
            };
            let code = match family {
                4 => *codes.four.entry((address >> 96) as u32).or_insert_with(write),
                _ => *codes.six.entry(address).or_insert_with(write),
            };
            dictionary.row(code);
        });
    }

    /// Adds rows of a dictionary column of hardware addresses.
    pub fn macs(&mut self, rows: usize, there: impl Iterator<Item = u64>, get: impl Fn(usize) -> Option<[u8; 6]>) {
        // As numbers, which hash faster than bytes.
        let (codes, dictionary, valid) = self.codes::<By<u64>>();
        let mut buffer = Vec::new();
        some(valid, rows, there, get, |mac| {
            let [a, b, c, d, e, f] = mac;
            let code = *codes.entry(u64::from_be_bytes([0, 0, a, b, c, d, e, f])).or_insert_with(|| {
                buffer.clear();
                write_mac(&mac, &mut buffer);
                dictionary.push(&buffer)
            });
            dictionary.row(code);
        });
    }

    /// What a dictionary column remembers, its texts, and which rows are there.
    fn codes<C: Default + Codes>(&mut self) -> (&mut C, &mut Dictionary, &mut Validity) {
        let (Values::Dict(dictionary), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only dictionary columns are asked for values of a dictionary");
        };
        // Those that a chunk before has left may be of another type; a column has values of one.
        if !self.codes.as_ref().is_some_and(|codes| (&**codes as &dyn Any).is::<C>()) {
            self.codes = Some(Box::new(C::default()));
        }
        let codes = self.codes.as_mut().and_then(|codes| (&mut **codes as &mut dyn Any).downcast_mut());
        let Some(codes) = codes else { unreachable!("they have just been looked at") };
        (codes, dictionary, valid)
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

    /// The same of `rows` rows those that `there` has a bit for; those that have none after all are null.
    pub fn some_names<'a>(
        &mut self,
        rows: usize,
        there: impl Iterator<Item = u64>,
        get: impl Fn(usize) -> Option<&'a str>,
    ) {
        let (Values::Dict(dictionary), Shape::Flat(valid)) = (&mut self.values, &mut self.shape) else {
            unreachable!("only dictionary columns are asked for names");
        };
        let mut known = Known::default();
        some(valid, rows, there, get, |name| {
            let code = known.code(name, |name| dictionary.code(name.as_bytes()));
            dictionary.row(code);
        });
    }

    /// Leaves only the first `rows` rows, while none of the pages has ended.
    pub fn truncate(&mut self, rows: usize) {
        debug_assert!(!self.has_pages(), "rows of pages that have ended cannot be taken back");
        let there = match &mut self.shape {
            Shape::Flat(valid) => valid.truncate(rows),
            Shape::List { definition, repetition, nulls } => {
                let levels = repetition.begin_of(rows, 0);
                repetition.truncate(levels);
                definition.truncate(levels);
                let items = definition.count_of(ITEM);
                *nulls = (levels - items) as u64;
                items
            }
        };
        match &mut self.values {
            Values::Numbers(numbers) => numbers.truncate(there),
            Values::Bools(bools) => bools.truncate(there),
            Values::Text { lengths, bytes } => {
                lengths.truncate(there);
                bytes.truncate(lengths.iter().sum::<u64>() as usize);
            }
            Values::Dict(dictionary) => dictionary.truncate(there),
        }
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

/// Does something with each of `rows` rows that `there` has a bit for, and notes those that have a value.
#[inline]
fn some<V>(
    valid: &mut Validity,
    rows: usize,
    there: impl Iterator<Item = u64>,
    get: impl Fn(usize) -> Option<V>,
    mut each: impl FnMut(V),
) {
    for (from, mut there) in (0..rows).step_by(64).zip(there) {
        let mut left = there;
        while left != 0 {
            let at = left.trailing_zeros();
            match get(from + at as usize) {
                Some(value) => each(value),
                None => there &= !(1 << at),
            }
            left &= left - 1;
        }
        valid.push(there, (rows - from).min(64));
    }
}
