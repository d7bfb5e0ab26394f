"""What is damaged in captures, as lines that a page shows beside an answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sniffkit.errors import CaptureWarning

MOST = 100  # lines; of more, how many


@contextmanager
def damage_caught() -> Iterator[Callable[[], list[str]]]:
    """Keeps each CaptureWarning from being printed; gives what asks for their lines by now, each once. One at a time:
    warnings are the process's.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CaptureWarning)

        def lines() -> list[str]:
            found = list(dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, CaptureWarning)))
            return found[:MOST] + [f"… and {len(found) - MOST} more"] * (len(found) > MOST)

        yield lines
