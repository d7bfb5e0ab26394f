//! Which values of a column are there: bits of a flat column, levels of a list.

use super::bits;
use arrow_array::Array;

/// Which values of a flat column are there: a bit each, lowest first, as Parquet packs levels 0 and 1.
#[derive(Default)]
pub struct Validity {
    words: Vec<u64>,
    len: usize,
    there: usize,
}

impl Validity {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many of them have no value.
    pub fn nulls(&self) -> usize {
        self.len - self.there
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.words.clear();
        (self.len, self.there) = (0, 0);
    }

    /// Adds the lowest `count` bits of `word`, at most 64; those above are 0.
    #[inline]
    pub fn push(&mut self, word: u64, count: usize) {
        let shift = self.len % 64;
        match self.words.last_mut() {
            Some(last) if shift > 0 => {
                *last |= word << shift;
                if shift + count > 64 {
                    self.words.push(word >> (64 - shift));
                }
            }
            _ if count > 0 => self.words.push(word),
            _ => {}
        }
        self.len += count;
        self.there += word.count_ones() as usize;
    }

    /// Leaves only the first `rows` rows; returns how many of them have a value.
    pub fn truncate(&mut self, rows: usize) -> usize {
        if rows < self.len {
            self.words.truncate(rows.div_ceil(64));
            if let (Some(last), beyond @ 1..) = (self.words.last_mut(), rows % 64) {
                *last &= (1 << beyond) - 1;
            }
            self.len = rows;
            self.there = self.words.iter().map(|word| word.count_ones() as usize).sum();
        }
        self.there
    }

    /// Adds the rows of an array.
    pub fn extend(&mut self, array: &dyn Array) {
        let nulls = array.logical_nulls();
        let bits = nulls.as_ref().map(|nulls| nulls.inner().bit_chunks());
        let whole = array.len() / 64;
        match bits {
            Some(bits) => {
                bits.iter().for_each(|word| self.push(word, 64));
                self.push(bits.remainder_bits(), bits.remainder_len());
            }
            None => {
                (0..whole).for_each(|_| self.push(u64::MAX, 64));
                self.push((1 << (array.len() % 64)) - 1, array.len() % 64);
            }
        }
    }

    /// Appends the levels with their length in front, as version 1 pages have them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        behind_its_length(out, |out| {
            if self.there == 0 || self.there == self.len {
                bits::equal_run(self.len, u64::from(self.there > 0), 1, out);
            } else {
                let bytes = self.len.div_ceil(8);
                bits::varint((bytes as u64) << 1 | 1, out);
                let end = out.len() + bytes;
                out.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
                out.truncate(end);
            }
        });
    }
}

/// Which values are there: runs of a level, kept short while nothing changes.
#[derive(Default)]
pub struct Levels {
    /// How many levels there are, and the value of all of them while they are equal.
    pub count: usize,
    value: u8,
    /// All of them, once they differ.
    mixed: Option<Vec<u8>>,
}

impl Levels {
    /// Adds a level.
    #[inline]
    pub fn push(&mut self, value: u8) {
        match &mut self.mixed {
            Some(mixed) => {
                mixed.push(value);
                self.count += 1;
            }
            None => self.repeat(value, 1),
        }
    }

    /// Adds a level so many times.
    pub fn repeat(&mut self, value: u8, count: usize) {
        if self.count == 0 {
            self.value = value;
        } else if value != self.value && self.mixed.is_none() && count > 0 {
            self.mixed = Some(vec![self.value; self.count]);
        }
        if let Some(mixed) = &mut self.mixed {
            mixed.resize(self.count + count, value);
        }
        self.count += count;
    }

    /// Adds so many levels.
    pub fn extend(&mut self, levels: impl Iterator<Item = u8>, count: usize) {
        self.mixed.get_or_insert_with(|| vec![self.value; self.count]).extend(levels);
        self.count += count;
    }

    /// Where the level `value` stands for the time number `nth`, from 0; behind the last if it does not.
    pub fn begin_of(&self, nth: usize, value: u8) -> usize {
        match &self.mixed {
            None if value == self.value => nth.min(self.count),
            None => self.count,
            Some(levels) => {
                let mut places = levels.iter().enumerate().filter(|(_, level)| **level == value);
                places.nth(nth).map_or(self.count, |(at, _)| at)
            }
        }
    }

    /// How often a level stands there.
    pub fn count_of(&self, value: u8) -> usize {
        match &self.mixed {
            None => {
                if value == self.value {
                    self.count
                } else {
                    0
                }
            }
            Some(levels) => levels.iter().filter(|level| **level == value).count(),
        }
    }

    /// Leaves only so many levels.
    pub fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
        if let Some(levels) = &mut self.mixed {
            levels.truncate(count);
        }
    }

    /// Appends the levels with their length in front, as version 1 pages have them.
    pub fn encode(&self, most: u8, out: &mut Vec<u8>) {
        let width = bits::width(u64::from(most));
        behind_its_length(out, |out| match &self.mixed {
            None => bits::equal_run(self.count, u64::from(self.value), width, out),
            Some(levels) => bits::packed_run(self.count, levels.iter().map(|level| u64::from(*level)), width, out),
        });
    }
}

/// Appends what `encode` does, with its length in 32 bits before it.
fn behind_its_length(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    encode(out);
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}
