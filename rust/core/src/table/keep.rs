//! Which rows whoever reads a table will keep: the others need not be made. Judged by the columns themselves, so that a
//! condition means what it means to the reader.

use super::column::{Column, Table, select};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

/// What one column must be. A null is none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// A whole number (times: ns since 1970) from the first to the second, both included.
    Between(i128, i128),
    /// One of these numbers.
    Numbers(Vec<i128>),
    /// One of these texts.
    Texts(Vec<String>),
    /// A text that has this in it.
    Contains(String),
    /// Anything but null.
    Present,
}

/// Conditions that all must hold, by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Column name and test.
    pub tests: Vec<(String, Test)>,
}

impl Test {
    fn number(&self, value: i128) -> bool {
        match self {
            Self::Between(least, most) => (*least..=*most).contains(&value),
            Self::Numbers(set) => set.contains(&value),
            Self::Texts(_) | Self::Contains(_) | Self::Present => true,
        }
    }

    fn text(&self, value: &str) -> bool {
        match self {
            Self::Texts(set) => set.iter().any(|one| one == value),
            Self::Contains(part) => value.contains(part.as_str()),
            Self::Between(..) | Self::Numbers(_) | Self::Present => true,
        }
    }

    /// Clears `keep` where the values of a column fail. Columns of other types keep all that are not null.
    pub fn apply(&self, array: &ArrayRef, keep: &mut [bool]) {
        macro_rules! numbers {
            ($ty:ty) => {{
                let values = array.as_primitive::<$ty>().values();
                keep.iter_mut().zip(values).for_each(|(keep, value)| *keep &= self.number(i128::from(*value)));
            }};
        }
        match array.data_type() {
            DataType::UInt8 => numbers!(UInt8Type),
            DataType::UInt16 => numbers!(UInt16Type),
            DataType::UInt32 => numbers!(UInt32Type),
            DataType::UInt64 => numbers!(UInt64Type),
            DataType::Int64 => numbers!(Int64Type),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => numbers!(TimestampNanosecondType),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                keep.iter_mut().zip(texts.iter()).for_each(|(keep, text)| *keep &= text.is_some_and(|t| self.text(t)));
            }
            DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
                let dictionary = array.as_dictionary::<Int32Type>();
                let passes: Vec<bool> = dictionary
                    .values()
                    .as_string::<i32>()
                    .iter()
                    .map(|text| text.is_some_and(|t| self.text(t)))
                    .collect();
                let keys = dictionary.keys().values();
                keep.iter_mut()
                    .zip(keys)
                    .for_each(|(keep, key)| *keep &= passes.get(*key as usize).copied().unwrap_or(false));
            }
            _ => {}
        }
        if let Some(nulls) = array.nulls() {
            keep.iter_mut().zip(nulls).for_each(|(keep, valid)| *keep &= valid);
        }
    }
}

/// The columns that tests are of.
pub(super) fn tests<T: Table>(
    all: &'static [Column<T>],
    keep: &Keep,
) -> Result<Vec<(&'static Column<T>, Test)>, String> {
    let names: Vec<String> = keep.tests.iter().map(|(name, _)| name.clone()).collect();
    let columns = select(all, Some(&names))?;
    Ok(columns.into_iter().zip(keep.tests.iter().map(|(_, test)| test.clone())).collect())
}
