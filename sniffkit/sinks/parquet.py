"""Parquet."""

from typing import IO, Any


def write(batches: Any, out: IO[bytes]) -> int:
    """Write `batches` (pyarrow.RecordBatchReader) as a Parquet file."""
    import pyarrow.parquet

    rows = 0
    with pyarrow.parquet.ParquetWriter(out, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows
