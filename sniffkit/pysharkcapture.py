"""pyshark's FileCapture with an event loop of its own, for where one runs already, as in Jupyter."""

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
    """A `pyshark.FileCapture` that runs in its own loop, and leaves nothing running when it is closed or forgotten.

    Callbacks of `apply_on_packets` are called in that loop's thread.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._own = OwnLoop()
        super().__init__(*arguments, eventloop=self._own, **options)
        weakref.finalize(self, self._own.close, self._running_processes)

    def close(self) -> None:
        """End tshark. Raises pyshark's TSharkCrashException if it had failed."""
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
