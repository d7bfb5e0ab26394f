"""Where tables go: one output format a file, chosen by suffix in the table below."""

from __future__ import annotations

import os
import sys

from sniffkit.errors import SniffkitError

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sniffkit.tables import Table

# suffix -> module with `write(data, out: binary file, suffix, limit) -> rows written`; data: has `__arrow_c_stream__`
SINKS: dict[str, str] = {
    ".parquet": "sniffkit.sinks.core",
    ".csv": "sniffkit.sinks.core",
    ".tsv": "sniffkit.sinks.core",
    ".jsonl": "sniffkit.sinks.core",
    ".arrow": "sniffkit.sinks.arrow",
}


class Output:
    """Where a table is to go. path: a file, `-` or None for stdout; screen: stdout is a terminal.

    fit: the last columns may be left out where a terminal has no room for them; instead: the options that show those.
    """

    def __init__(
        self, path: str | None, json: bool, screen: bool, fit: bool = False, instead: str = "--columns, -o FILE"
    ) -> None:
        self.path, self.json, self.screen, self.fit, self.instead = path, json, screen, fit, instead
        if self.is_file and self.suffix not in SINKS:
            if str(path).endswith("/") or os.path.isdir(str(path)):
                from sniffkit.api import DATASETS

                raise SniffkitError(f"{path}: a directory, but data sets are made of {' '.join(DATASETS)} alone")
            raise SniffkitError(f"{self.path}: no format for this suffix; there are: {' '.join(SINKS)}")
        if self.json and self.is_file and self.suffix != ".jsonl":
            raise SniffkitError(f"--json and {self.path} contradict each other")
        need_directory(self.path or "")

    @property
    def suffix(self) -> str:
        """The format: the path's suffix in small letters; without one JSON lines, or tab-separated text."""
        if self.path is None or self.path == "-":
            return ".jsonl" if self.json else ".tsv"
        return os.path.splitext(self.path)[1].lower()

    @property
    def is_file(self) -> bool:
        """Rows go to a file of their own."""
        return self.path not in (None, "-")

    @property
    def is_screen(self) -> bool:
        """Rows go to a terminal, as a table."""
        return self.path is None and self.screen and not self.json

    @property
    def is_text(self) -> bool:
        """Rows go to a person or a pipe as text."""
        return self.path is None and not self.json


def need_directory(path: str) -> None:
    """Raises SniffkitError if the directory that a file is to be made in is not there."""
    directory = os.path.dirname(path)
    if directory and not os.path.isdir(directory):
        raise SniffkitError(f"{path}: there is no directory {directory}")


def write(table: Table, out: Output, columns: list[str] | None = None, **query: Any) -> int:
    """Write `table` (only `columns`; rows by `where`, `sort`, `limit`) to `out`; returns how many rows.

    Without `where`, `sort` and `columns` rows go out as they are made; with them, or to a screen, all are made before.
    After ^C, and where a file is written SIGTERM and SIGHUP, the rows until then are written, then it is raised.
    Raises OutputError for an output that is the capture.
    """
    if out.is_file:
        from sniffkit.interrupts import end_as_on_interrupt
        from sniffkit.tables import check_output

        assert out.path is not None
        check_output(out.path, table.inputs)
        end_as_on_interrupt()
    stopped: list[BaseException] = []
    table.on_stop = stopped.append
    rows = write_until_stopped(table, out, columns, query)
    if stopped:
        raise stopped[0]
    return rows


def write_until_stopped(table: Table, out: Output, columns: list[str] | None, query: dict[str, Any]) -> int:
    """Write `table` as `write` says; what ^C raised goes to `table.on_stop`, but for Parquet files."""
    limit = query.pop("limit", None)
    if not query and columns is None and limit is None and out.suffix == ".parquet" and out.path is not None:
        # The core makes a file beside what it replaces, but writes into what a link leads to.
        real = os.path.realpath(out.path)  # not of /proc/self/fd/N, whose file may have no name any more
        return table.to_parquet(real if os.path.isfile(real) else out.path)
    if query or columns or out.is_screen:
        from sniffkit.query import select

        data = table.to_arrow()
        if query or columns or limit is not None:
            data = select(data, columns, limit=limit, **query)
        return put(data, out)
    return put(table, out, limit)


def batches(data: Any, limit: int | None = None) -> Any:
    """`data`, anything with `__arrow_c_stream__`, as a pyarrow.RecordBatchReader; of no more rows than `limit`, and
    nothing more is read then.
    """
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_stream(data)
    if limit is None:
        return reader

    def rows() -> Any:
        left = limit
        while left > 0 and (batch := next(reader, None)) is not None:
            yield batch.slice(0, left)
            left -= batch.num_rows

    return pa.RecordBatchReader.from_batches(reader.schema, rows())


def write_rows(name: str, rows: list[dict[str, Any]], kinds: Mapping[str, str], out: Output) -> None:
    """Write a few rows that were not made by the core (interfaces, checks) to `out`.

    name: of the table; kinds: column → a key of `sniffkit.rows.TYPES`, in this order and whatever the rows hold.
    """
    from sniffkit.rows import RowTable

    put(RowTable(name, kinds, lambda: rows), out)


def put(data: Any, out: Output, limit: int | None = None) -> int:
    """Write `data`, anything with `__arrow_c_stream__`, to `out` in its format; returns how many rows."""
    if out.is_screen:
        from sniffkit.sinks import screen

        return screen.write(batches(data, limit).read_all(), out.fit, out.instead)
    import importlib

    module = importlib.import_module(SINKS[out.suffix])
    if out.path is None or out.path == "-":
        rows: int = module.write(data, sys.stdout.buffer, out.suffix, limit)
        sys.stdout.buffer.flush()
        return rows
    from sniffkit.sinks.file import NewFile

    with NewFile(out.path) as file:
        return int(module.write(data, file, out.suffix, limit))
