"""Comma-separated values (RFC 4180): null is empty, times in ISO 8601, lists joined by spaces."""

from typing import IO, Any

from sniffkit.sinks.flat import flatten


def write(batches: Any, out: IO[bytes]) -> int:
    """Write `batches` (pyarrow.RecordBatchReader) as CSV with a header line."""
    import pyarrow as pa
    import pyarrow.csv

    header = flatten(batches.schema.empty_table()).schema
    rows = 0
    with pyarrow.csv.CSVWriter(out, header, write_options=pyarrow.csv.WriteOptions(quoting_style="needed")) as writer:
        for batch in batches:
            writer.write_table(flatten(pa.Table.from_batches([batch])))
            rows += batch.num_rows
    return rows
