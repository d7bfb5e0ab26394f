"""Tables: what a capture becomes. Each can be taken as pandas, polars, Arrow or Parquet, or as an Arrow stream."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sniffkit.errors import CaptureFileError, CaptureWarning, FilterError, MissingToolError, SniffkitError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from sniffkit._core import TableStream


class Table:
    """One table of one or more captures. It is read anew each time it is asked for, so it holds no rows itself.

    Rows are in capture order; times are `timestamp[ns, UTC]`, durations int64 nanoseconds, counts unsigned, addresses
    dictionary-encoded text; null means "not there" or "cannot be known".
    """

    def __init__(self, name: str, start: Callable[[], TableStream]) -> None:
        self.name = name
        self._start = start

    def stream(self) -> TableStream:
        """A fresh stream over the table; an object with `__arrow_c_stream__`."""
        try:
            return self._start()
        except OSError as error:
            raise CaptureFileError(str(error)) from None
        except ValueError as error:
            raise FilterError(str(error)) from None
        except KeyError as error:
            raise SniffkitError(f"{self.name}: {error.args[0]}") from None

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow PyCapsule interface: polars, duckdb, pyarrow and others read a table directly."""
        stream = self.stream()
        self._finish(stream)
        return stream.__arrow_c_stream__(requested_schema)

    def _finish(self, stream: TableStream) -> None:
        try:
            found = stream.finish()
        except OSError as error:
            raise CaptureFileError(str(error)) from None
        warn(found)

    def to_arrow(self) -> pa.Table:
        """A `pyarrow.Table`; its schema metadata says key, timeouts and counters of a flow table."""
        import pyarrow as pa

        return pa.table(self)

    def to_pandas(self) -> pd.DataFrame:
        """A `pandas.DataFrame`: UTC timestamps, categoricals, and nullable integers where a value can be missing."""
        from sniffkit.frames import to_pandas

        return to_pandas(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        """A `polars.DataFrame`. Needs polars: `pip install 'sniffkit[polars]'`."""
        try:
            import polars as pl
        except ImportError:
            raise MissingToolError("polars is not installed: pip install 'sniffkit[polars]'") from None
        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        """Write a Parquet file batch by batch, in bounded memory; returns how many rows."""
        stream = self.stream()
        try:
            rows, found = stream.to_parquet(path)
        except OSError as error:
            raise CaptureFileError(str(error)) from None
        warn(found)
        return rows

    def columns(self) -> list[tuple[str, str]]:
        """Column names and their Arrow types."""
        return self.stream().columns()

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
        import pyarrow.parquet

        try:
            pyarrow.parquet.write_table(self._data, path)
        except OSError as error:
            raise SniffkitError(f"{os.fspath(path)}: {error.strerror or error}") from None
        return int(self._data.num_rows)

    def columns(self) -> list[tuple[str, str]]:
        return [(column.name, str(column.type)) for column in self._data.schema]


def warn(found: list[tuple[str, int, str]]) -> None:
    """Issue one `CaptureWarning` for each damaged input: file, offset in bytes, what is wrong."""
    for file, offset, what in found:
        warnings.warn(CaptureWarning(f"{file}: at byte {offset}: {what}; rows before are kept"), stacklevel=4)
