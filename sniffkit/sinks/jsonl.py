"""One JSON object a line; null values are left in, times in ISO 8601 with nanoseconds."""

from __future__ import annotations

import json
from typing import IO, Any


def write(table: Any, out: IO[bytes]) -> None:
    """Write `table` (pyarrow.Table) as JSON lines."""
    from sniffkit.sinks.flat import flatten

    lists = {name for name, kind in zip(table.column_names, table.schema.types, strict=True) if "list" in str(kind)}
    plain = flatten(table)
    for name in lists:
        at = table.column_names.index(name)
        plain = plain.set_column(at, name, table.column(at))
    for batch in plain.to_batches(max_chunksize=8192):
        for row in batch.to_pylist():
            out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
