"""Streams and bodies as files with an index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from sniffkit.errors import SniffkitError
from sniffkit.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit._core import TableStream

Source = str | os.PathLike[str] | IO[bytes]


def extract(
    inputs: Sequence[Source], directory: str | os.PathLike[str], http: bool, max_size: int, filter: str | None
) -> pa.Table:
    """Write the files and the index; see `Capture.extract`."""
    from sniffkit.sinks import Output, put

    path = os.fspath(directory)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror or error}") from None
    name = "files" if http else "streams"

    def start() -> TableStream:
        from sniffkit import _core

        return _core.open_table(name, list(inputs), None, filter, directory=path, max_file=max_size)

    index = Table(name, start).to_arrow()
    for suffix in ("parquet", "jsonl"):
        put(index, Output(os.path.join(path, f"index.{suffix}"), False, False))
    return index
