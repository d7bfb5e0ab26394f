"""What a command prints, to stdout or to `-o FILE`: as it is, as JSON lines, or as a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = ".txt"

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
    from sniffkit.sinks import SINKS, Output
    from sniffkit.tables import check_output

    if path is None or path == "-":
        return "json" if json else "text"
    check_output(path, inputs)
    suffix = os.path.splitext(path)[1]
    if suffix == TEXT or (any_suffix and suffix not in SINKS):
        Output(os.path.join(os.path.dirname(path), "x.csv"), False, False)  # whether there is such a directory
        if json:
            raise SniffkitError(f"--json and {path} contradict each other")
        return "text"
    if suffix not in SINKS:
        raise SniffkitError(f"{path}: no format for this suffix; there are: {TEXT} {' '.join(SINKS)}")
    Output(path, json, False)
    return "json" if suffix == ".jsonl" else "table"


def put_bytes(pieces: Iterable[bytes], path: str | None) -> None:
    """Write pieces as they come. A file is there once it is whole; after ^C, SIGTERM and SIGHUP as far as they came."""
    if path is None or path == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    from sniffkit.sinks.file import NewFile

    stopped: list[BaseException] = []
    with NewFile(path) as file:
        for piece in until_stopped(pieces, stopped):
            file.write(piece)
    if stopped:
        raise stopped[0]


def put_table(pieces: Iterable[bytes], path: str, schema: pa.Schema, parse: Callable[[bytes], pa.Table]) -> None:
    """Write the rows that `parse` makes of each piece as a table, in the format of the suffix."""
    import pyarrow as pa

    from sniffkit.sinks import Output, put

    stopped: list[BaseException] = []
    batches = (batch for piece in until_stopped(pieces, stopped) for batch in parse(piece).to_batches())
    put(pa.RecordBatchReader.from_batches(schema, batches), Output(path, False, False))
    if stopped:
        raise stopped[0]


def until_stopped(pieces: Iterable[bytes], stopped: list[BaseException]) -> Iterator[bytes]:
    """The pieces until ^C, SIGTERM or SIGHUP, which goes to `stopped`."""
    from sniffkit.interrupts import end_as_on_interrupt

    end_as_on_interrupt()
    try:
        yield from pieces
    except KeyboardInterrupt as error:
        stopped.append(error)


def json_rows(schema: pa.Schema) -> Callable[[bytes], Any]:
    """Of JSON lines, the rows with the columns of `schema`."""
    import io

    from pyarrow import json

    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def rows(piece: bytes) -> Any:
        read = json.ReadOptions(use_threads=False, block_size=len(piece) + 1)
        return json.read_json(io.BytesIO(piece), read_options=read, parse_options=parse).select(schema.names)

    return rows


def tab_rows(schema: pa.Schema) -> Callable[[bytes], Any]:
    """Of lines with tabs between values, which are text; an empty one is null: the frame has no such field."""
    import pyarrow as pa

    def rows(piece: bytes) -> Any:
        lines = [line.split("\t") for line in piece.decode().splitlines()]
        columns = zip(*lines, strict=True) if lines else [[] for _ in schema.names]
        return pa.table([pa.array([value or None for value in one], pa.string()) for one in columns], schema=schema)

    return rows
