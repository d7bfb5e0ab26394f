//! The index of an extraction.

use crate::files::write_error;
use crate::output::{Output, io_error};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, BooleanArray, StringArray};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3_arrow::PyRecordBatchReader;
use sniffkit_core::table::parquet::BatchFile;
use sniffkit_core::table::text::{Format, Lines};
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(write_index, module)?)
}

/// Writes the index of an extraction, any stream of its rows, as a Parquet file and as JSON lines. Returns how many rows
/// there are, how many of their files were written, how many are complete, and why others were not written.
#[pyfunction]
fn write_index(
    py: Python<'_>,
    stream: PyRecordBatchReader,
    parquet: PathBuf,
    lines: PathBuf,
) -> PyResult<(usize, usize, usize, BTreeSet<String>)> {
    let reader = stream.into_reader()?;
    let (table, text) = (Output::create(parquet)?, Output::create(lines)?);
    py.detach(|| {
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| PyOSError::new_err(error.to_string()))?;
        let file = BufWriter::with_capacity(1 << 20, &table.file);
        BatchFile::new(file, schema.clone())
            .and_then(|mut file| batches.iter().try_for_each(|batch| file.write(batch)).and_then(|()| file.finish()))
            .map_err(|error| write_error(&table.path, &error))?;
        let layout = Lines::new(Format::Json, &schema);
        let (mut rows, mut written, mut complete, mut reasons) = (0, 0, 0, BTreeSet::new());
        for batch in &batches {
            let mut out = String::new();
            layout.rows(batch, &mut out).map_err(|error| PyOSError::new_err(error.to_string()))?;
            (&text.file).write_all(out.as_bytes()).map_err(|error| io_error(&text.path, &error))?;
            rows += batch.num_rows();
            written += batch.column_by_name("path").map_or(0, |paths| paths.len() - paths.null_count());
            let whole = batch.column_by_name("complete").and_then(|column| column.as_boolean_opt());
            complete += whole.map_or(0, BooleanArray::true_count);
            let errors = batch.column_by_name("write_error").and_then(|column| column.as_dictionary_opt::<Int32Type>());
            if let Some(texts) = errors.and_then(|errors| errors.downcast_dict::<StringArray>()) {
                reasons.extend(texts.into_iter().flatten().map(str::to_owned));
            }
        }
        table.keep()?;
        text.keep()?;
        Ok((rows, written, complete, reasons))
    })
}
