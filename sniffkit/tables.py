"""Tables: what a capture becomes. Each can be taken as pandas, polars, Arrow or Parquet, or as an Arrow stream."""

from __future__ import annotations

import os
import sys
import warnings

from sniffkit.errors import CaptureFileError, CaptureWarning, FilterError, MissingToolError, OutputError, SniffkitError

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from sniffkit._core import TableStream


class Table:
    """One table of one or more captures. It is read anew each time it is asked for, so it holds no rows itself.

    Rows are in capture order; times are `timestamp[ns, UTC]`, durations int64 nanoseconds, counts unsigned, addresses
    dictionary-encoded text; null means "not there" or "cannot be known".
    progress: called with the number of frames read so far, now and then.
    on_stop: ^C ends the table as its input would, and this is called with what it raised; without, that is raised.
    """

    on_stop: Callable[[BaseException], object] | None = None

    def __init__(self, name: str, start: Callable[[], TableStream], columns: Sequence[str] | None = None) -> None:
        from sniffkit import _core

        self.name = name
        self._start = start
        self._types = {column: kind for column, kind, _ in _core.table_columns(name)}
        self._columns = list(self._types) if columns is None else list(columns)
        for column in self._columns:
            if column not in self._types:
                raise unknown_column(name, column, self._types)
        self.progress: Callable[[int], object] | None = None

    def stream(self) -> TableStream:
        """A fresh stream over the table; an object with `__arrow_c_stream__`."""
        try:
            stream = self._start()
        except OSError as error:
            raise file_error(error) from None
        except ValueError as error:
            raise FilterError(str(error)) from None
        except KeyError as error:  # a rule of the flow table that is none
            raise SniffkitError(f"{self.name}: {error.args[0]}") from None
        stream.progress = self.progress
        return stream

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow PyCapsule interface: polars, duckdb, pyarrow and others read a table directly, batch by batch.

        A damaged capture's warning comes when the last batch has been taken.
        """
        stream = self.stream()
        stream.on_end, stream.on_stop = warn, self.on_stop
        try:
            return stream.__arrow_c_stream__(requested_schema)
        except OSError as error:
            raise file_error(error) from None

    def to_arrow(self) -> pa.Table:
        """A `pyarrow.Table`; its schema metadata says key, timeouts and counters of a flow table."""
        import pyarrow as pa

        stream = self.stream()
        found = []
        try:
            found = stream.finish()
        except OSError as error:
            raise file_error(error) from None
        except KeyboardInterrupt as error:
            if self.on_stop is None:
                raise
            stream.stop()
            self.on_stop(error)
        warn(found)
        return pa.RecordBatchReader.from_stream(stream).read_all()

    def to_pandas(self) -> pd.DataFrame:
        """A `pandas.DataFrame`: UTC timestamps in ns, categoricals, nullable integers and booleans (docs/frames.md)."""
        from sniffkit.frames import to_pandas

        return to_pandas(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        """A `polars.DataFrame`. Needs polars: `pip install 'sniffkit[polars]'`."""
        try:
            import polars as pl
        except ImportError:
            raise MissingToolError("polars is not installed: pip install 'sniffkit[polars]'") from None
        import sniffkit.polarsaccessor  # noqa: F401 - gives frames their `.sk`

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        """Write a Parquet file batch by batch, in bounded memory; returns how many rows."""
        stream = self.stream()
        try:
            rows, found = stream.to_parquet(path)
        except OSError as error:
            raise file_error(error) from None
        warn(found)
        return rows

    def columns(self) -> list[tuple[str, str]]:
        """Column names and their Arrow types. Reads nothing."""
        return [(name, self._types[name]) for name in self._columns]

    def __repr__(self) -> str:
        return f"<sniffkit {self.name} table: .to_pandas() .to_polars() .to_arrow() .to_parquet(path)>"


class Result(Table):
    """Rows that are already there, as an answer to a query; taken like any other table."""

    def __init__(self, name: str, data: pa.Table) -> None:
        self.name = name
        self._data = data

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._data.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        return self._data

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        return write_parquet(self._data, path)

    def columns(self) -> list[tuple[str, str]]:
        return [(column.name, str(column.type)) for column in self._data.schema]


def write_parquet(data: pa.Table, path: str | os.PathLike[str]) -> int:
    """Write rows that are already there to a Parquet file; returns how many."""
    import pyarrow.parquet

    try:
        # Opened here: pyarrow removes what it could not write to, be it a device.
        with open(path, "wb") as file:
            pyarrow.parquet.write_table(data, file)
    except OSError as error:
        raise output_error(path, error) from None
    return int(data.num_rows)


def unknown_column(table: str, name: str, known: Iterable[str]) -> SniffkitError:
    """The error for a column that is not there: what was perhaps meant, and what there is."""
    import difflib

    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return SniffkitError(f"{table}: no column {name!r}{hint} there are: {' '.join(known)}")


def file_error(error: OSError) -> SniffkitError:
    """An error of the core as ours: of the output where it names a file of its own, else of an input."""
    if error.filename is None:
        return CaptureFileError(str(error))
    return output_error(error.filename, error)


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """An output that cannot be written: a bad request, except when the disk fills up underway."""
    import errno

    ours = OutputError(f"{os.fspath(path)}: {error.strerror or error}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        ours.exit_code = 1
    return ours


def warn(found: list[tuple[str, int, str]]) -> None:
    """Issue one `CaptureWarning` for each damaged input: file, offset in bytes, what is wrong."""
    for file, offset, what in found:
        warnings.warn(CaptureWarning(damage_line(file, offset, what)), stacklevel=callers_level())


def damage_line(file: str, offset: int, what: str, kept: str = "rows before are kept") -> str:
    """A warning of the core as a line: file, offset in bytes, what is wrong; `kept` where that ended the input.

    An option that is passed over does not: reading goes on behind it.
    """
    return f"{file}: at byte {offset}: {what}" + ("" if what.endswith(" is passed over") else f"; {kept}")


def callers_level() -> int:
    """How many frames above its caller's caller stands the first that is not sniffkit's: the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "sniffkit":
        level, frame = level + 1, frame.f_back
    return level
