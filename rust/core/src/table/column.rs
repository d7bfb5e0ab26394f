//! A column: its name, type and meaning in one place, and how a run of rows becomes an Arrow array.

use super::parquet::chunk::Encoder;
use ahash::RandomState;
use arrow_array::builder::{ListBuilder, StringBuilder, UInt16Builder, UInt32Builder};
use arrow_array::types::{ArrowPrimitiveType, Int32Type};
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use hashbrown::HashMap;
use std::collections::HashMap as StdHashMap;
use std::hash::Hash;
use std::sync::Arc;

/// The types that columns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Boolean.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits: durations in nanoseconds.
    Nanos,
    /// Floating point, 64 bits.
    F64,
    /// Text, each value its own.
    Text,
    /// Text, dictionary-encoded.
    Dict,
    /// `timestamp[ns, UTC]`.
    Time,
    /// List of unsigned 16 bits.
    ListU16,
    /// List of unsigned 32 bits.
    ListU32,
    /// List of text.
    ListText,
}

impl Kind {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::Nanos => DataType::Int64,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Dict => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::ListU16 => DataType::List(Arc::new(Field::new("item", DataType::UInt16, true))),
            Self::ListU32 => DataType::List(Arc::new(Field::new("item", DataType::UInt32, true))),
            Self::ListText => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        }
    }
}

/// A table: what a run of its rows is made from.
pub trait Table {
    /// A run of rows.
    type Rows<'a>;
}

/// Makes the array of a column for a run of rows.
pub type Fill<T> = for<'a, 'b> fn(&'b <T as Table>::Rows<'a>) -> ArrayRef;

/// Adds a run of rows to the encoder of a column, without an array between.
pub type Direct<T> = for<'a, 'b> fn(&'b <T as Table>::Rows<'a>, &mut Encoder);

/// One column of a table.
pub struct Column<T: Table> {
    /// Name, as the contract has it.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// What it means: unit, source, when it is null.
    pub doc: &'static str,
    /// Makes the array for a run of rows.
    pub fill: Fill<T>,
    /// The same straight into an encoder, where that is quicker.
    pub direct: Option<Direct<T>>,
}

impl<T: Table> Column<T> {
    /// Adds a run of rows to an encoder of this column, the quicker way.
    pub fn encode(&self, rows: &T::Rows<'_>, encoder: &mut Encoder) {
        match self.direct {
            Some(direct) => direct(rows, encoder),
            None => encoder.append(&(self.fill)(rows)),
        }
    }
}

/// Picks columns by name, in the order asked for; all of them for `None`.
///
/// # Errors
/// The first name that is not there, with the nearest one that is.
pub fn select<'a, T: Table>(all: &'a [Column<T>], names: Option<&[String]>) -> Result<Vec<&'a Column<T>>, String> {
    let Some(names) = names else { return Ok(all.iter().collect()) };
    names
        .iter()
        .map(|name| {
            all.iter().find(|column| column.name == name).ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|column| column.name).collect();
                format!("no column {name:?}; there are: {}", known.join(" "))
            })
        })
        .collect()
}

/// The schema of these columns.
#[must_use]
pub fn schema<T: Table>(columns: &[&Column<T>], metadata: StdHashMap<String, String>) -> Schema {
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(c.name, c.kind.data_type(), true)).collect();
    Schema::new(fields).with_metadata(metadata)
}

/// A column of numbers.
pub fn numbers<T, V>(values: impl ExactSizeIterator<Item = Option<V>>) -> ArrayRef
where
    T: ArrowPrimitiveType,
    V: Into<T::Native>,
{
    let rows = values.len();
    let mut words = Vec::with_capacity(rows.div_ceil(64));
    let (mut word, mut there, mut bit) = (0u64, 0, 0);
    // Collected and not pushed: the length is known, and none of the values asks whether there is room.
    let natives: Vec<T::Native> = values
        .map(|value| {
            if bit == 64 {
                there += word.count_ones() as usize;
                words.push(std::mem::take(&mut word).to_le());
                bit = 0;
            }
            word |= u64::from(value.is_some()) << bit;
            bit += 1;
            value.map_or_else(T::Native::default, Into::into)
        })
        .collect();
    there += word.count_ones() as usize;
    words.push(word.to_le());
    let valid = || NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(words), 0, rows));
    Arc::new(PrimitiveArray::<T>::new(natives.into(), (there < rows).then(valid)))
}

/// A column of numbers none of which is null.
pub fn dense<T, V>(values: impl ExactSizeIterator<Item = V>) -> ArrayRef
where
    T: ArrowPrimitiveType,
    V: Into<T::Native>,
{
    Arc::new(PrimitiveArray::<T>::from_iter_values(values.map(Into::into)))
}

/// A column of instants, nanoseconds since 1970.
pub fn times(values: impl ExactSizeIterator<Item = Option<i64>>) -> ArrayRef {
    let array: arrow_array::TimestampNanosecondArray = values.collect();
    Arc::new(array.with_timezone("UTC"))
}

