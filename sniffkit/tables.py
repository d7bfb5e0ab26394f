"""Tables: what a capture becomes. Each can be taken as pandas, polars, Arrow or Parquet, or as an Arrow stream."""

from __future__ import annotations

import os
import sys
import warnings

from sniffkit.errors import CaptureFileError, CaptureWarning, FilterError, OutputError, SniffkitError

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType
    from typing import Any

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from sniffkit._core import TableStream

    Damage = tuple[str, int | None, str]  # file, offset in bytes, what is wrong; or filter, None, what
    Line = tuple[str, int, str, dict[Any, Any]]  # file, number, module, what was warned of there


def _is_none_of_polars(kind: Any) -> bool:
    """Whether an Arrow type is an interval or a union, or holds one."""
    name = str(kind).partition("<")[0].partition("[")[0]
    inner = [kind.field(at).type for at in range(kind.num_fields)]
    return "interval" in name or "union" in name or any(map(_is_none_of_polars, inner))


class Table:
    """One table of one or more captures. It is read anew each time it is asked for, so it holds no rows itself.

    Rows are in capture order; times are `timestamp[ns, UTC]`, durations int64 nanoseconds, counts unsigned, addresses
    dictionary-encoded text; null means "not there" or "cannot be known".
    progress: called with the number of frames read so far, now and then.
    on_stop: ^C ends the table as its input would, and this is called with what it raised; without, that is raised.
    on_end: called with what is damaged in the input, at its end; without, `CaptureWarning`s are issued.
    """

    on_stop: Callable[[BaseException], object] | None = None
    on_end: Callable[[list[Damage]], object] | None = None
    inputs: Sequence[object] = ()

    def __init__(
        self,
        name: str,
        start: Callable[[], TableStream],
        columns: Sequence[str] | None = None,
        inputs: Sequence[object] = (),
    ) -> None:
        from sniffkit import _core

        self.name, self.inputs = name, inputs
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
        except (ValueError, OverflowError, KeyError, TypeError) as error:
            raise wrong_request(error, self.name) from None
        stream.progress = self.progress
        return stream

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow PyCapsule interface: polars, duckdb, pyarrow and others read a table directly, batch by batch.

        A damaged capture's warning comes when the last batch has been taken.
        """
        stream = self.stream()
        stream.on_end, stream.on_stop = self.on_end or Telling(), self.on_stop
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
        (self.on_end or warn)(found)
        return pa.RecordBatchReader.from_stream(stream).read_all()

    def to_pandas(self) -> pd.DataFrame:
        """A `pandas.DataFrame`: UTC timestamps in ns, categoricals, nullable integers and booleans (docs/frames.md)."""
        from sniffkit.frames import to_pandas

        return to_pandas(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        """A `polars.DataFrame`. Needs polars: `pip install 'sniffkit[polars]'`.

        `uid` is text in every table: polars joins no dictionary of one with the text of another. Raises SniffkitError
        for what polars has no type for, as SQL's intervals.
        """
        from sniffkit.packages import needed

        polars = needed("polars")
        import sniffkit.polarsaccessor  # noqa: F401 - gives frames their `.sk`

        data = self.to_arrow()
        for field in data.schema:
            if _is_none_of_polars(field.type):  # within others polars ends in a panic that is no Exception
                raise SniffkitError(f"no polars frame can hold this: {field.name} is {field.type}")
        try:
            frame: pl.DataFrame = polars.from_arrow(data)
        except polars.exceptions.PolarsError as error:
            raise SniffkitError(f"no polars frame can hold this: {str(error).partition('. Hint')[0]}") from None
        is_coded = frame.schema.get("uid") in (polars.Categorical, polars.Enum)
        return frame.with_columns(polars.col("uid").cast(polars.String)) if is_coded else frame

    def to_parquet(self, path: str | bytes | os.PathLike[str]) -> int:
        """Write a Parquet file batch by batch, in bounded memory; returns how many rows.

        Raises OutputError if it cannot be written, or is one of the captures.
        """
        try:
            path = os.fsdecode(path)
        except TypeError:
            raise OutputError(f"a table is written to a file's name, not to {path!r}") from None
        if "://" in path:
            raise OutputError(f"{path}: a table is written to this machine's files; to_dataset writes to URLs")
        check_output(path, self.inputs)
        return self._write_parquet(path)

    def _write_parquet(self, path: str | os.PathLike[str]) -> int:
        stream = self.stream()
        try:
            rows, found = stream.to_parquet(path)
        except OSError as error:
            raise file_error(error) from None
        (self.on_end or warn)(found)
        return rows

    def columns(self) -> list[tuple[str, str]]:
        """Column names and their Arrow types. Reads nothing."""
        return [(name, self._types[name]) for name in self._columns]

    def __repr__(self) -> str:
        return f"<sniffkit {self.name} table: .to_pandas() .to_polars() .to_arrow() .to_parquet(path)>"


class Result(Table):
    """Rows that are already there, as an answer to a query; taken like any other table.

    inputs: the captures that they were made of, which no file of them replaces.
    """

    def __init__(self, name: str, data: pa.Table, inputs: Sequence[object] = ()) -> None:
        self.name, self.inputs = name, inputs
        self._data = data

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._data.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        return self._data

    def _write_parquet(self, path: str | os.PathLike[str]) -> int:
        import pyarrow as pa
        import pyarrow.parquet

        from sniffkit.sinks.file import NewFile

        try:
            with NewFile(path) as file:
                pyarrow.parquet.write_table(self._data, file)
        except pa.ArrowNotImplementedError as error:
            raise SniffkitError(f"no Parquet file can hold this: {error}") from None
        return int(self._data.num_rows)

    def columns(self) -> list[tuple[str, str]]:
        return [(column.name, str(column.type)) for column in self._data.schema]


def unknown_column(table: str, name: str, known: Iterable[str]) -> SniffkitError:
    """The error for a column that is not there: what was perhaps meant, and what there is."""
    import difflib

    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return SniffkitError(f"{table}: no column {name!r}{hint} there are: {' '.join(known)}")


def chosen(columns: Iterable[str] | None) -> list[str] | None:
    """Names of columns as callers give them: one, or several, of which each is one column; None is all of them."""
    if columns is None or isinstance(columns, str):
        return None if columns is None else [columns]
    names: list[Any] = list(columns) if hasattr(columns, "__iter__") else [columns]
    for name in names:
        if not isinstance(name, str):
            raise SniffkitError(f"columns are names, not {name!r}")
    return list(dict.fromkeys(names))


def numbers(table: str, rules: dict[str, Any] | None) -> dict[str, float]:
    """Rules of the flow table as floats, whatever numbers they are given as. Raises SniffkitError for what is none."""
    made = {}
    for rule, value in (rules or {}).items():
        try:
            if not hasattr(value, "__float__"):  # a text has digits, but is no number
                raise TypeError
            made[rule] = float(value)
        except OverflowError as error:
            raise wrong_request(error, table) from None
        except (TypeError, ValueError):
            raise SniffkitError(f"{table}: {rule} is a number, not {value!r}") from None
        if rule.startswith("max_") and made[rule] % 1:
            raise SniffkitError(f"{table}: {rule} is a whole number, not {value!r}")
    return made


def wrong_request(error: Exception, table: str) -> SniffkitError:
    """An error of the core as ours: a wrong filter, a rule of the flow table that is none, an address that is none."""
    if isinstance(error, OverflowError):
        return SniffkitError(f"{table}: a rule that is no number of seconds: {error}")
    text = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    # One that is no text for others is none for libpcap.
    if text.startswith("bad filter") or isinstance(error, UnicodeError):
        return FilterError(text)
    return SniffkitError(f"{table}: {text}")


def check_output(path: str | os.PathLike[str], inputs: Sequence[object]) -> None:
    """Raises OutputError for a table that would replace what it is made of, and for a path that can be none."""
    if "\0" in os.fsdecode(path):
        raise OutputError(f"{os.fsdecode(path)!r}: not the name of a file")
    for one in inputs:
        source = one if isinstance(one, (str, os.PathLike)) else getattr(one, "name", None)
        if isinstance(source, str) and "://" in source:
            from sniffkit.remote import local_path

            source = local_path(source)
        try:
            same = isinstance(source, (str, os.PathLike)) and os.path.samefile(source, path)
        except (OSError, ValueError, TypeError):
            continue  # one of them is not there, or not a path
        if same:
            raise OutputError(f"{os.fspath(path)}: is the capture that is read: choose another name")


def directory_name(path: str | bytes | os.PathLike[str]) -> str:
    """The name of a directory to write to. Raises OutputError for what can be none."""
    name = os.fsdecode(path)
    if not name or "\0" in name:
        raise OutputError(f"{name!r}: not the name of a directory")
    return name


def file_error(error: OSError) -> SniffkitError:
    """An error of the core as ours: of the output where it names a file of its own, else of an input."""
    if error.filename is None:
        return CaptureFileError(str(error))
    return output_error(error.filename, error)


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """An output that cannot be written: a bad request, except when the disk fills up underway."""
    import errno

    underway = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    return OutputError(f"{os.fspath(path)}: {error.strerror or error}", exit_code=1 if underway else None)


class Telling:
    """Tells what is damaged in inputs, each damage once, at the line that asked for their tables: those that others
    take batch by batch end on threads of their own.
    """

    def __init__(self) -> None:
        self._line = callers_line()
        self._told: set[str] = set()

    def __call__(self, found: list[Damage]) -> None:
        for one in found:
            self.say(damage_line(*one))

    def say(self, line: str) -> None:
        """Tell what is a line already."""
        if line not in self._told:
            self._told.add(line)
            issue(CaptureWarning(line), self._line)


def warn(found: list[Damage]) -> None:
    """Issue one `CaptureWarning` for each damaged input: file, offset in bytes, what is wrong."""
    if found:
        Telling()(found)


def issue(warning: Warning, line: Line) -> None:
    """Issue a warning at a line."""
    warnings.warn_explicit(warning, type(warning), *line)


def damage_line(file: str, offset: int | None, what: str, kept: str = "rows before are kept") -> str:
    """A warning of the core as a line: file, offset in bytes, what is wrong; `kept` where that ended the input.

    An option that is passed over does not: reading goes on behind it. Nor does a link type that a filter cannot judge,
    which is at no offset.
    """
    if offset is None:
        return f"{file}: {what}"
    return f"{file}: at byte {offset}: {what}" + ("" if what.endswith(" is passed over") else f"; {kept}")


def callers_line() -> Line:
    """The user's line: the nearest that is neither sniffkit's nor of a library between. A library that asks on a thread
    of its own is waited for in the main one; where that shows none either, it is whoever called sniffkit first.
    """
    import _thread

    threads = sys.modules.get("threading")  # whoever has none is in the main one
    main = (threads.main_thread().ident if threads else _thread.get_ident()) or 0
    first = sys._getframe(1)
    while first.f_back is not None and _is_ours(first):
        first = first.f_back
    for start in (first, sys._current_frames().get(main)):
        frame = start
        while frame is not None and (_is_ours(frame) or _is_a_librarys(frame.f_code.co_filename)):
            frame = frame.f_back
        if frame is not None:
            first = frame
            break
    told: dict[Any, Any] = first.f_globals.setdefault("__warningregistry__", {})
    return first.f_code.co_filename, first.f_lineno, str(first.f_globals.get("__name__")), told


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "sniffkit"


def _is_a_librarys(file: str) -> bool:
    own = (os.path.dirname(os.__file__) + os.sep, "<frozen ")
    return file.startswith(own) or "site-packages" in file or "dist-packages" in file
