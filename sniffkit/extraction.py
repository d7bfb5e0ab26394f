"""Streams and bodies as files with an index."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from sniffkit.errors import OutputError, SniffkitError
from sniffkit.tables import Table, directory_name, file_error, output_error, warn

if TYPE_CHECKING:
    from types import FrameType

    from sniffkit._core import TableStream

CUT = "cut at the limit of one file"
Source = str | os.PathLike[str] | IO[bytes]


class Extracted(NamedTuple):
    """What came of it: rows of the index, files written, bodies or streams without a hole, why others have no file; the
    index, as Parquet and as JSON lines; files that end at the limit of one.
    """

    rows: int
    written: int
    complete: int
    reasons: set[str]
    table: str
    lines: str
    cut: int


def extract(
    inputs: Sequence[Source],
    directory: str | os.PathLike[str],
    http: bool,
    filter: str | None,
    max_size: int,
    max_total: int | None,
    max_files: int | None,
) -> Extracted:
    """Write the files and the index; see `Capture.extract`. After ^C that is what came until then, and it is raised."""
    for limit, value in (("max_size", max_size), ("max_total", max_total), ("max_files", max_files)):
        if value is not None and not 0 <= value < 1 << 64:
            raise SniffkitError(f"{limit} = {value}: needs a number from 0 up to 2**64 - 1")
    path = directory_name(directory)
    with new_directory(path):
        return _extract(inputs, path, "files" if http else "streams", filter, max_size, max_total, max_files)


@contextmanager
def new_directory(path: str) -> Iterator[None]:
    """Make a directory and those above it; after an error within, those of them that are empty are removed again."""
    made, above = [], path
    while above and not os.path.lexists(above):
        made.append(above)
        above = os.path.dirname(above)
    try:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise SniffkitError(f"{path}: {error.strerror or error}") from None
        yield
    except BaseException:
        for one in made:
            with suppress(OSError):
                os.rmdir(one)
        raise


def _extract(
    inputs: Sequence[Source],
    path: str,
    name: str,
    filter: str | None,
    max_size: int,
    max_total: int | None,
    max_files: int | None,
) -> Extracted:
    from sniffkit import _core

    def start() -> TableStream:
        return _core.open_table(
            *(name, list(inputs), None, filter),
            directory=path,
            max_file=max_size,
            max_total=max_total,
            max_files=max_files,
        )

    stream = Table(name, start).stream()
    index = claim_index(path)
    before = set(os.listdir(path))
    stopped: KeyboardInterrupt | None = None
    found: list[tuple[str, int | None, str]] = []
    try:
        with one_interrupt():
            try:
                found = stream.finish()
            except KeyboardInterrupt as error:
                # What is there by now is whole files and the beginnings of others: all of them get their rows.
                stopped = error
                stream.stop()
            made = _core.write_index(stream, *index)
    except BaseException as error:
        for claim in index:
            # Only a claim is taken back: an index that is there is kept, whatever was raised behind it.
            with suppress(FileNotFoundError):
                if os.path.getsize(claim) == 0:
                    os.unlink(claim)
        if isinstance(error, OSError):
            failed = file_error(error)
            if isinstance(failed, OutputError):  # of the index: the files are there
                total = None if stopped is not None else counted(inputs, name, filter)
                failed = without_index(failed, path, before, total)
            raise failed from None
        raise
    rows, _, complete, _ = made
    cut = note_cut(*index, max_size) if complete < rows else 0
    warn(found)
    if stopped is not None:
        raise stopped
    return Extracted(*made, *index, cut)


def counted(inputs: Sequence[Source], name: str, filter: str | None) -> int | None:
    """How many rows the index would have had: read again, where the inputs are files; None where they are not."""
    from sniffkit import _core

    if not all(isinstance(one, (str, os.PathLike)) and one != "-" and os.path.isfile(one) for one in inputs):
        return None
    try:
        return _core.write_index(_core.open_table(name, list(inputs), None, filter), os.devnull, os.devnull)[0]
    except OSError:
        return None


def without_index(failed: OutputError, directory: str, before: set[str], total: int | None) -> OutputError:
    """The error with what is there all the same: files that were not there before, of so many (None: not known)."""
    try:
        files = len(set(os.listdir(directory)) - before)
    except OSError:
        return failed
    if total is None:
        said = f"{files} files written to {directory}, how many were not is not known"
    else:
        said = f"{files} of {total} files written to {directory}, {max(total - files, 0)} not"
    return OutputError(f"{failed}: no index; {said}", exit_code=failed.exit_code)


def note_cut(table: str, lines: str, max_size: int) -> int:
    """Put down in an index, as `write_error`, which files have only the first `max_size` bytes; how many have."""
    with open(lines, "rb") as file:
        cut = [is_cut(json.loads(line), max_size) for line in file]
    if any(cut):
        import pyarrow as pa
        import pyarrow.parquet as pq

        from sniffkit.sinks import core
        from sniffkit.sinks.file import NewFile

        data = pq.read_table(table)
        at = data.schema.get_field_index("write_error")
        said = [CUT if one else error for one, error in zip(cut, data.column(at).to_pylist(), strict=True)]
        data = data.set_column(at, data.schema.field(at), pa.array(said, pa.string()).dictionary_encode())
        for name, suffix in ((table, ".parquet"), (lines, ".jsonl")):
            with NewFile(name) as file:
                core.write(data, file, suffix)
    return sum(cut)


def is_cut(row: dict[str, Any], max_size: int) -> bool:
    """Whether the file of a row of the index ends where it was as long as may be."""
    if row["path"] is None or row["complete"]:
        return False
    return bool(row["size"] > max_size or row.get("reason") == "decoded body longer than the limit")


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Within, the first ^C is raised and those behind it are not, nor SIGTERM and SIGHUP where those are handled: what
    it has begun is brought to its end. Only Python's main thread gets signals; in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised = False

    def once(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if raised:
            return
        try:
            handlers[number](number, frame)
        except BaseException:
            raised = True
            raise

    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    handlers = {int(number): handler for number, handler in found.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, once)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def claim_index(directory: str) -> tuple[str, str]:
    """Names for the index as Parquet and as JSON lines, index.* or the first index-N.* of which nothing is there: empty
    files, so that neither a body nor another run takes them.
    """
    for number in itertools.count(1):
        stem = os.path.join(directory, "index" if number == 1 else f"index-{number}")
        names = (f"{stem}.parquet", f"{stem}.jsonl")
        made: list[str] = []
        try:
            for name in names:
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                made.append(name)
        except OSError as error:
            for name in made:
                os.unlink(name)
            if not isinstance(error, FileExistsError):
                raise output_error(name, error) from None
        else:
            return names
    raise AssertionError("there are endless numbers")
