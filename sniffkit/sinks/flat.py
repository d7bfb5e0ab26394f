"""Rows as text: what CSV, tab-separated and screen output have in common."""

from __future__ import annotations

import sys
from typing import Any


def flatten(table: Any) -> Any:
    """`table` (pyarrow.Table) with every column as plain text or numbers: lists joined by spaces, times in ISO 8601."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(pa.string())
        elif pa.types.is_list(kind):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), space())
        elif pa.types.is_timestamp(kind):
            column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
        columns.append(column)
    return pa.Table.from_arrays(columns, names=table.column_names)


def space() -> Any:
    """A space as an Arrow scalar, out of its buffers: `pa.scalar` imports pandas, which takes 0.2 s."""
    import pyarrow as pa

    offsets = pa.py_buffer((0).to_bytes(4, sys.byteorder) + (1).to_bytes(4, sys.byteorder))
    return pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b" "))[0]
