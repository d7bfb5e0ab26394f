//! One column of one row group: Arrow arrays in, the bytes of a Parquet column chunk out.
//!
//! Each type has one encoding, chosen by what the tables hold: deltas for integers, dictionaries for the columns that
//! are dictionaries already, lengths apart from bytes for text.

use super::bits;
use super::dictionary::Dictionary;
use super::levels::{Levels, Validity};
use super::numbers::{self, Bounds, Number, encode_numbers};
use super::page::{HEADER, Page, PageBytes};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::statistics::Statistics;
use std::any::Any;
use std::collections::VecDeque;

/// Values of a column so far, nulls left out.
pub(super) enum Values {
    /// Integers, and doubles by their bits.
    Numbers(Vec<u64>),
    Bools(Vec<bool>),
    Text {
        lengths: Vec<u64>,
        bytes: Vec<u8>,
    },
    Dict(Dictionary),
}

/// Buffers that one chunk has left for the next: fresh memory costs more than filling it.
#[derive(Default)]
pub struct Spare {
    numbers: Vec<Vec<u64>>,
    /// In the order of the columns, which is that in which the next ones are made.
    dictionaries: VecDeque<(Dictionary, Option<Box<dyn Codes>>)>,
}

/// Codes of a dictionary by what its texts stand for: a map whose key the column alone knows.
pub(super) trait Codes: Any + Send + Sync {
    /// Forgets all and keeps the memory.
    fn clear(&mut self);
}

impl Spare {
    fn take(&mut self, rows: usize) -> Vec<u64> {
        let mut numbers = self.numbers.pop().unwrap_or_default();
        numbers.reserve(rows);
        numbers
    }

    /// Takes the buffers of another.
    pub fn take_from(&mut self, other: &mut Self) {
        self.numbers.append(&mut other.numbers);
        self.dictionaries.append(&mut other.dictionaries);
    }

    fn keep(&mut self, mut numbers: Vec<u64>) {
        numbers.clear();
        self.numbers.push(numbers);
    }

    fn keep_dictionary(&mut self, mut dictionary: Dictionary, mut codes: Option<Box<dyn Codes>>) {
        dictionary.clear();
        codes.iter_mut().for_each(|codes| codes.clear());
        self.dictionaries.push_back((dictionary, codes));
    }
}

/// A column chunk in the making.
pub struct Encoder {
    pub(super) values: Values,
    number: Number,
    pub(super) shape: Shape,
    pub(super) codes: Option<Box<dyn Codes>>,
    /// Data pages that are whole, what they use, and what they hold.
    pages: Vec<PageBytes>,
    encodings: Vec<Encoding>,
    bounds: Bounds,
    count: usize,
    nulls: u64,
}

/// Bytes of a page beside its levels and values.
const MARGIN: usize = 64;

/// Values of a page: what waits of all columns of the flow table is little more than the second-level cache.
pub const PAGE: usize = 2048;

/// Which values are there.
pub(super) enum Shape {
    Flat(Validity),
    /// Definition levels, and whether an item goes on with the row before.
    List {
        definition: Levels,
        repetition: Levels,
        nulls: u64,
    },
}

/// Definition level of an item of a list: null, empty, null item, item.
pub(super) const ITEM: u8 = 3;

/// An encoded column chunk.
pub struct Chunk {
    /// Dictionary page, if any, and data pages.
    pub pages: Vec<PageBytes>,
    /// Length of the dictionary page; 0 without.
    pub dictionary: usize,
    /// Values, nulls included.
    pub values: usize,
    /// Encodings used.
    pub encodings: Vec<Encoding>,
    /// Smallest, largest, number of nulls.
    pub statistics: Statistics,
}

