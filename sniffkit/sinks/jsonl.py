"""One JSON object a line; null values are left in, times in ISO 8601 with nanoseconds."""

from __future__ import annotations

import json
from typing import IO, Any


def write(batches: Any, out: IO[bytes]) -> int:
    """Write `batches` (pyarrow.RecordBatchReader) as JSON lines."""
    import pyarrow as pa

    from sniffkit.sinks.flat import flatten

    rows = 0
    for batch in batches:
        table = pa.Table.from_batches([batch])
        plain = flatten(table)
        for at, kind in enumerate(table.schema.types):
            if pa.types.is_list(kind):
                plain = plain.set_column(at, table.column_names[at], table.column(at))
        lines = [json.dumps(row, ensure_ascii=False) for row in plain.to_pylist()]
        out.write("".join(line + "\n" for line in lines).encode(errors="surrogatepass"))
        rows += len(lines)
    return rows
