"""Tab-separated text: null is empty, times in ISO 8601, lists joined by spaces; tabs and newlines are escaped."""

from __future__ import annotations

from typing import IO, Any

from sniffkit.sinks.flat import flatten

ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"})


def write(batches: Any, out: IO[bytes]) -> int:
    """Write `batches` (pyarrow.RecordBatchReader) as tab-separated text with a header line."""
    import pyarrow as pa

    out.write(("\t".join(batches.schema.names) + "\n").encode())
    rows = 0
    for batch in batches:
        columns = [text(column) for column in flatten(pa.Table.from_batches([batch])).columns]
        out.write("".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)).encode())
        rows += batch.num_rows
    return rows


def text(column: Any) -> list[str]:
    """The values of a column as they stand in a line."""
    import pyarrow as pa

    values = column.to_pylist()
    if pa.types.is_string(column.type):
        return ["" if value is None else value.translate(ESCAPES) for value in values]
    if pa.types.is_boolean(column.type):
        return ["" if value is None else str(value).lower() for value in values]
    return ["" if value is None else str(value) for value in values]
