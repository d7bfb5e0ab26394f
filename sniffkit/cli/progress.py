"""A counter on stderr for work that takes more than a second; only a terminal shows it."""

from __future__ import annotations

import time

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

QUIET = 1.0  # seconds before anything shows
EVERY = 0.2  # seconds between two counts


class counter:
    """A function to be called with a count now and then, or None where nobody would see it. Leaves no trace behind."""

    def __init__(self, what: str, out: TextIO) -> None:
        self.what, self.out = what, out
        self.start = time.monotonic()
        self.shown = 0.0

    def __enter__(self) -> Callable[[int], None] | None:
        return self.count if self.out.isatty() else None

    def count(self, number: int) -> None:
        """Show a count, if it is time to."""
        now = time.monotonic()
        if now - self.start >= QUIET and now - self.shown >= EVERY:
            self.shown = now
            self.out.write(f"\r\033[K{number:,} {self.what}, {now - self.start:.0f} s")
            self.out.flush()

    def __exit__(self, *_: object) -> None:
        if self.shown:
            self.out.write("\r\033[K")
            self.out.flush()
