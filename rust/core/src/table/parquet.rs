//! Record batches to Parquet, a row group at a time.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
pub use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::collections::HashMap;
use std::io::Write;

/// Rows of a row group: what a reader can skip or read on its own.
const ROW_GROUP: usize = 1 << 18;

/// A Parquet file in the making.
pub struct Writer<W: Write + Send> {
    inner: ArrowWriter<W>,
    rows: u64,
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What the output refused.
    pub fn new(out: W, schema: SchemaRef) -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        Ok(Self { inner: ArrowWriter::try_new(out, schema, Some(properties))?, rows: 0 })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// What the output refused.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows() as u64;
        self.inner.write(batch)
    }

    /// Ends the file with this metadata beside the schema's; returns how many rows it has.
    ///
    /// # Errors
    /// What the output refused.
    pub fn finish(mut self, metadata: HashMap<String, String>) -> Result<u64, ParquetError> {
        let mut entries: Vec<(String, String)> = metadata.into_iter().collect();
        entries.sort();
        for (key, value) in entries {
            self.inner.append_key_value_metadata(KeyValue::new(key, value));
        }
        self.inner.close()?;
        Ok(self.rows)
    }
}

/// Writes a stream of record batches; returns how many rows.
///
/// # Errors
/// The first error of the stream, the encoder or the output.
pub fn write<W: Write + Send>(
    out: W,
    schema: SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<u64, ParquetError> {
    let metadata = schema.metadata().clone();
    let mut writer = Writer::new(out, schema)?;
    for batch in batches {
        writer.write(&batch.map_err(|error| ParquetError::External(Box::new(error)))?)?;
    }
    writer.finish(metadata)
}
