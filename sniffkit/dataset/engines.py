"""Who works on the shares of a job: this process, processes of this machine, an executor, a Dask cluster."""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from numbers import Integral
from typing import IO, Any, Protocol

from sniffkit.dataset.job import MOST_SHARES, Job
from sniffkit.dataset.store import Store
from sniffkit.dataset.work import line_of, run_share
from sniffkit.errors import SniffkitError
from sniffkit.packages import needed
from sniffkit.remote import one_line

Progress = Callable[[int], object]
LOOK_EVERY = 0.5  # seconds between two looks at where distant workers stand
CONNECT_WITHIN = 10  # seconds
MOST_BY_DEFAULT = 8


class Engine(Protocol):
    """Runs a job; `shares` is how many workers there are to share it."""

    shares: int

    def run(self, job: Job, where: Store, progress: Progress | None) -> list[dict[str, Any]]:
        """Work on every share to its end; the last line of each."""


@contextmanager
def engine_of(engine: Any, workers: int | None) -> Iterator[Engine]:
    """The engine that `local`, `dask://host:port` or a concurrent.futures executor names.

    workers: into how many shares flows are shared out, at most MOST_SHARES. By default one for each processor of this
    machine, up to MOST_BY_DEFAULT, because each reads all files; for others one for each of their workers.
    """
    if workers is not None and not isinstance(workers, Integral):
        raise SniffkitError(f"workers is a whole number, not {workers!r}")
    if workers is not None and not 1 <= workers <= MOST_SHARES:
        raise SniffkitError(f"workers is 1 to {MOST_SHARES}, not {workers}")
    if engine is None or engine == "local":
        yield Local(workers or min(MOST_BY_DEFAULT, len(os.sched_getaffinity(0))))
    elif isinstance(engine, str) and engine.startswith("dask://"):
        with dask_client(engine) as client:
            yield Futures(
                client, workers or of(len(client.scheduler_info()["workers"])), {"retries": 10, "pure": False}
            )
    elif isinstance(engine, concurrent.futures.Executor):
        yield Futures(engine, workers or of(int(getattr(engine, "_max_workers", 0))), {})
    else:
        raise SniffkitError(f"no engine {engine!r}; there are: local, dask://HOST:PORT, and in Python any executor")


def of(workers: int) -> int:
    """Shares for so many workers of others."""
    return min(max(workers, 1), MOST_SHARES)


class Local:
    """This process for one worker, a process each for more."""

    def __init__(self, shares: int) -> None:
        self.shares = shares

    def run(self, job: Job, where: Store, progress: Progress | None) -> list[dict[str, Any]]:
        if job.shares == 1:
            return [run_share(job.as_dict(), 0, progress)]
        children: list[Child] = []
        try:
            children.extend(started(job, share) for share in range(job.shares))
            while any(child.thread.is_alive() for child in children):
                for child in children:
                    child.thread.join(LOOK_EVERY / job.shares)
                if progress is not None:
                    progress(min(child.frames for child in children))
                if any(child.error for child in children):
                    break
            for child in children:
                if child.error:
                    raise child.error
            return [child.line for child in children]
        finally:
            for child in children:
                child.stop()


def started(job: Job, share: int) -> Child:
    """A worker that works on a share. Raises SniffkitError where the machine has no room for one more."""
    try:
        return Child(job, share)
    except (OSError, RuntimeError) as error:  # no process, or no thread to listen to it
        why = getattr(error, "strerror", None) or str(error)
        raise SniffkitError(f"worker {share + 1} of {job.shares} cannot be started: {why}", exit_code=1) from None


class Child:
    """A worker in a process of its own, `sniffkit.dataset.worker`. ^C is for its parent alone, which ends it."""

    def __init__(self, job: Job, share: int) -> None:
        self.frames = 0
        self.line: dict[str, Any] = {}
        self.error: SniffkitError | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sniffkit.dataset.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.thread = threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            self.process.kill()
            self.process.communicate()
            raise
        with suppress(BrokenPipeError):  # it has ended already, of which its code tells
            self.process.stdin.write(json.dumps([job.as_dict(), share]))
            self.process.stdin.close()

    def _listen(self, said: IO[str]) -> None:
        for text in said:
            found = json.loads(text)
            self.frames = found.get("frames", self.frames)
            self.line = found.get("line", self.line)
            if "error" in found:
                self.error = SniffkitError(found["error"], exit_code=found["exit_code"])
        code = self.process.wait()
        if code != 0 and self.error is None:
            ended = f"a worker ended ({code}): the same command again goes on where it stopped"
            self.error = SniffkitError(ended, exit_code=1)

    def stop(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        if self.process.stdout is not None:
            self.thread.join()
            self.process.stdout.close()


class Futures:
    """Anything with `submit` and futures: `concurrent.futures` executors and a Dask client.

    Workers must reach the files and the directory by the same names, and have the same version of sniffkit.
    """

    def __init__(self, executor: Any, shares: int, options: dict[str, Any]) -> None:
        self._executor, self.shares, self._options = executor, shares, options

    def run(self, job: Job, where: Store, progress: Progress | None) -> list[dict[str, Any]]:
        plain = job.as_dict()
        futures = [self._executor.submit(run_share, plain, share, **self._options) for share in range(job.shares)]
        try:
            while not all(future.done() for future in futures):
                failed = next((one for one in futures if one.done() and _error(one) is not None), None)
                if failed is not None:
                    break
                for future in futures:
                    if not future.done():
                        _wait(future)
                if progress is not None:
                    lines = [line_of(where, share) for share in range(job.shares)]
                    progress(min(line["place"][0] if line else 0 for line in lines))
            for future in futures:
                if future.done() and (error := _error(future)) is not None:
                    raise _as_ours(error)
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _wait(future: Any) -> None:
    try:
        future.result(LOOK_EVERY)
    except Exception:  # not yet, or failed: looked at by the caller
        return


def _error(future: Any) -> BaseException | None:
    if future.cancelled():
        return SniffkitError("a worker's task was cancelled: the same command again goes on where it stopped")
    error: BaseException | None = future.exception()
    return error


def _as_ours(error: BaseException) -> SniffkitError:
    if isinstance(error, SniffkitError):
        return error
    return SniffkitError(
        f"a worker failed: {type(error).__name__}: {one_line(error)}; the same command again goes on where it stopped",
        exit_code=1,
    )


@contextmanager
def dask_client(url: str) -> Iterator[Any]:
    """A client of the scheduler at `dask://host:port`."""
    distributed = needed("distributed")
    import logging

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised
    address = f"tcp://{url.removeprefix('dask://').rstrip('/')}"
    try:
        client = distributed.Client(address, timeout=CONNECT_WITHIN, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        cause = error.__cause__ or error
        said = one_line(cause) if not isinstance(cause, TimeoutError) else f"no answer within {CONNECT_WITHIN} s"
        raise SniffkitError(f"{url}: the Dask scheduler is not reachable: {said}") from None
    try:
        if not client.scheduler_info()["workers"]:
            raise SniffkitError(
                f"{url}: the Dask scheduler has no workers: dask worker {address.removeprefix('tcp://')}"
            )
        yield client
    finally:
        client.close(timeout=5)
