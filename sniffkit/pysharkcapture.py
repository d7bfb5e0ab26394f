"""pyshark's FileCapture that tells of damage as sniffkit does; and with an event loop of its own, for where one runs
already, as in Jupyter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Coroutine
from typing import Any

import pyshark
from pyshark.capture.capture import TSharkCrashException

from sniffkit.errors import SniffkitError
from sniffkit.handover import is_damage, tell_damage, tshark_error

PATIENCE = 1.0  # s for a killed tshark to be gone, as pyshark has it


class OwnLoop:
    """What pyshark asks of an event loop, which runs in a thread of its own from the first work until `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def run_until_complete(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What `work` returns or raises; ^C ends it too."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a capture cannot be read from within its own callback")
        if self._loop is not None and self._process != os.getpid():
            work.close()
            raise RuntimeError("a forked child cannot read on in its parent's capture: open it anew")
        if self._loop is None:
            self._process = os.getpid()
            if sys.version_info < (3, 12):  # pyshark's own captures leave one that waits for the main thread's loop
                asyncio.set_child_watcher(asyncio.ThreadedChildWatcher())
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(loop,), name="sniffkit-pyshark", daemon=True)
            self._thread.start()
        told = asyncio.run_coroutine_threadsafe(_caught(work), self._loop)
        try:
            value, end = told.result()
        finally:
            told.cancel()
        if end is not None:
            raise end
        return value

    @property
    def is_used(self) -> bool:
        """Whether anything was done in it since it was closed."""
        return self._loop is not None

    def close(self, processes: set[Any]) -> None:
        """Kill the processes that still run and end the thread; the next work has a new one.

        The parent's are none of a forked child's.
        """
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or self._process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(_end(loop, processes.copy()), loop)
        processes.clear()
        if threading.current_thread() is not thread:
            thread.join(2 * PATIENCE)


async def _caught(work: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """What `work` returns, or a callback's wish to end the program: raised in the loop, it would end that alone."""
    try:
        return await work, None
    except (SystemExit, KeyboardInterrupt) as end:
        return None, end


async def _end(loop: asyncio.AbstractEventLoop, processes: set[Any]) -> None:
    for process in processes:
        process._transport.close()  # its pipes too, of which kill() leaves those that hold something open
    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        async with asyncio.timeout(PATIENCE):
            for process in processes:
                await process.wait()
    loop.stop()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))  # they end, and so do pipes
    finally:
        loop.close()


class FileCapture(pyshark.FileCapture):  # type: ignore[misc]
    """A `pyshark.FileCapture` that gives the packets before a damage, and a `CaptureWarning` behind them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._told: dict[Any, asyncio.Future[list[str]]] = {}  # what tshark says, by the stream that it says it in
        super().__init__(*arguments, **options)

    def _create_stderr_handling_task(self, stderr: asyncio.StreamReader) -> None:
        super()._create_stderr_handling_task(stderr)
        self._told[stderr] = self._stderr_handling_tasks[-1]

    async def _handle_process_stderr_forever(self, stderr: asyncio.StreamReader) -> list[str]:
        """As pyshark's, which forgets all lines but the last."""
        lines = []
        while line := await stderr.readline():
            self._last_error_line = line.decode(errors="replace").strip()
            self._log.debug(self._last_error_line)
            lines.append(self._last_error_line)
        return lines

    async def _cleanup_subprocess(self, process: Any) -> None:
        """End tshark. Raises SniffkitError if it had failed, but for a damage, of which it warns."""
        all_is_read = process.stdout.at_eof()
        if all_is_read:  # how it ends is known a little later
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), PATIENCE)
        told = self._told.pop(process.stderr, None)
        try:
            await super()._cleanup_subprocess(process)
        except TSharkCrashException:
            self._running_processes.discard(process)  # it would be told again
            lines = [] if told is None else await told
            if not is_damage(lines):
                raise SniffkitError(tshark_error(lines, process.returncode)) from None
            if all_is_read:
                tell_damage(str(self.input_filepath), lines)

    def __del__(self) -> None:
        """As pyshark's; a loop that was closed meanwhile, or runs for another capture, cannot end tshark any more."""
        processes: set[Any] = getattr(self, "_running_processes", set())
        if processes and (self.eventloop.is_closed() or self.eventloop.is_running()):
            for process in processes:
                with contextlib.suppress(ProcessLookupError, RuntimeError):
                    process.kill()
        elif processes:
            super().__del__()


class ThreadedFileCapture(FileCapture):
    """A `FileCapture` that runs in its own loop, and leaves nothing running when it is closed or forgotten.

    Callbacks of `apply_on_packets` are called in that loop's thread.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._own = OwnLoop()
        super().__init__(*arguments, eventloop=self._own, **options)
        weakref.finalize(self, self._own.close, self._running_processes)

    def close(self) -> None:
        """End tshark. Raises SniffkitError if it had failed."""
        processes = self._running_processes.copy()
        try:
            super().close()
        finally:
            self._running_processes.clear()
            self._stderr_handling_tasks.clear()  # which belong to the loop that ends
            self._own.close(processes)

    async def __aexit__(self, *_: object) -> None:
        """As `close`, where anything was read by its own loop."""
        await (asyncio.to_thread(self.close) if self._own.is_used else self.close_async())

    def __del__(self) -> None:
        """What pyshark does here is done by then, and cannot be where `__init__` has failed."""
