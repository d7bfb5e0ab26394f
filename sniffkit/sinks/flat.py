"""Rows as text: what CSV, tab-separated and screen output have in common."""

from __future__ import annotations

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
            column = pc.binary_join(column.cast(pa.list_(pa.string())), " ")
        elif pa.types.is_timestamp(kind):
            column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
        columns.append(column)
    return pa.table(columns, names=table.column_names)
