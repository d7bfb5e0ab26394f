//! Record batches to Parquet, a row group at a time, its columns encoded on both cores.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::io::Write;

/// Rows of a row group: what a reader can skip or read on its own.
const ROW_GROUP: usize = 1 << 18;

/// Writes a stream of record batches; returns how many rows.
///
/// # Errors
/// The first error of the stream, the encoder or the output.
pub fn write<W: Write + Send>(
    out: W,
    schema: SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<u64, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties))?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(|error| ParquetError::External(Box::new(error)))?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    writer.close()?;
    Ok(rows)
}
