"""Tab-separated text: null is empty, times in ISO 8601, lists joined by spaces; tabs and newlines are escaped."""

from __future__ import annotations

from typing import IO, Any

from sniffkit.sinks.flat import flatten

ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"})


def write(table: Any, out: IO[bytes]) -> None:
    """Write `table` (pyarrow.Table) as tab-separated text with a header line."""
    out.write(("\t".join(table.column_names) + "\n").encode())
    for batch in flatten(table).to_batches(max_chunksize=8192):
        columns = [text(column) for column in batch.columns]
        out.write("".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)).encode())


def text(column: Any) -> list[str]:
    """The values of a column as they stand in a line."""
    import pyarrow as pa

    values = column.to_pylist()
    if pa.types.is_string(column.type):
        return ["" if value is None else value.translate(ESCAPES) for value in values]
    return ["" if value is None else str(value) for value in values]
