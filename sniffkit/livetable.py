"""A table that grows while its capture runs: frames go through a pipe from the capture to the core's table."""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from sniffkit.errors import CaptureError
from sniffkit.points import point, start, utf8

if TYPE_CHECKING:
    from sniffkit._core import TableStream

WAITING = 64  # chunks between the core and whoever shows them


class LiveTable:
    """Rows of table `kind` as they come. Live when this returns; ends by `stop()`, `duration` (s) or its interfaces.

    snap_len: bytes kept of each frame. known: given the names of the points, what is known of their addresses; it and
    gateways: see `_core.open_table`. between: called with the stream after each chunk, on the thread that reads, where
    the stream may be asked for what it knows. news: seconds between two chunks of what is new: of tables whose rows
    come at the end, whose last column is `news` then, and of those whose rows wait for earlier ones.
    """

    def __init__(
        self,
        kind: str,
        points: Sequence[str],
        netns: str | None = None,
        duration: float | None = None,
        snap_len: int | None = None,
        known: Callable[[list[str]], list[Any]] | None = None,
        filter: str | None = None,
        between: Callable[[TableStream, bool], None] | None = None,
        gateways: Sequence[str] = (),
        news: float | None = None,
    ) -> None:
        from sniffkit import _core

        utf8(*points, netns, filter)
        self._kind, self._gateways, self._between, self._news = kind, list(gateways), between, news
        self._chunks: queue.Queue[Any] = queue.Queue(WAITING)
        self._failure: BaseException | None = None
        reading, writing = os.pipe()
        options = _core.LiveOptions()
        options.write, options.format = f"/dev/fd/{writing}", "pcapng"
        options.duration, options.snap_len, options.filter = duration, snap_len, filter
        try:
            self.session = start([point(text, netns) for text in points], options)
            # The capture opens its end by name; until it has, ours must stay. Its first bytes show it.
            while not select.select([reading], [], [], 0.05)[0] and not self.session.wait(0):
                continue
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)  # now the pipe ends when the capture does
        try:
            self._known = None if known is None else known(self.session.names)
        except BaseException:
            self.session.stop()
            os.close(reading)
            raise
        self._thread = threading.Thread(target=self._read, args=(reading,), name="live table", daemon=True)
        self._thread.start()

    def _read(self, reading: int) -> None:
        from sniffkit import _core

        try:
            inputs: list[Any] = [f"/dev/fd/{reading}"]
            stream = _core.open_table(self._kind, inputs, known=self._known, gateways=self._gateways)
            due = time.monotonic()
            while (chunk := stream.step()) is not None:
                self._chunks.put(chunk)
                if self._news is not None and time.monotonic() >= due:
                    self._tell(stream)
                    due = time.monotonic() + self._news
                if self._between is not None:
                    self._between(stream, False)
            self._tell(stream)
            if self._between is not None:
                self._between(stream, True)
        except BaseException as error:
            self._failure = error
        finally:
            os.close(reading)  # not before: the core opens its end by name when it first reads
            self._chunks.put(None)

    def _tell(self, stream: TableStream) -> None:
        if self._news is not None and (chunk := stream.news()) is not None:
            self._chunks.put(chunk)

    def stop(self) -> None:
        """End the capture; rows of what it holds by then still come."""
        self.session.stop()

    def stop_on_signals(self) -> None:
        """From now on ^C, SIGTERM and SIGHUP end the capture, not the rows under way; a second one ends all."""

        def end(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.default_int_handler)
            self.stop()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, end)

    def __iter__(self) -> Iterator[Any]:
        """Chunks as pyarrow.Table, until the capture ends."""
        import pyarrow as pa

        while True:
            try:
                chunk = self._chunks.get(timeout=0.2)
            except queue.Empty:
                continue  # a turn for signals
            if chunk is None:
                break
            table = pa.table(chunk)
            if table.num_rows:
                yield table
        self._thread.join()
        self.session.wait()
        if self._failure is not None:
            raise self._failure
        if self.session.error:
            raise CaptureError(self.session.error)

    @property
    def dropped(self) -> int:
        """Frames that the kernel dropped; after the end."""
        return sum(one[2] for one in self.session.stats())
