"""Tables whose rows were made in Python (scans): the same interface as the core's streams."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sniffkit.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit._core import TableStream

# Column type by its short name; those of the core's tables.
TYPES: dict[str, Callable[[Any], Any]] = {
    "text": lambda pa: pa.string(),
    "name": lambda pa: pa.dictionary(pa.int32(), pa.string()),
    "names": lambda pa: pa.list_(pa.string()),
    "time": lambda pa: pa.timestamp("ns", "UTC"),
    "u16s": lambda pa: pa.list_(pa.uint16()),
    "u8": lambda pa: pa.uint8(),
    "u16": lambda pa: pa.uint16(),
    "u32": lambda pa: pa.uint32(),
    "u64": lambda pa: pa.uint64(),
    "i64": lambda pa: pa.int64(),
    "f64": lambda pa: pa.float64(),
    "bool": lambda pa: pa.bool_(),
}


# The same as the core writes its types.
CORE_NAMES = {
    "text": "Utf8", "name": "Dictionary", "names": "List(Utf8)", "time": "Timestamp", "u16s": "List(UInt16)",
    "u8": "UInt8", "u16": "UInt16", "u32": "UInt32", "u64": "UInt64", "i64": "Int64", "f64": "Float64",
    "bool": "Boolean",
}  # fmt: skip


class RowStream:
    """What `_core.TableStream` is for captures, for a table that is in memory already."""

    def __init__(self, data: pa.Table) -> None:
        self._data = data

    def finish(self) -> list[tuple[str, int, str]]:
        """Nothing more to read, nothing damaged."""
        return []

    def to_parquet(self, path: str | os.PathLike[str]) -> tuple[int, list[tuple[str, int, str]]]:
        """Write a Parquet file; returns how many rows, and no warnings."""
        from sniffkit import _core

        return _core.write_parquet(self._data, path), []

    def columns(self) -> list[tuple[str, str]]:
        """Column names and their Arrow types."""
        return [(field.name, str(field.type)) for field in self._data.schema]

    def __arrow_c_schema__(self) -> Any:
        return self._data.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._data.__arrow_c_stream__(requested_schema)


Rows = Sequence[Mapping[str, Any]]


def table(name: str, columns: Mapping[str, str], rows: Rows | Callable[[], Rows]) -> Table:
    """A Table of these rows, or of those that a function gives each time it is read.

    columns: name → a key of TYPES; a value that a row does not have is null. Times are nanoseconds since 1970.
    """

    def start() -> TableStream:
        import pyarrow as pa

        given = rows() if callable(rows) else rows
        fields = [pa.field(column, TYPES[kind](pa)) for column, kind in columns.items()]
        # Built as plain text, then encoded: pyarrow makes no dictionaries from Python objects of several batches.
        arrays = [pa.array([row.get(field.name) for row in given], plain(pa, field.type)).cast(field.type)
                  for field in fields]  # fmt: skip
        metadata = {"sniffkit.table": name}
        return cast("TableStream", RowStream(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata))))

    return Table(name, start)


def plain(pa: Any, kind: Any) -> Any:
    """The type that values have before dictionary encoding."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind
