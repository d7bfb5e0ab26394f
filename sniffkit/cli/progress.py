"""A counter on stderr for work that takes more than a second; only a terminal shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

QUIET = 1.0  # seconds before anything shows
EVERY = 0.2  # seconds between two counts


@contextmanager
def counter(what: str, out: TextIO) -> Iterator[Callable[[int], None] | None]:
    """A function to be called with a count now and then, or None where nobody would see it. Leaves no trace behind."""
    if not out.isatty():
        yield None
        return
    start = time.monotonic()
    shown = 0.0

    def count(number: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - start >= QUIET and now - shown >= EVERY:
            shown = now
            out.write(f"\r\033[K{number:,} {what}, {now - start:.0f} s")
            out.flush()

    try:
        yield count
    finally:
        if shown:
            out.write("\r\033[K")
            out.flush()
