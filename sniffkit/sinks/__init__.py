"""Where tables go: one output format a file, chosen by suffix in the table below."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from sniffkit.tables import Table

# suffix -> module with `write(table: pyarrow.Table, out: binary file)`
SINKS: dict[str, str] = {
    ".parquet": "sniffkit.sinks.parquet",
    ".csv": "sniffkit.sinks.csv",
    ".tsv": "sniffkit.sinks.tsv",
    ".jsonl": "sniffkit.sinks.jsonl",
    ".arrow": "sniffkit.sinks.arrow",
}


@dataclass
class Output:
    """Where a table is to go. path: a file, `-` or None for stdout; screen: stdout is a terminal.

    fit: the last columns may be left out where a terminal has no room for them.
    """

    path: str | None
    json: bool
    screen: bool
    fit: bool = False

    def __post_init__(self) -> None:
        if self.path not in (None, "-") and self.suffix not in SINKS:
            raise SniffkitError(f"{self.path}: no format for this suffix; there are: {' '.join(SINKS)}")
        if self.json and self.path not in (None, "-") and self.suffix != ".jsonl":
            raise SniffkitError(f"--json and {self.path} contradict each other")
        directory = os.path.dirname(self.path or "")
        if directory and not os.path.isdir(directory):
            raise SniffkitError(f"{self.path}: there is no directory {directory}")

    @property
    def suffix(self) -> str:
        """The format: the path's suffix; without one JSON lines, or tab-separated text."""
        if self.path is None or self.path == "-":
            return ".jsonl" if self.json else ".tsv"
        return os.path.splitext(self.path)[1]

    @property
    def is_screen(self) -> bool:
        """Rows go to a terminal, as a table."""
        return self.path is None and self.screen and not self.json

    @property
    def is_text(self) -> bool:
        """Rows go to a person or a pipe as text."""
        return self.path is None and not self.json


def write(table: Table, out: Output, columns: list[str] | None = None, **query: Any) -> int:
    """Write `table` (only `columns`; rows by `where`, `sort`, `limit`) to `out`; returns how many rows."""
    if not query and columns is None and out.suffix == ".parquet":
        return table.to_parquet(out.path or "-")
    data = table.to_arrow()
    if query or columns:
        from sniffkit.query import select

        data = select(data, columns, **query)
    put(data, out)
    return int(data.num_rows)


def write_rows(rows: list[dict[str, Any]], columns: Sequence[str], out: Output) -> None:
    """Write a few rows that were not made by the core (interfaces, checks) to `out`, columns in this order."""
    import pyarrow as pa

    arrays = {}
    for name in columns:
        array = pa.array([row[name] for row in rows])
        # A column without any value still is text, not "null", to whoever reads the file.
        arrays[name] = array.cast(pa.string()) if pa.types.is_null(array.type) else array
    put(pa.table(arrays), out)


def put(data: Any, out: Output) -> None:
    """Write `data` (pyarrow.Table) to `out` in its format."""
    if out.is_screen:
        from sniffkit.sinks import screen

        screen.write(data, out.fit)
        return
    module = importlib.import_module(SINKS[out.suffix])
    if out.path is None or out.path == "-":
        module.write(data, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with open(out.path, "wb") as file:
            module.write(data, file)
    except OSError as error:
        raise SniffkitError(f"{out.path}: {error.strerror or error}") from None
