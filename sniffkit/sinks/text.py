"""Lines of text, laid out by the core: tab-separated, comma-separated (RFC 4180), JSON objects.

Times are ISO 8601 in UTC with nanoseconds, lists are joined by blanks (JSON: arrays), null is nothing (JSON: null).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any


def write(data: Any, out: IO[bytes], suffix: str, limit: int | None = None) -> int:
    """Write `data`, anything with `__arrow_c_stream__`, as lines; header line first, but for JSON."""
    from sniffkit import _core

    lines = _core.TableLines(data.__arrow_c_stream__(), suffix, limit)
    for chunk in chunks(lines):
        out.write(chunk)
    return lines.rows


def chunks(lines: Any) -> Iterator[bytes]:
    """The lines of some rows at a time; an input that cannot be read on is told apart from the output."""
    from sniffkit.tables import file_error

    try:
        yield from lines
    except OSError as error:
        raise file_error(error) from None
