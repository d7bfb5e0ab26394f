"""Parquet."""

from typing import IO, Any

from sniffkit.sinks import batches


def write(data: Any, out: IO[bytes], suffix: str, limit: int | None = None) -> int:
    """Write `data`, anything with `__arrow_c_stream__`, as a Parquet file."""
    import pyarrow.parquet

    rows, reader = 0, batches(data, limit)
    with pyarrow.parquet.ParquetWriter(out, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows
