"""The FILE arguments that commands share, and how damage is reported."""

from __future__ import annotations

import os
import warnings

from sniffkit.cli import say
from sniffkit.errors import CaptureWarning

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from types import TracebackType


def files(given: tuple[str, ...]) -> list[str]:
    """The files to read: those given, else the newest capture, which is named on stderr."""
    if given:
        return list(given)
    from sniffkit.options import newest_capture

    path = newest_capture()
    say(f"sniffkit: reading {path}")
    return [path]


class damage_as_lines:
    """Prints each CaptureWarning as one line on stderr, once however often its file was read; the list holds them."""

    def __enter__(self) -> list[str]:
        # pyarrow imports numpy, whose BLAS starts a thread a core that spins: a third of a short command's time.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self.seen: list[str] = []
        self.catching = warnings.catch_warnings(record=True)
        self.caught = self.catching.__enter__()
        warnings.simplefilter("always", CaptureWarning)
        return self.seen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.catching.__exit__(kind, error, trace)
        if kind is not None:
            return
        for one in self.caught or ():
            if issubclass(one.category, CaptureWarning) and str(one.message) not in self.seen:
                self.seen.append(str(one.message))
                say(f"sniffkit: {one.message}")
