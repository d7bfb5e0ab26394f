//! Rows as lines of text: tab-separated, comma-separated (RFC 4180), or a JSON object a line (RFC 8259).
//!
//! Times are ISO 8601 in UTC with nanoseconds, lists are joined by blanks (in JSON they are arrays, and structs objects),
//! null is nothing (in JSON it is `null`). The columns may be of any Arrow type: they may come out of a query.

use crate::calendar::utc;
use crate::json::{self, backslashed, may_need_escape};
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_array::{BooleanArray, ListArray, cast::AsArray};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, Schema, TimeUnit};
use std::fmt::Write;

/// How a line is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tabs between values; `\t`, `\n`, `\r` and `\\` are escaped, other control characters as `\x1b`: what packets say
    /// is no command to a terminal.
    Tsv,
    /// Commas between values, quotation marks where they are needed; an empty text is `""`, to differ from null.
    Csv,
    /// An object a line.
    Json,
}

impl Format {
    /// The format of a file name's suffix.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            ".tsv" => Some(Self::Tsv),
            ".csv" => Some(Self::Csv),
            ".jsonl" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Turns record batches of one schema into lines.
#[derive(Clone, Debug)]
pub struct Lines {
    format: Format,
    /// As they stand in the header, or in JSON before each value.
    names: Vec<String>,
}

impl Lines {
    /// For rows of this schema.
    #[must_use]
    pub fn new(format: Format, schema: &Schema) -> Self {
        let name = |name: &str| {
            let mut out = String::new();
            escape(name, format, &mut out);
            out
        };
        Self { format, names: schema.fields().iter().map(|field| name(field.name())).collect() }
    }

    /// Appends the line of column names; nothing in JSON.
    pub fn header(&self, out: &mut String) {
        match self.format {
            Format::Tsv => out.push_str(&self.names.join("\t")),
            Format::Csv => out.push_str(&self.names.join(",")),
            Format::Json => return,
        }
        out.push('\n');
    }

    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// A value that has no text, such as a date beyond the calendar.
    pub fn rows(&self, batch: &RecordBatch, out: &mut String) -> Result<(), ArrowError> {
        let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        let (between, first, last) = match self.format {
            Format::Tsv => ("\t", "", "\n"),
            Format::Csv => (",", "", "\n"),
            Format::Json => (", ", "{", "}\n"),
        };
        let mut scratch = String::new();
        for row in 0..batch.num_rows() {
            out.push_str(first);
            for (at, (column, name)) in columns.iter().zip(&self.names).enumerate() {
                if at > 0 {
                    out.push_str(between);
                }
                if self.format == Format::Json {
                    out.push_str(name);
                    out.push_str(": ");
                }
                column.put(row, self.format, &mut scratch, out)?;
            }
            out.push_str(last);
        }
        Ok(())
    }
}

/// A column, ready to be read value by value.
struct Column<'a> {
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Text(StringArray),
    Bool(&'a BooleanArray),
    Float(Float64Array),
    /// With how many of its units are a second: what is beyond the range of nanoseconds is a time too.
    Time(Int64Array, i64),
    Number(ArrayFormatter<'a>),
    List(&'a ListArray, Box<Column<'a>>),
    /// With what stands before each value in JSON.
    Struct(Vec<(String, Column<'a>)>, ArrayFormatter<'a>),
    /// Whatever else a query gives: as Arrow shows it.
    Other(ArrayFormatter<'a>),
}

static OPTIONS: FormatOptions<'static> = FormatOptions::new();

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        let shown = || ArrayFormatter::try_new(array, &OPTIONS);
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Values::text(array)?,
            DataType::Dictionary(_, kind) if matches!(**kind, DataType::Utf8 | DataType::LargeUtf8) => {
                Values::text(array)?
            }
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Values::Float(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Timestamp(unit, _) => {
                let a_second = match unit {
                    TimeUnit::Second => 1,
                    TimeUnit::Millisecond => 1_000,
                    TimeUnit::Microsecond => 1_000_000,
                    TimeUnit::Nanosecond => 1_000_000_000,
                };
                Values::Time(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(), a_second)
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns()).map(|(field, column)| {
                    let mut name = String::new();
                    escape(field.name(), Format::Json, &mut name);
                    Ok((name, Self::new(column)?))
                });
                Values::Struct(columns.collect::<Result<_, ArrowError>>()?, shown()?)
            }
            DataType::List(_) => {
                let list: &ListArray = array.as_list();
                Values::List(list, Box::new(Self::new(list.values())?))
            }
            kind if kind.is_integer() || kind.is_decimal() => Values::Number(shown()?),
            _ => Values::Other(shown()?),
        };
        Ok(Self { nulls: array.logical_nulls(), values })
    }

    /// Appends the value of a row. `scratch`: for text that has to be escaped.
    fn put(&self, row: usize, format: Format, scratch: &mut String, out: &mut String) -> Result<(), ArrowError> {
        let json = format == Format::Json;
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) || matches!(self.values, Values::Null) {
            out.push_str(if json { "null" } else { "" });
            return Ok(());
        }
        match &self.values {
            Values::Text(array) => escape(array.value(row), format, out),
            Values::Float(array) if json && !array.value(row).is_finite() => out.push_str("null"),
            Values::List(array, inner) if json => {
                out.push('[');
                for (at, item) in items(array, row).enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    inner.put(item, format, scratch, out)?;
                }
                out.push(']');
            }
            Values::Struct(columns, _) if json => {
                out.push('{');
                for (at, (name, column)) in columns.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    out.push_str(name);
                    out.push_str(": ");
                    column.put(row, format, scratch, out)?;
                }
                out.push('}');
            }
            Values::List(..) | Values::Struct(..) | Values::Other(_) | Values::Time(..) => {
                scratch.clear();
                self.plain(row, scratch)?;
                escape(scratch, format, out);
            }
            _ => self.plain(row, out)?,
        }
        Ok(())
    }

    /// Appends a value as it is.
    fn plain(&self, row: usize, out: &mut String) -> Result<(), ArrowError> {
        // Writing to a String cannot fail.
        let _ = match &self.values {
            Values::Null => Ok(()),
            Values::Text(array) => out.write_str(array.value(row)),
            Values::Bool(array) => write!(out, "{}", array.value(row)),
            Values::Float(array) => write!(out, "{:?}", array.value(row)),
            Values::Time(array, a_second) => utc(array.value(row), *a_second, out),
            Values::Number(shown) | Values::Struct(_, shown) | Values::Other(shown) => {
                return shown.value(row).write(out);
            }
            Values::List(array, inner) => {
                for (at, item) in items(array, row).enumerate() {
                    out.push_str(if at > 0 { " " } else { "" });
                    inner.plain(item, out)?;
                }
                Ok(())
            }
        };
        Ok(())
    }
}