impl Encoder {
    /// For about so many rows of a column of this Arrow type.
    ///
    /// # Errors
    /// A type that no table has.
    pub fn new(data_type: &DataType, rows: usize, spare: &mut Spare) -> Result<Self> {
        let (leaf, list) = match data_type {
            DataType::List(item) => (item.data_type(), true),
            other => (other, false),
        };
        let mut codes = None;
        let (values, number) = match leaf {
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
                (Values::Numbers(spare.take(rows)), Number::Unsigned32)
            }
            DataType::UInt64 => (Values::Numbers(spare.take(rows)), Number::Unsigned64),
            DataType::Int64 | DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                (Values::Numbers(spare.take(rows)), Number::Signed64)
            }
            DataType::Float64 => (Values::Numbers(spare.take(rows)), Number::Double),
            DataType::Boolean => (Values::Bools(Vec::new()), Number::Unsigned32),
            DataType::Utf8 => {
                (Values::Text { lengths: spare.take(rows), bytes: Vec::with_capacity(rows * 20) }, Number::Unsigned32)
            }
            DataType::Dictionary(_, _) => {
                let (dictionary, own) = spare.dictionaries.pop_front().unwrap_or_default();
                codes = own;
                (Values::Dict(dictionary), Number::Unsigned32)
            }
            other => return Err(ParquetError::NYI(format!("a column of type {other}"))),
        };
        let shape = if list {
            Shape::List { definition: Levels::default(), repetition: Levels::default(), nulls: 0 }
        } else {
            Shape::Flat(Validity::default())
        };
        Ok(Self {
            values,
            number,
            shape,
            codes,
            pages: Vec::new(),
            encodings: Vec::new(),
            bounds: Bounds::default(),
            count: 0,
            nulls: 0,
        })
    }

    /// About how many bytes it holds.
    pub fn size(&self) -> usize {
        let values = match &self.values {
            Values::Numbers(numbers) => numbers.len() * 8,
            Values::Bools(bools) => bools.len(),
            Values::Text { lengths, bytes } => lengths.len() * 8 + bytes.len(),
            Values::Dict(dictionary) => dictionary.size(),
        };
        self.pages.iter().map(|page| page.bytes().len()).sum::<usize>() + values
    }

    /// Adds the rows of an array.
    pub fn append(&mut self, array: &ArrayRef) {
        let (definition, repetition, nulls) = match &mut self.shape {
            Shape::Flat(valid) => {
                valid.extend(array.as_ref());
                take(&mut self.values, array);
                return;
            }
            Shape::List { definition, repetition, nulls } => (definition, repetition, nulls),
        };
        let lists = array.as_list::<i32>();
        let offsets = lists.value_offsets();
        for (row, bounds) in offsets.windows(2).enumerate() {
            let (start, end) = (bounds[0] as usize, bounds[1] as usize);
            if lists.is_null(row) || start == end {
                repetition.repeat(0, 1);
                definition.repeat(u8::from(!lists.is_null(row)), 1);
                *nulls += 1;
                continue;
            }
            repetition.repeat(0, 1);
            repetition.repeat(1, end - start - 1);
            let items = lists.values().slice(start, end - start);
            *nulls += define(definition, items.as_ref(), ITEM - 1);
            if lists.null_count() > 0 {
                take(&mut self.values, &items); // one by one: a list that is null may hide items
            }
        }
        if lists.null_count() > 0 {
            return;
        }
        let (start, end) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
        take(&mut self.values, &lists.values().slice(start as usize, (end - start) as usize));
    }

    /// Ends a page, if there are rows enough for one: so what is kept of a row group is mostly encoded bytes.
    ///
    /// # Errors
    /// A page beyond 2 GiB.
    pub fn turn_page(&mut self) -> Result<()> {
        if self.on_page() >= PAGE { self.end_page() } else { Ok(()) }
    }

    /// Whether a page has ended.
    pub(super) fn has_pages(&self) -> bool {
        self.count > 0
    }

    /// Values of the page at hand, nulls included.
    fn on_page(&self) -> usize {
        match &self.shape {
            Shape::Flat(valid) => valid.len(),
            Shape::List { definition, .. } => definition.count,
        }
    }

    fn end_page(&mut self) -> Result<()> {
        let bounds = match &self.values {
            Values::Numbers(numbers) => Bounds::of(numbers, self.number),
            _ => Bounds::default(),
        };
        let mut bytes = Vec::with_capacity(HEADER + self.on_page() / 8 + MARGIN + self.most_bytes(bounds));
        bytes.resize(HEADER, 0);
        let page = &mut bytes;
        let (count, nulls) = match &mut self.shape {
            Shape::Flat(valid) => {
                valid.encode(page);
                let counts = (valid.len(), valid.nulls() as u64);
                valid.clear();
                counts
            }
            Shape::List { definition, repetition, nulls } => {
                repetition.encode(1, page);
                definition.encode(ITEM, page);
                let count = definition.count;
                (*definition, *repetition) = (Levels::default(), Levels::default());
                (count, std::mem::take(nulls))
            }
        };
        let encoding = match &mut self.values {
            Values::Numbers(numbers) => {
                self.bounds = self.bounds.join(bounds);
                let encoding = encode_numbers(numbers, self.number, bounds, page);
                numbers.clear();
                encoding
            }
            Values::Bools(bools) => {
                bools
                    .iter()
                    .for_each(|value| self.bounds = self.bounds.join(Bounds::of(&[u64::from(*value)], self.number)));
                bits::pack(bools.iter().map(|value| u64::from(*value)), 1, page);
                bools.clear();
                Encoding::PLAIN
            }
            Values::Text { lengths, bytes } => {
                bits::deltas::<true>(lengths, page);
                page.extend_from_slice(bytes);
                lengths.clear();
                bytes.clear();
                Encoding::DELTA_LENGTH_BYTE_ARRAY
            }
            // No value yet, so no codes; and maybe no dictionary page in the end.
            Values::Dict(dictionary) if dictionary.is_empty() => Encoding::PLAIN,
            Values::Dict(dictionary) => {
                dictionary.encode(page);
                Encoding::RLE_DICTIONARY
            }
        };
        self.pages.push(PageBytes::new(bytes, Page::Data { count, encoding })?);
        self.count += count;
        self.nulls += nulls;
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
        Ok(())
    }

    /// About how many bytes the values of the page at hand take at most, encoded.
    fn most_bytes(&self, bounds: Bounds) -> usize {
        match &self.values {
            Values::Numbers(numbers) => numbers::most_bytes(numbers.len(), self.number, bounds),
            Values::Bools(bools) => bools.len() / 8,
            Values::Text { lengths, bytes } => 4 * lengths.len() + bytes.len(),
            Values::Dict(dictionary) => dictionary.most_bytes(),
        }
    }

    /// Ends the chunk.
    ///
    /// # Errors
    /// A page beyond 2 GiB.
    pub fn close(mut self, spare: &mut Spare) -> Result<Chunk> {
        if self.on_page() > 0 || self.count == 0 {
            self.end_page()?;
        }
        let nulls = Some(self.nulls);
        let (mut pages, mut dictionary) = (self.pages, 0);
        let statistics = match &mut self.values {
            Values::Numbers(_) => self.bounds.statistics(self.number, nulls),
            Values::Bools(_) => {
                let (least, most) = self.bounds.ends(self.number);
                Statistics::boolean(least.map(|bit| bit > 0), most.map(|bit| bit > 0), None, nulls, false)
            }
            Values::Text { .. } => Statistics::byte_array(None, None, None, nulls, false),
            Values::Dict(entries) => {
                let (least, most) = entries.bounds().map_or((None, None), |(least, most)| (Some(least), Some(most)));
                let statistics = Statistics::byte_array(least.map(text), most.map(text), None, nulls, false);
                if !entries.is_empty() {
                    let page = PageBytes::new(entries.take_page(), Page::Dictionary { count: entries.len() })?;
                    dictionary = page.bytes().len();
                    pages.insert(0, page);
                }
                statistics
            }
        };
        match self.values {
            Values::Numbers(numbers) | Values::Text { lengths: numbers, .. } => spare.keep(numbers),
            Values::Dict(dictionary) => spare.keep_dictionary(dictionary, self.codes),
            Values::Bools(_) => {}
        }
        let mut encodings = self.encodings;
        encodings.push(Encoding::RLE);
        if dictionary > 0 && !encodings.contains(&Encoding::PLAIN) {
            encodings.push(Encoding::PLAIN);
        }
        Ok(Chunk { pages, dictionary, values: self.count, encodings, statistics })
    }
}

