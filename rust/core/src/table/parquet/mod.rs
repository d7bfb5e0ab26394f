//! Parquet files: those of our own tables, whose columns are encoded one by one on as many threads as help, and those
//! of any other Arrow stream.

mod bits;
pub mod chunk;
mod dictionary;
pub mod direct;
mod levels;
mod numbers;
mod page;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use chunk::{Chunk, Encoder, Spare, physical};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{ColumnOrder, Compression};
pub use parquet::errors::ParquetError;
use parquet::errors::Result;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::SchemaDescPtr;
use std::collections::HashMap;
use std::io::{ErrorKind, IoSlice, Write};
use std::sync::Arc;

/// Rows of a row group: what a reader can skip or read on its own, and what is held in memory.
pub const ROW_GROUP: usize = 1 << 17;

/// Bytes of a row group at most, before its rows are enough: long texts.
pub const ROW_GROUP_BYTES: usize = 256 << 20;

const MAGIC: &[u8; 4] = b"PAR1";

/// A Parquet file of one of our tables.
pub struct TableFile<W: Write> {
    out: W,
    position: u64,
    descriptor: SchemaDescPtr,
    groups: Vec<RowGroupMetaData>,
    rows: u64,
}

impl<W: Write> TableFile<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What the output refused.
    pub fn new(mut out: W, schema: &Schema) -> Result<Self> {
        let descriptor = Arc::new(ArrowSchemaConverter::new().convert(schema)?);
        out.write_all(MAGIC)?;
        Ok(Self { out, position: MAGIC.len() as u64, descriptor, groups: Vec::new(), rows: 0 })
    }

    /// Adds a row group of `rows` rows, the columns in order.
    ///
    /// # Errors
    /// What the output refused.
    pub fn group(&mut self, chunks: Vec<Chunk>, rows: usize) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let start = self.position;
        let mut columns = Vec::with_capacity(chunks.len());
        let mut pages = Vec::new();
        for (chunk, column) in chunks.into_iter().zip(self.descriptor.columns()) {
            let len = chunk.pages.iter().map(|page| page.bytes().len()).sum::<usize>() as i64;
            let at = self.position as i64;
            columns.push(
                ColumnChunkMetaData::builder(column.clone())
                    .set_encodings(chunk.encodings)
                    .set_compression(Compression::UNCOMPRESSED)
                    .set_num_values(chunk.values as i64)
                    .set_total_compressed_size(len)
                    .set_total_uncompressed_size(len)
                    .set_dictionary_page_offset((chunk.dictionary > 0).then_some(at))
                    .set_data_page_offset(at + chunk.dictionary as i64)
                    .set_statistics(chunk.statistics)
                    .build()?,
            );
            pages.extend(chunk.pages);
            self.position += len as u64;
        }
        let mut parts: Vec<_> = pages.iter().map(|page| IoSlice::new(page.bytes())).collect();
        write_all_parts(&mut self.out, &mut parts)?;
        let ordinal = i16::try_from(self.groups.len()).ok();
        let mut group = RowGroupMetaData::builder(self.descriptor.clone())
            .set_column_metadata(columns)
            .set_num_rows(rows as i64)
            .set_total_byte_size((self.position - start) as i64)
            .set_file_offset(start as i64);
        if let Some(ordinal) = ordinal {
            group = group.set_ordinal(ordinal);
        }
        self.groups.push(group.build()?);
        self.rows += rows as u64;
        Ok(())
    }

    /// Ends the file with its schema, whose metadata may have become complete only now. Returns how many rows it has.
    ///
    /// # Errors
    /// What the output refused.
    pub fn finish(self, schema: &Schema) -> Result<u64> {
        Ok(self.into_inner(schema)?.0)
    }

    /// The same; the output comes back.
    ///
    /// # Errors
    /// What the output refused.
    pub fn into_inner(mut self, schema: &Schema) -> Result<(u64, W)> {
        let mut properties = WriterProperties::builder().build();
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let mut entries = properties.key_value_metadata().cloned().unwrap_or_default();
        entries.extend(key_values(schema.metadata()));
        let orders = self
            .descriptor
            .columns()
            .iter()
            .map(|column| {
                ColumnOrder::TYPE_DEFINED_ORDER(ColumnOrder::sort_order_for_type(
                    column.logical_type_ref(),
                    column.converted_type(),
                    column.physical_type(),
                ))
            })
            .collect();
        let about = FileMetaData::new(
            1,
            self.rows as i64,
            Some(concat!("sniffkit version ", env!("CARGO_PKG_VERSION")).to_owned()),
            Some(entries),
            self.descriptor.clone(),
            Some(orders),
        );
        let metadata = ParquetMetaData::new(about, self.groups);
        let mut footer = Vec::new();
        ParquetMetaDataWriter::new(&mut footer, &metadata).finish()?;
        self.out.write_all(&footer)?;
        self.out.flush()?;
        Ok((self.rows, self.out))
    }
}

/// Writes all of several pieces, as many as possible in one go.
fn write_all_parts(out: &mut impl Write, mut parts: &mut [IoSlice<'_>]) -> std::io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0); // drops what is empty in front
    while !parts.is_empty() {
        match out.write_vectored(parts) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Metadata in the order of the keys.
fn key_values(metadata: &HashMap<String, String>) -> Vec<KeyValue> {
    let mut entries: Vec<_> = metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// An encoder for each column of a schema.
///
/// # Errors
/// A type that no table has.
pub fn encoders(schema: &Schema, spare: &mut Spare) -> Result<Vec<Encoder>> {
    let columns = ArrowSchemaConverter::new().convert(schema)?;
    let encoder = |field: &FieldRef| Encoder::new(field.data_type(), 0, spare);
    let encoders = schema.fields().iter().map(encoder).collect::<Result<Vec<_>>>()?;
    debug_assert!(encoders.iter().zip(columns.columns()).all(|(own, column)| physical(own) == column.physical_type()));
    Ok(encoders)
}

/// A Parquet file of any record batches.
pub struct BatchFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    metadata: HashMap<String, String>,
}

impl<W: Write + Send> BatchFile<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// A type that Parquet does not have.
    pub fn new(out: W, schema: SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        // The writer panics at one.
        if schema.flattened_fields().iter().any(|field| matches!(field.data_type(), DataType::Union(..))) {
            return Err(ParquetError::NYI("a union".to_owned()));
        }
        let metadata = schema.metadata().clone();
        Ok(Self { writer: ArrowWriter::try_new(out, schema, Some(properties))?, metadata })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// What the encoder or the output refused.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch)
    }

    /// Where the bytes go; what is there may be taken away.
    pub fn out(&mut self) -> &mut W {
        self.writer.inner_mut()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What the output refused.
    pub fn finish(mut self) -> Result<W> {
        for entry in key_values(&self.metadata) {
            self.writer.append_key_value_metadata(entry);
        }
        self.writer.into_inner()
    }
}