impl Values<'_> {
    fn text(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(Self::Text(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()))
    }
}

/// Where the items of a list stand among those of all rows.
fn items(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

fn escape(text: &str, format: Format, out: &mut String) {
    match format {
        Format::Csv if !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) => out.push_str(text),
        Format::Csv => {
            out.push('"');
            out.push_str(&text.replace('"', "\"\""));
            out.push('"');
        }
        Format::Tsv if !may_need_escape(text) => out.push_str(text),
        Format::Tsv => text.chars().for_each(|c| backslashed(c, "\\x", out)), // as Zeek writes them
        Format::Json => json::string(text, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Decimal128Array, DictionaryArray, NullArray, StructArray};
    use arrow_array::{TimestampMicrosecondArray, TimestampSecondArray};
    use arrow_array::{builder::ListBuilder, builder::StringBuilder, types::Int32Type};
    use arrow_schema::Field;
    use std::sync::Arc;

    fn lines(format: Format, columns: Vec<(&str, ArrayRef)>) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let lines = Lines::new(format, &batch.schema());
        let mut out = String::new();
        lines.header(&mut out);
        lines.rows(&batch, &mut out).unwrap();
        out
    }

    fn columns() -> Vec<(&'static str, ArrayRef)> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a,b"), Some("c")]);
        lists.append_null();
        lists.append_value::<_, &str>([]);
        let nothing: ArrayRef = Arc::new(NullArray::new(3));
        vec![
            ("t", Arc::new(StringArray::from(vec![Some("tab\there \"\\\u{1}\u{9b}§"), Some(""), None])) as ArrayRef),
            ("d", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x\ny"), None, Some("é")]))),
            ("n", Arc::new(Int64Array::from(vec![Some(-5), None, Some(7)]))),
            ("f", Arc::new(Float64Array::from(vec![Some(69.0), Some(f64::NAN), None]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("s", Arc::new(TimestampSecondArray::from(vec![Some(0i64), Some(-1), None]))),
            ("l", Arc::new(lists.finish())),
            ("h", Arc::new(Decimal128Array::from(vec![1i128 << 80, 2, 3]).with_precision_and_scale(38, 0).unwrap())),
            ("0", nothing),
        ]
    }

    #[test]
    fn tab_separated() {
        let rows = [
            "t\td\tn\tf\tb\ts\tl\th\t0",
            "tab\\there \"\\\\\\x01\\x9b§\tx\\ny\t-5\t69.0\ttrue\t1970-01-01T00:00:00.000000000Z\ta,b c\t1208925819614629174706176\t",
            "\t\t\tNaN\tfalse\t1969-12-31T23:59:59.000000000Z\t\t2\t",
            "\té\t7\t\t\t\t\t3\t",
        ];
        assert_eq!(lines(Format::Tsv, columns()), rows.join("\n") + "\n");
    }

    #[test]
    fn comma_separated() {
        let rows = [
            "t,d,n,f,b,s,l,h,0",
            "\"tab\there \"\"\\\u{1}\u{9b}§\",\"x\ny\",-5,69.0,true,1970-01-01T00:00:00.000000000Z,\"a,b c\",1208925819614629174706176,",
            "\"\",,,NaN,false,1969-12-31T23:59:59.000000000Z,,2,",
            ",é,7,,,,\"\",3,",
        ];
        assert_eq!(lines(Format::Csv, columns()), rows.join("\n") + "\n");
    }

    #[test]
    fn json_lines() {
        let rows = [
            r#"{"t": "tab\there \"\\\u0001\u009b§", "d": "x\ny", "n": -5, "f": 69.0, "b": true, "s": "1970-01-01T00:00:00.000000000Z", "l": ["a,b", "c"], "h": 1208925819614629174706176, "0": null}"#,
            r#"{"t": "", "d": null, "n": null, "f": null, "b": false, "s": "1969-12-31T23:59:59.000000000Z", "l": null, "h": 2, "0": null}"#,
            r#"{"t": null, "d": "é", "n": 7, "f": null, "b": null, "s": null, "l": [], "h": 3, "0": null}"#,
        ];
        assert_eq!(lines(Format::Json, columns()), rows.join("\n") + "\n");
    }

    #[test]
    fn times_beyond_the_range_of_nanoseconds() {
        let microseconds: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![253_402_214_400_000_001, -62_135_596_800_000_000]));
        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![253_402_300_800, i64::MAX]));
        assert_eq!(
            lines(Format::Tsv, vec![("us", microseconds), ("s", seconds)]),
            "us\ts\n9999-12-31T00:00:00.000001000Z\t10000-01-01T00:00:00.000000000Z\n\
             0001-01-01T00:00:00.000000000Z\t292277026596-12-04T15:30:07.000000000Z\n"
        );
    }

    #[test]
    fn structs_are_objects_in_json() {
        let named = |name: &str, array: ArrayRef| (Arc::new(Field::new(name, array.data_type().clone(), true)), array);
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("x"), None]);
        lists.append_null();
        lists.append_null();
        let fields = vec![
            named("a \"", Arc::new(Int64Array::from(vec![Some(1), None, None]))),
            named("l", Arc::new(lists.finish())),
        ];
        let (fields, arrays): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let nulls = NullBuffer::from(vec![true, true, false]);
        let structs: ArrayRef = Arc::new(StructArray::new(fields.into(), arrays, Some(nulls)));
        assert_eq!(
            lines_of(Format::Json, structs.clone()),
            [
                "{\"s\": {\"a \\\"\": 1, \"l\": [\"x\", null]}}",
                "{\"s\": {\"a \\\"\": null, \"l\": null}}",
                "{\"s\": null}"
            ]
        );
        assert_eq!(lines_of(Format::Tsv, structs)[1], "{a \": 1, l: [x, ]}");
    }

    fn lines_of(format: Format, array: ArrayRef) -> Vec<String> {
        lines(format, vec![("s", array)]).lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_slice_has_its_own_rows() {
        let batch = RecordBatch::try_from_iter_with_nullable(columns().into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let (whole, part) = (Lines::new(Format::Json, &batch.schema()), batch.slice(1, 2));
        let mut out = String::new();
        whole.rows(&part, &mut out).unwrap();
        assert_eq!(out, lines(Format::Json, columns()).split_once('\n').unwrap().1);
    }
}
