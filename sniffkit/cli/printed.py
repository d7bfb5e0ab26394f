"""What a command prints, to stdout or to `-o FILE`: as it is, as JSON lines, or as a table."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sniffkit.errors import CaptureFileError, SniffkitError

if TYPE_CHECKING:
    from types import FrameType

    import pyarrow as pa

T = TypeVar("T")

TEXT = ".txt"
BETWEEN = "\x1f"  # values of a line that becomes a row: fields have no control characters

out_option = click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="Write to FILE instead: .txt as printed, .jsonl, .parquet .csv .arrow; - is stdout.",
)


def kind_of(path: str | None, json: bool, inputs: Sequence[object] = (), any_suffix: bool = False) -> str:
    """`text`, `json` or `table`: what goes to `path` (None or `-`: stdout), by its suffix.

    any_suffix: bytes, which any file may hold. Raises SniffkitError for a file that cannot be, and OutputError for an
    input.
    """
    from sniffkit.sinks import SINKS, Output, need_directory
    from sniffkit.tables import check_output

    if path is None or path == "-":
        return "json" if json else "text"
    check_output(path, inputs)
    suffix = os.path.splitext(path)[1].lower()
    if suffix == TEXT or (any_suffix and suffix not in SINKS):
        need_directory(path)
        if json:
            raise SniffkitError(f"--json and {path} contradict each other")
        return "text"
    if suffix not in SINKS:
        raise SniffkitError(f"{path}: no format for this suffix; there are: {TEXT} {' '.join(SINKS)}")
    Output(path, json, False)
    return "json" if suffix == ".jsonl" else "table"


def pieces(text: Iterable[T]) -> Iterator[T]:
    """What the core reads; an input that cannot be read is told apart from an output that cannot be written."""
    try:
        yield from text
    except OSError as error:
        raise CaptureFileError(str(error)) from None


def put_bytes(pieces: Iterable[bytes], path: str | None) -> None:
    """Write pieces as they come. A file is there once it is whole; after ^C, SIGTERM and SIGHUP as far as they came."""
    if path is None or path == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    from sniffkit.sinks.file import NewFile

    with Ending() as ending, NewFile(path) as file:
        for piece in ending.pieces(pieces):
            file.write(piece)


def put_table(pieces: Iterable[bytes], path: str, schema: pa.Schema, parse: Callable[[bytes], pa.Table]) -> None:
    """Write the rows that `parse` makes of each piece as a table, in the format of the suffix; ended as `put_bytes`."""
    import pyarrow as pa

    from sniffkit.sinks import Output, put

    with Ending() as ending:

        def parsed(piece: bytes) -> pa.Table:
            try:
                return parse(piece)
            except Exception as error:
                ending.failure = error
                raise

        batches = (batch for piece in ending.pieces(pieces) for batch in parsed(piece).to_batches())
        try:
            put(pa.RecordBatchReader.from_batches(schema, batches), Output(path, False, False))
        except Exception:
            if ending.failure is not None:  # which Arrow made a text of
                raise ending.failure from None
            raise


class Ending:
    """Within, ^C, SIGTERM and SIGHUP end what is read and not what is written of it; KeyboardInterrupt is raised behind
    it, and by a second one at once.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None  # what reading, or parsing, raised
        self._asked = self._reading = False
        self._found: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (found := signal.getsignal(number)) != signal.SIG_IGN:  # nohup, or in the background
                self._found[number] = found
                signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked or self._reading:
            self._asked = True
            raise KeyboardInterrupt
        self._asked = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, found in self._found.items():
            signal.signal(number, found)
        if self._asked and kind is None:
            raise KeyboardInterrupt

    def pieces(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces until the end was asked for."""
        left = iter(source)
        while not self._asked:
            try:
                self._reading = True
                piece = next(left, None)
                self._reading = False
            except KeyboardInterrupt:
                self._reading = False
                return
            except Exception as error:
                self._reading, self.failure = False, error
                raise
            if piece is None:
                return
            yield piece


def json_rows(schema: pa.Schema) -> Callable[[bytes], Any]:
    """Of JSON lines, the rows with the columns of `schema`."""
    import io

    from pyarrow import json

    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def rows(piece: bytes) -> Any:
        read = json.ReadOptions(use_threads=False, block_size=len(piece) + 1)
        return json.read_json(io.BytesIO(piece), read_options=read, parse_options=parse).select(schema.names)

    return rows


def field_rows(schema: pa.Schema) -> Callable[[bytes], Any]:
    """Of lines with BETWEEN between values, which are text; an empty one is null: the frame has no such field.

    Raises SniffkitError for a line with more of BETWEEN: tshark prints comments of a capture as they are.
    """
    import pyarrow as pa

    def rows(piece: bytes) -> Any:
        lines = [line.split(BETWEEN) for line in piece.decode(errors="replace").split("\n")[:-1]]
        if any(len(line) != len(schema.names) for line in lines):
            raise SniffkitError(f"a field holds the character {BETWEEN!r}: no table can be made of it; write .txt")
        columns = zip(*lines, strict=True) if lines else [[] for _ in schema.names]
        return pa.table([pa.array([value or None for value in one], pa.string()) for one in columns], schema=schema)

    return rows
