"""The formats that the core writes, without pyarrow: Parquet, and lines of text.

Lines are tab-separated, comma-separated (RFC 4180) or JSON objects. Times in them are ISO 8601 in UTC with nanoseconds,
lists are joined by blanks (JSON: arrays), null is nothing (JSON: null).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any


def write(data: Any, out: IO[bytes], suffix: str, limit: int | None = None) -> int:
    """Write `data`, anything with `__arrow_c_stream__`, in the format of that suffix."""
    from sniffkit import _core

    table = _core.TableBytes(data.__arrow_c_stream__(), suffix, limit)
    whole = 0
    try:
        for chunk in chunks(table):
            out.write(chunk)
            whole += len(chunk)
    except KeyboardInterrupt as stopped:
        # Not while the core reads, which ends the table. The rows until then stay where a half one can be taken back:
        # not in stdout, which may have held something before.
        on_stop = None if suffix == ".parquet" or out is sys.stdout.buffer else getattr(data, "on_stop", None)
        if on_stop is None or not out.seekable():
            raise
        out.seek(whole)
        out.truncate()
        on_stop(stopped)
    return table.rows


def chunks(table: Any) -> Iterator[bytes]:
    """The bytes of some rows at a time; an input that cannot be read on is told apart from the output."""
    from sniffkit.tables import file_error

    try:
        yield from table
    except OSError as error:
        raise file_error(error) from None