/// A column of text, each value written by `write` into a buffer that is reused; `false` makes it null.
pub fn text<I>(values: impl ExactSizeIterator<Item = I>, mut write: impl FnMut(I, &mut String) -> bool) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 20);
    let mut buffer = String::new();
    for value in values {
        buffer.clear();
        if write(value, &mut buffer) {
            builder.append_value(&buffer);
        } else {
            builder.append_null();
        }
    }
    Arc::new(builder.finish())
}

/// A dictionary-encoded column: `write` is called once for each distinct value.
pub fn dictionary<K: Hash + Eq>(
    values: impl ExactSizeIterator<Item = Option<K>>,
    write: impl Fn(&K, &mut String),
) -> ArrayRef {
    let mut codes: HashMap<K, i32, RandomState> = HashMap::default();
    let mut texts = StringBuilder::new();
    let mut buffer = String::new();
    let keys: Int32Array = values
        .map(|value| {
            value.map(|key| {
                let next = codes.len() as i32;
                *codes.entry(key).or_insert_with_key(|key| {
                    buffer.clear();
                    write(key, &mut buffer);
                    texts.append_value(&buffer);
                    next
                })
            })
        })
        .collect();
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(texts.finish())))
}

/// A dictionary-encoded column over texts that exist already.
pub fn names<'a>(values: impl ExactSizeIterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut known = Known::default();
    let mut codes: HashMap<&str, u32, RandomState> = HashMap::default();
    let mut texts = StringBuilder::new();
    let mut code = |text: &'a str| {
        known.code(text, |text| {
            let next = codes.len() as u32;
            *codes.entry(text).or_insert_with(|| {
                texts.append_value(text);
                next
            })
        })
    };
    let keys: Int32Array = values.map(|value| value.map(|text| code(text) as i32)).collect();
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(texts.finish())))
}

/// Codes of texts whose place in memory is remembered: a constant is found without hashing it.
#[derive(Default)]
pub struct Known<'a> {
    texts: Vec<(&'a str, u32)>,
    strangers: u32,
}

impl<'a> Known<'a> {
    /// How many are remembered.
    const ROOM: usize = 12;

    /// After so many that were not among them they are no constants: each flow has its own.
    const STRANGERS: u32 = 24;

    /// The code of a text; `find` works it out.
    #[inline]
    pub fn code(&mut self, text: &'a str, find: impl FnOnce(&'a str) -> u32) -> u32 {
        if self.strangers > Self::STRANGERS {
            return find(text);
        }
        let here = |other: &str| std::ptr::eq(other.as_ptr(), text.as_ptr()) && other.len() == text.len();
        if let Some((_, code)) = self.texts.iter().find(|(other, _)| here(other)) {
            return *code;
        }
        self.strangers += 1;
        let code = find(text);
        if self.texts.len() < Self::ROOM {
            self.texts.push((text, code));
        }
        code
    }
}

/// A column of lists of 16-bit numbers; an empty one is null.
pub fn lists<'a>(values: impl ExactSizeIterator<Item = &'a [u16]>) -> ArrayRef {
    let mut builder = ListBuilder::new(UInt16Builder::new());
    for value in values {
        builder.values().append_slice(value);
        builder.append(!value.is_empty());
    }
    Arc::new(builder.finish())
}

/// A column of lists of 32-bit numbers; `None` is null.
pub fn lists_u32<I: Iterator<Item = u32>>(values: impl ExactSizeIterator<Item = Option<I>>) -> ArrayRef {
    let mut builder = ListBuilder::new(UInt32Builder::new());
    for value in values {
        let present = value.is_some();
        for item in value.into_iter().flatten() {
            builder.values().append_value(item);
        }
        builder.append(present);
    }
    Arc::new(builder.finish())
}

/// A column of yes and no.
pub fn booleans(values: impl ExactSizeIterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(values.collect::<arrow_array::BooleanArray>())
}

/// A column of lists of text; `None` is null.
pub fn text_lists<I: Iterator>(
    values: impl ExactSizeIterator<Item = Option<I>>,
    mut write: impl FnMut(I::Item, &mut String),
) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    let mut buffer = String::new();
    for value in values {
        let present = value.is_some();
        for item in value.into_iter().flatten() {
            buffer.clear();
            write(item, &mut buffer);
            builder.values().append_value(&buffer);
        }
        builder.append(present);
    }
    Arc::new(builder.finish())
}

/// A column of lists of names, none of them null.
pub fn name_lists<'a, I>(values: impl ExactSizeIterator<Item = I>) -> ArrayRef
where
    I: Iterator<Item = &'a str>,
{
    text_lists(values.map(Some), |name, out| out.push_str(name))
}

/// A column of byte ranges, each as `first-last`; null where there is none.
pub fn ranges<'a>(values: impl ExactSizeIterator<Item = &'a [(u64, u64)]>) -> ArrayRef {
    use std::fmt::Write as _;
    text_lists(values.map(|list| (!list.is_empty()).then(|| list.iter())), |(from, to), out| {
        let written = write!(out, "{from}-{}", to.saturating_sub(1));
        debug_assert!(written.is_ok(), "writing to a String does not fail");
    })
}
