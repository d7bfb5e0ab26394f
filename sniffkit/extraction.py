"""Streams and bodies as files with an index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, NamedTuple

from sniffkit.errors import SniffkitError
from sniffkit.tables import Table, file_error, warn

if TYPE_CHECKING:
    from sniffkit._core import TableStream

Source = str | os.PathLike[str] | IO[bytes]

INDEX = "index.parquet"


class Extracted(NamedTuple):
    """What came of it: rows of the index, files written, bodies or streams without a hole, why others have no file."""

    rows: int
    written: int
    complete: int
    reasons: set[str]


def extract(
    inputs: Sequence[Source],
    directory: str | os.PathLike[str],
    http: bool,
    filter: str | None,
    max_size: int,
    max_total: int | None,
    max_files: int | None,
) -> Extracted:
    """Write the files and the index; see `Capture.extract`."""
    from sniffkit import _core

    path = os.fspath(directory)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror or error}") from None
    name = "files" if http else "streams"

    def start() -> TableStream:
        return _core.open_table(
            *(name, list(inputs), None, filter),
            directory=path,
            max_file=max_size,
            max_total=max_total,
            max_files=max_files,
        )

    stream = Table(name, start).stream()
    try:
        found = stream.finish()
        made = _core.write_index(stream, os.path.join(path, INDEX), os.path.join(path, "index.jsonl"))
    except OSError as error:
        raise file_error(error) from None
    warn(found)
    return Extracted(*made)
