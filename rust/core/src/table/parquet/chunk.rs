//! One column of one row group: Arrow arrays in, the bytes of a Parquet column chunk out.
//!
//! Each type has one encoding, chosen by what the tables hold: deltas for integers, dictionaries for the columns that
//! are dictionaries already, lengths apart from bytes for text. One page a chunk: a row group has a bounded size.

use super::bits;
use super::dictionary::Dictionary;
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

/// Values of a column so far, nulls left out.
enum Values {
    /// Integers, and doubles by their bits.
    Numbers(Vec<u64>),
    Bools(Vec<bool>),
    Text {
        lengths: Vec<u64>,
        bytes: Vec<u8>,
    },
    Dict(Dictionary),
}

/// How the bits of a number are ordered, and how many Parquet gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Unsigned32,
    Unsigned64,
    Signed64,
    Double,
}

/// Which values are there: runs of a level, kept short while nothing changes.
#[derive(Default)]
struct Levels {
    /// How many levels there are, and the value of all of them while they are equal.
    count: usize,
    value: u8,
    /// All of them, once they differ.
    mixed: Option<Vec<u8>>,
}

impl Levels {
    fn repeat(&mut self, value: u8, count: usize) {
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

    fn extend(&mut self, levels: impl Iterator<Item = u8>, count: usize) {
        self.mixed.get_or_insert_with(|| vec![self.value; self.count]).extend(levels);
        self.count += count;
    }

    /// Appends the levels with their length in front, as version 1 pages have them.
    fn encode(&self, most: u8, out: &mut Vec<u8>) {
        let width = bits::width(u64::from(most));
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match &self.mixed {
            None => bits::equal_run(self.count, u64::from(self.value), width, out),
            Some(levels) => bits::packed_run(self.count, levels.iter().map(|level| u64::from(*level)), width, out),
        }
        let len = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// Buffers that one chunk has left for the next: fresh memory costs more than filling it.
#[derive(Default)]
pub struct Spare {
    numbers: Vec<Vec<u64>>,
    page: Vec<u8>,
}

impl Spare {
    fn take(&mut self, rows: usize) -> Vec<u64> {
        let mut numbers = self.numbers.pop().unwrap_or_default();
        numbers.reserve(rows);
        numbers
    }

    fn keep(&mut self, mut numbers: Vec<u64>) {
        numbers.clear();
        self.numbers.push(numbers);
    }
}

/// A column chunk in the making.
pub struct Encoder {
    values: Values,
    number: Number,
    definition: Levels,
    /// For lists only: whether an item goes on with the row before.
    repetition: Option<Levels>,
    nulls: u64,
}

/// An encoded column chunk.
pub struct Chunk {
    /// Dictionary page, if any, and data page.
    pub bytes: Vec<u8>,
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
            DataType::Dictionary(_, _) => (Values::Dict(Dictionary::default()), Number::Unsigned32),
            other => return Err(ParquetError::NYI(format!("a column of type {other}"))),
        };
        let repetition = list.then(Levels::default);
        Ok(Self { values, number, definition: Levels::default(), repetition, nulls: 0 })
    }

    /// About how many bytes it holds.
    pub fn size(&self) -> usize {
        match &self.values {
            Values::Numbers(numbers) => numbers.len() * 8,
            Values::Bools(bools) => bools.len(),
            Values::Text { lengths, bytes } => lengths.len() * 8 + bytes.len(),
            Values::Dict(dictionary) => dictionary.size(),
        }
    }

    /// Adds the rows of an array.
    pub fn append(&mut self, array: &ArrayRef) {
        let Some(repetition) = &mut self.repetition else {
            self.nulls += define(&mut self.definition, array.as_ref(), 0);
            take(&mut self.values, array);
            return;
        };
        // Definition levels of a list that may be null with items that may be: null, empty, null item, item.
        let lists = array.as_list::<i32>();
        let offsets = lists.value_offsets();
        for (row, bounds) in offsets.windows(2).enumerate() {
            let (start, end) = (bounds[0] as usize, bounds[1] as usize);
            if lists.is_null(row) || start == end {
                repetition.repeat(0, 1);
                self.definition.repeat(u8::from(!lists.is_null(row)), 1);
                self.nulls += 1;
                continue;
            }
            repetition.repeat(0, 1);
            repetition.repeat(1, end - start - 1);
            let items = lists.values().slice(start, end - start);
            self.nulls += define(&mut self.definition, items.as_ref(), 2);
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

    /// Ends the chunk.
    ///
    /// # Errors
    /// A page beyond 2 GiB.
    pub fn close(self, spare: &mut Spare) -> Result<Chunk> {
        let mut page = std::mem::take(&mut spare.page);
        let mut bytes = Vec::new();
        if let Some(repetition) = &self.repetition {
            repetition.encode(1, &mut page);
        }
        self.definition.encode(if self.repetition.is_some() { 3 } else { 1 }, &mut page);
        let mut dictionary = 0;
        let nulls = Some(self.nulls);
        let (encoding, statistics) = match &self.values {
            Values::Numbers(numbers) => encode_numbers(numbers, self.number, nulls, &mut page),
            Values::Bools(bools) => {
                let (least, most) = (bools.iter().min().copied(), bools.iter().max().copied());
                bits::pack(bools.iter().map(|value| u64::from(*value)), 1, &mut page);
                (Encoding::PLAIN, Statistics::boolean(least, most, None, nulls, false))
            }
            Values::Text { lengths, bytes } => {
                bits::deltas::<true>(lengths, &mut page);
                page.extend_from_slice(bytes);
                (Encoding::DELTA_LENGTH_BYTE_ARRAY, Statistics::byte_array(None, None, None, nulls, false))
            }
            Values::Dict(entries) => {
                let (least, most) = entries.bounds().map_or((None, None), |(least, most)| (Some(least), Some(most)));
                let statistics = Statistics::byte_array(least.map(text), most.map(text), None, nulls, false);
                if entries.is_empty() {
                    (Encoding::PLAIN, statistics)
                } else {
                    let count = entries.len();
                    entries.encode(&mut page);
                    bytes.reserve(entries.page().len() + page.len() + 2 * HEADER);
                    header(entries.page().len(), Page::Dictionary { count }, &mut bytes)?;
                    bytes.extend_from_slice(entries.page());
                    dictionary = bytes.len();
                    (Encoding::RLE_DICTIONARY, statistics)
                }
            }
        };
        bytes.reserve_exact(page.len() + HEADER);
        header(page.len(), Page::Data { count: self.definition.count, encoding }, &mut bytes)?;
        bytes.append(&mut page);
        spare.page = page;
        if let Values::Numbers(numbers) | Values::Text { lengths: numbers, .. } = self.values {
            spare.keep(numbers);
        }
        let mut encodings = vec![encoding, Encoding::RLE];
        if dictionary > 0 {
            encodings.push(Encoding::PLAIN);
        }
        Ok(Chunk { bytes, dictionary, values: self.definition.count, encodings, statistics })
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
            for (value, there) in array.values().iter().zip(valid) {
                out[at] = widen(*value);
                at += usize::from(there);
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

/// Integers as deltas, unless they are spread so widely that it would not pay; doubles as they are.
fn encode_numbers(numbers: &[u64], number: Number, nulls: Option<u64>, page: &mut Vec<u8>) -> (Encoding, Statistics) {
    let none = numbers.is_empty();
    let bounds = |flip: u64| {
        let (least, most) = numbers.iter().fold((u64::MAX, 0), |(least, most), value| {
            let value = value ^ flip;
            (value.min(least), value.max(most))
        });
        (most.wrapping_sub(least), (!none).then_some(least ^ flip), (!none).then_some(most ^ flip))
    };
    let long = |value: Option<u64>| value.map(|value| value as i64);
    let (spread, statistics) = match number {
        Number::Unsigned32 => {
            let (spread, least, most) = bounds(0);
            let int = |value: Option<u64>| value.map(|value| value as u32 as i32);
            (spread, Statistics::int32(int(least), int(most), None, nulls, false))
        }
        Number::Unsigned64 => {
            let (spread, least, most) = bounds(0);
            (spread, Statistics::int64(long(least), long(most), None, nulls, false))
        }
        Number::Signed64 => {
            // With the sign bit turned over, signed numbers are ordered as unsigned ones.
            let (spread, least, most) = bounds(1 << 63);
            (spread, Statistics::int64(long(least), long(most), None, nulls, false))
        }
        Number::Double => {
            let (least, most) = numbers
                .iter()
                .map(|bits| f64::from_bits(*bits))
                .filter(|value| !value.is_nan())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (value.min(least), value.max(most)));
            let there = least <= most;
            // Zero has two signs, and a reader may take either for the bound.
            let (least, most) = (if least == 0.0 { -0.0 } else { least }, if most == 0.0 { 0.0 } else { most });
            (u64::MAX, Statistics::double(there.then_some(least), there.then_some(most), None, nulls, false))
        }
    };
    match number {
        Number::Unsigned32 if spread < 1 << 28 || none => bits::deltas::<true>(numbers, page),
        Number::Unsigned64 | Number::Signed64 if spread < 1 << 56 || none => bits::deltas::<false>(numbers, page),
        Number::Unsigned32 => {
            page.extend(numbers.iter().flat_map(|value| (*value as u32).to_le_bytes()));
            return (Encoding::PLAIN, statistics);
        }
        _ => {
            page.extend(numbers.iter().flat_map(|value| value.to_le_bytes()));
            return (Encoding::PLAIN, statistics);
        }
    }
    (Encoding::DELTA_BINARY_PACKED, statistics)
}

/// More bytes than any page header has.
const HEADER: usize = 64;

enum Page {
    Dictionary { count: usize },
    Data { count: usize, encoding: Encoding },
}

/// Appends a page header: Thrift's compact protocol.
/// Source: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>
fn header(len: usize, page: Page, out: &mut Vec<u8>) -> Result<()> {
    const I32: u8 = 5;
    const STRUCT: u8 = 12;
    let len = i32::try_from(len).map_err(|_| ParquetError::General(format!("a page of {len} bytes")))?;
    // The high half of a field's first byte says how far its number is behind the one before.
    let int = |value: i32, out: &mut Vec<u8>| {
        out.push(1 << 4 | I32);
        bits::zigzag(i64::from(value), out);
    };
    int(if matches!(page, Page::Dictionary { .. }) { 2 } else { 0 }, out);
    int(len, out);
    int(len, out);
    match page {
        Page::Data { count, encoding } => {
            out.push(2 << 4 | STRUCT);
            int(count as i32, out);
            int(encoding as i32, out);
            int(Encoding::RLE as i32, out);
            int(Encoding::RLE as i32, out);
        }
        Page::Dictionary { count } => {
            out.push(4 << 4 | STRUCT);
            int(count as i32, out);
            int(Encoding::PLAIN as i32, out);
        }
    }
    out.extend_from_slice(&[0, 0]);
    Ok(())
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