fn text(bytes: &[u8]) -> ByteArray {
    ByteArray::from(bytes.to_vec())
}

/// Notes which values of an array are there: level `null` or `null + 1`. Returns how many are not.
fn define(levels: &mut Levels, array: &dyn Array, null: u8) -> u64 {
    let nulls = array.logical_null_count();
    if nulls == 0 {
        levels.repeat(null + 1, array.len());
    } else if nulls == array.len() {
        levels.repeat(null, nulls);
    } else if let Some(valid) = array.logical_nulls() {
        levels.extend(valid.iter().map(|there| null + u8::from(there)), array.len());
    }
    nulls as u64
}

/// Adds the values that are there.
fn take(values: &mut Values, array: &ArrayRef) {
    if array.logical_null_count() == array.len() {
        return;
    }
    match (values, array.data_type()) {
        (Values::Numbers(out), DataType::UInt8) => numbers::<UInt8Type>(array, out, u64::from),
        (Values::Numbers(out), DataType::UInt16) => numbers::<UInt16Type>(array, out, u64::from),
        (Values::Numbers(out), DataType::UInt32) => numbers::<UInt32Type>(array, out, u64::from),
        (Values::Numbers(out), DataType::UInt64) => numbers::<UInt64Type>(array, out, |value| value),
        (Values::Numbers(out), DataType::Int64) => numbers::<Int64Type>(array, out, |value| value as u64),
        (Values::Numbers(out), DataType::Float64) => numbers::<Float64Type>(array, out, f64::to_bits),
        (Values::Numbers(out), _) => numbers::<TimestampNanosecondType>(array, out, |value| value as u64),
        (Values::Bools(out), _) => out.extend(array.as_boolean().iter().flatten()),
        (Values::Text { lengths, bytes }, _) => strings(array.as_string::<i32>(), lengths, bytes),
        (Values::Dict(dictionary), _) => dictionary.append(array.as_dictionary()),
    }
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, out: &mut Vec<u64>, widen: fn(T::Native) -> u64) {
    let array = array.as_primitive::<T>();
    match array.nulls() {
        Some(valid) if valid.null_count() > 0 => {
            // Writes every value and keeps those that are there: no branch to mispredict.
            let mut at = out.len();
            out.resize(at + array.len(), 0);
            let bits = valid.inner().bit_chunks();
            for (values, word) in array.values().chunks(64).zip(bits.iter_padded()) {
                for (bit, value) in values.iter().enumerate() {
                    out[at] = widen(*value);
                    at += (word >> bit & 1) as usize;
                }
            }
            out.truncate(at);
        }
        _ => out.extend(array.values().iter().map(|value| widen(*value))),
    }
}

fn strings(array: &StringArray, lengths: &mut Vec<u64>, bytes: &mut Vec<u8>) {
    // A null has no bytes, so the values lie one behind the other whatever is missing.
    let offsets = array.value_offsets();
    let (start, end) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    bytes.extend_from_slice(&array.value_data()[start as usize..end as usize]);
    lengths.extend(
        offsets
            .windows(2)
            .enumerate()
            .filter(|(row, _)| array.is_valid(*row))
            .map(|(_, pair)| (pair[1] - pair[0]) as u64),
    );
}

/// The physical type that Parquet's schema must have for a column, as a check that encoder and schema agree.
pub fn physical(encoder: &Encoder) -> Type {
    match (&encoder.values, encoder.number) {
        (Values::Numbers(_), Number::Unsigned32) => Type::INT32,
        (Values::Numbers(_), Number::Double) => Type::DOUBLE,
        (Values::Numbers(_), _) => Type::INT64,
        (Values::Bools(_), _) => Type::BOOLEAN,
        (Values::Text { .. } | Values::Dict(_), _) => Type::BYTE_ARRAY,
    }
}
