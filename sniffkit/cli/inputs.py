"""The FILE arguments that commands share, and how damage is reported."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sniffkit.errors import CaptureWarning


def files(given: tuple[str, ...]) -> list[str]:
    """The files to read: those given, else the newest capture, which is named on stderr."""
    if given:
        return list(given)
    from sniffkit.options import newest_capture

    path = newest_capture()
    print(f"sniffkit: reading {path}", file=sys.stderr)
    return [path]


@contextmanager
def damage_as_lines() -> Iterator[list[str]]:
    """Prints each CaptureWarning as one line on stderr, once however often its file was read; the list holds them."""
    # pyarrow imports numpy, whose BLAS starts a thread a core that spins: a third of a short command's time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    seen: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CaptureWarning)
        yield seen
    for one in caught:
        if issubclass(one.category, CaptureWarning) and str(one.message) not in seen:
            seen.append(str(one.message))
            print(f"sniffkit: {one.message}", file=sys.stderr)
