//! What the column encoders write is what Parquet readers read.
use arrow_array::builder::{ListBuilder, StringBuilder, UInt16Builder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array, cast::AsArray,
};
use arrow_schema::{Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaDataReader;
use sniffkit_core::table::write::BatchWriter;
use std::fs::File;
use std::sync::Arc;

/// A small generator, so that every run tries the same values.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn some<T>(&mut self, nulls: u64, value: impl Fn(u64) -> T) -> Option<T> {
        let number = self.next();
        (nulls == 0 || !number.is_multiple_of(nulls)).then(|| value(number >> 8))
    }
}

/// A batch of `rows` rows, one of `nulls` of them null; 0 for none and 1 for all.
fn batch(numbers: &mut Numbers, rows: usize, nulls: u64) -> RecordBatch {
    let mut lists = ListBuilder::new(UInt16Builder::new());
    let mut texts = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        for _ in 0..numbers.next() % 3 {
            lists.values().append_option(numbers.some(nulls, |value| value as u16));
            texts.values().append_option(numbers.some(nulls, |value| format!("{value:x}")));
        }
        lists.append(nulls == 0 || row % 5 > 0);
        texts.append(true);
    }
    macro_rules! column {
        ($array:ty, $value:expr) => {
            Arc::new((0..rows).map(|_| numbers.some(nulls, $value)).collect::<$array>()) as ArrayRef
        };
    }
    let text = |value: u64| if value.is_multiple_of(7) { String::new() } else { format!("host-{}", value % 300) };
    let dictionary: Vec<Option<String>> = (0..rows).map(|_| numbers.some(nulls, text)).collect();
    let times = (0..rows as i64).map(|row| 1_700_000_000_000_000_000 + row * row);
    let columns = [
        column!(UInt8Array, |value| value as u8),
        column!(UInt16Array, |value| value as u16 % 3),
        column!(UInt32Array, |value| value as u32),
        column!(UInt32Array, |value| value as u32 >> 8),
        column!(UInt64Array, |value| value >> 30),
        column!(UInt64Array, |value| value << 9),
        column!(Int64Array, |value| value as i64 % 1000 - 500),
        column!(Int64Array, |value| (value << 10) as i64),
        column!(Float64Array, |value| value as f64 / 3.0 - 1e15),
        column!(BooleanArray, |value| value.is_multiple_of(2)),
        column!(StringArray, text),
        Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(dictionary.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>()),
        Arc::new(lists.finish()),
        Arc::new(texts.finish()),
    ];
    let fields: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
        .collect();
    let schema = Schema::new_with_metadata(fields, [("made by".to_owned(), "a test".to_owned())].into());
    RecordBatch::try_new(Arc::new(schema), columns.to_vec()).expect("arrays of one length")
}

/// Dictionaries as plain text, since which code a text has is the writer's to choose.
fn plain(array: &ArrayRef) -> ArrayRef {
    match array.as_any_dictionary_opt() {
        Some(_) => {
            let array = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().expect("texts");
            Arc::new(array.into_iter().collect::<StringArray>())
        }
        None => array.clone(),
    }
}

fn there_and_back(batches: &[RecordBatch], name: &str) {
    let path = std::env::temp_dir().join(format!("sniffkit-{name}-{}.parquet", std::process::id()));
    let mut writer = BatchWriter::new(File::create(&path).expect("a file"), &batches[0].schema()).expect("a writer");
    for batch in batches {
        writer.write(batch).expect("to write");
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(writer.finish(&batches[0].schema()).expect("to finish"), rows as u64);

    let file = File::open(&path).expect("the file");
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).expect("metadata");
    let nulls: u64 = batches.iter().map(|batch| batch.column(0).null_count() as u64).sum();
    let counted = metadata.row_groups().iter().filter_map(|group| group.column(0).statistics()?.null_count_opt());
    assert_eq!(counted.sum::<u64>(), nulls);

    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a reader");
    assert_eq!(builder.schema().fields(), batches[0].schema().fields());
    assert_eq!(builder.schema().metadata(), batches[0].schema().metadata());
    let read: Vec<_> = builder.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    std::fs::remove_file(&path).expect("to remove it");
    for at in 0..batches[0].num_columns() {
        let rows = |all: &[RecordBatch]| -> Vec<String> {
            all.iter()
                .flat_map(|batch| {
                    let column = plain(batch.column(at));
                    (0..batch.num_rows()).map(move |row| format!("{:?}", column.slice(row, 1))).collect::<Vec<_>>()
                })
                .collect()
        };
        assert_eq!(rows(&read), rows(batches), "column {at}");
    }
}

#[test]
fn every_type_with_and_without_nulls() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for nulls in [0, 1, 2, 10] {
        for rows in [1, 7, 8, 127, 129, 1000] {
            there_and_back(&[batch(&mut numbers, rows, nulls)], &format!("{nulls}-{rows}"));
        }
    }
}

#[test]
fn batches_join_in_one_row_group() {
    let mut numbers = Numbers(7);
    let batches: Vec<_> = [0, 10, 1, 0, 3].into_iter().map(|nulls| batch(&mut numbers, 301, nulls)).collect();
    there_and_back(&batches, "joined");
}

#[test]
fn a_row_group_of_several_pages() {
    let mut numbers = Numbers(11);
    // Without a value on the first page, and rows that end with a page or behind one.
    for (first, rest) in [(1, 0), (0, 10), (2, 1)] {
        for rows in [8192, 9001] {
            let batches: Vec<_> = [first, first, rest].map(|nulls| batch(&mut numbers, rows, nulls)).into();
            there_and_back(&batches, &format!("pages-{first}-{rest}-{rows}"));
        }
    }
}

#[test]
fn a_table_without_rows() {
    there_and_back(&[batch(&mut Numbers(3), 0, 0)], "empty");
}
