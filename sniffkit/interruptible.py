"""Work that ^C ends though it looks at no signal, or makes an error of its own of one, as DuckDB does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
LOOK = 0.1  # s: Python sees a signal once a wait is over where its handler restarts waits, as that of polars does
AGAIN = 0.02  # s between two calls of `stop`: one that comes before the work can be stopped does nothing


def interruptible(work: Callable[[], T], stop: Callable[[], object], patience: float | None = None) -> T:
    """What `work` returns or raises; it is done on a thread of its own, where no signal comes.

    Raises TimeoutError where that takes more than `patience` s.
    After ^C, or whatever else a signal raises, `stop` is called until the work has ended, and that is raised. A second
    ^C does not wait: the work is left to itself.
    """
    import contextlib
    import math
    import threading
    import time

    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()  # a join that ^C interrupts takes the thread for ended (Python 3.11)

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        end = math.inf if patience is None else time.monotonic() + patience
        while not done.wait(min(LOOK, max(end - time.monotonic(), 0))):
            if time.monotonic() >= end:
                raise TimeoutError
    except BaseException:
        while thread.is_alive() and not done.is_set():
            with contextlib.suppress(Exception):  # what it stops may just have ended, and its connection be closed
                stop()
            done.wait(AGAIN)
        errors.clear()  # a cycle that would keep the frames of `work`, and a connection in them
        raise
    if errors:
        raise errors.pop()  # the list would hold the error, and the error this frame
    return results[0]


def connected() -> Any:
    """A `duckdb.DuckDBPyConnection` to an empty database. ^C amid the import of DuckDB would abort the process."""

    def connect() -> Any:
        import duckdb

        # What does not fit into memory goes where no file of anybody is: a query may read that directory, always.
        name = f".sniffkit-{os.urandom(8).hex()}"
        try:
            os.getcwd()
        except OSError:  # it was removed, which DuckDB makes an error of where a path is relative
            import tempfile

            name = os.path.join(tempfile.gettempdir(), name)
        return duckdb.connect(config={"temp_directory": name})

    return interruptible(connect, lambda: None)
