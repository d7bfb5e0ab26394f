"""Tables whose rows are made in Python (scans, hosts with their vendors): taken like the core's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sniffkit.tables import Result, Table, chosen, unknown_column

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
    "bool": lambda pa: pa.bool_(),
}

Rows = Sequence[Mapping[str, Any]]


class RowTable(Table):
    """A table of rows that `make` gives each time they are asked for; a value that a row does not have is null.

    make: gives mappings, or a pyarrow.Table that has these columns among others. kinds: column → a key of TYPES. Times
    are nanoseconds since 1970. names: only these columns, in this order. inputs: what must not be written over.
    """

    def __init__(
        self,
        name: str,
        kinds: Mapping[str, str],
        make: Callable[[], Rows | pa.Table],
        names: Sequence[str] | None = None,
        inputs: Sequence[object] = (),
    ) -> None:
        self.name, self.inputs = name, inputs
        self.progress = None
        wanted = chosen(names)
        for column in wanted or ():
            if column not in kinds:
                raise unknown_column(name, column, kinds)
        self._kinds = {column: kinds[column] for column in (kinds if wanted is None else wanted)}
        self._make = make
        # Of the schema; `make` may add to it.
        self.metadata: dict[str | bytes, str | bytes] = {"sniffkit.table": name}

    def to_arrow(self) -> pa.Table:
        import pyarrow as pa

        rows = self._make()
        if isinstance(rows, pa.Table):
            return rows.select(list(self._kinds))
        fields = [pa.field(column, TYPES[kind](pa)) for column, kind in (self._kinds or {"none": "bool"}).items()]
        arrays = []
        for field in fields:
            encoded = pa.types.is_dictionary(field.type)
            values = [row.get(field.name) for row in rows]
            array = pa.array(values, field.type.value_type if encoded else field.type)
            arrays.append(array.cast(field.type) if encoded else array)
        # Without a column there would be no rows.
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, self.metadata)).select(list(self._kinds))

    def stream(self) -> TableStream:
        return cast("TableStream", RowStream(self.to_arrow()))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _write_parquet(self, path: str | os.PathLike[str]) -> int:
        return Result(self.name, self.to_arrow(), self.inputs).to_parquet(path)

    def columns(self) -> list[tuple[str, str]]:
        import pyarrow as pa

        return [(column, str(TYPES[kind](pa))) for column, kind in self._kinds.items()]


class RowStream:
    """What `_core.TableStream` is to whoever reads a table once, for rows that are there already."""

    def __init__(self, data: pa.Table) -> None:
        self._data = data

    def finish(self) -> list[tuple[str, int | None, str]]:
        """Nothing more to read, nothing damaged."""
        return []

    def begin(self) -> None:
        """The rows are there."""

    def stop(self) -> None:
        """They stay."""

    def __arrow_c_schema__(self) -> Any:
        return self._data.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._data.__arrow_c_stream__(requested_schema)
