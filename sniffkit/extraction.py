"""Streams and bodies as files with an index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from sniffkit.errors import SniffkitError
from sniffkit.tables import Table, output_error

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit._core import TableStream

Source = str | os.PathLike[str] | IO[bytes]


def extract(
    inputs: Sequence[Source],
    directory: str | os.PathLike[str],
    http: bool,
    filter: str | None,
    max_size: int,
    max_total: int | None,
    max_files: int | None,
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

        return _core.open_table(
            *(name, list(inputs), None, filter),
            directory=path,
            max_file=max_size,
            max_total=max_total,
            max_files=max_files,
        )

    index = Table(name, start).to_arrow()
    from sniffkit import _core

    parquet = os.path.join(path, "index.parquet")
    try:
        _core.write_parquet(index, parquet)
    except OSError as error:
        raise output_error(parquet, error) from None
    put(index, Output(os.path.join(path, "index.jsonl"), False, False))
    return index
