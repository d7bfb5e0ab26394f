"""The FILE arguments that commands share, and how damage is reported."""

from __future__ import annotations

import os
import warnings

from sniffkit.cli import say
from sniffkit.errors import CaptureWarning, SniffkitError

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO

    from sniffkit.api import Source


def files(given: tuple[str, ...]) -> list[str]:
    """The files to read: those given, else the newest capture, which is named on stderr."""
    if given:
        return list(given)
    from sniffkit.options import newest_capture

    path = newest_capture()
    say(f"sniffkit: reading {path}")
    return [path]


def rereadable(names: list[str]) -> list[Source]:
    """The same files for who reads them several times: what a pipe gives is kept in one without a name until the end.

    Raises SniffkitError where that is more than fits.
    """
    from sniffkit.api import called, is_pipe

    pipes: list[os.stat_result] = []
    sources: list[Source] = []
    for name in names:
        if not is_pipe(name):
            sources.append(name)
            continue
        this = os.stat(0 if name == "-" else name)
        if any(os.path.samestat(this, other) for other in pipes):
            raise SniffkitError(f"{called(name)} can be read once, and is given twice")
        pipes.append(this)
        sources.append(kept(name))
    return sources


def is_standard_input(name: str) -> bool:
    """Whether a name stands for what this process is given to read."""
    from sniffkit.api import is_pipe

    return name == "-" or (is_pipe(name) and os.path.samestat(os.stat(name), os.fstat(0)))


def kept(name: str) -> IO[bytes]:
    """A file without a name that holds what a pipe gives, or standard input where it is a file."""
    import io
    import shutil
    import stat
    import tempfile

    from sniffkit.api import called

    try:
        if name == "-" and stat.S_ISREG(os.fstat(0).st_mode):
            given = io.FileIO(0, closefd=False)
            given.name = called(name)
            return io.BufferedReader(given)
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as pipe:
            raw = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by who reads it
            raw.name = called(name)
            file = io.BufferedRandom(raw)
            shutil.copyfileobj(pipe, file, 1 << 20)
        file.seek(0)
    except OSError as error:
        raise SniffkitError(f"keeping {called(name)} to read it again: {error.strerror}") from None
    return file


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
