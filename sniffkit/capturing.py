"""Live capture: `sk.capture("ns1/veth1", "ns2/veth2", write="x.pcapng")`."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from sniffkit.api import Capture
from sniffkit.api import open as open_capture
from sniffkit.errors import CaptureWarning, SniffkitError
from sniffkit.options import capture_format
from sniffkit.points import (
    MOST_RING_KIB,
    file_name,
    incomplete,
    namespace,
    parquet_of,
    point,
    settle,
    start,
    utf8,
    within,
)
from sniffkit.tables import Table, callers_line, issue


class PointStats(NamedTuple):
    """Counters of one capture point; `captured + dropped + rejected == received` once it has ended.

    received: frames that the kernel's filter let through, those it then dropped included; dropped: frames that found
    the ring full; rejected: let through by the kernel but not by the exact filter, or behind the end that was asked
    for (a count, a last file) or after an error.
    """

    name: str
    captured: int
    received: int
    dropped: int
    rejected: int


class TemporaryPath(str):
    """The name of a file that goes with this object: with the last capture or table that may still read it."""

    def __new__(cls, path: str) -> TemporaryPath:
        made = super().__new__(cls, path)
        weakref.finalize(made, remove, path, os.getpid())
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # a copy owns nothing


def remove(path: str, process: int) -> None:
    """Remove a file of this process: a forked child has the object too, and not the file."""
    if os.getpid() == process:
        Path(path).unlink(missing_ok=True)


def end(session: Any, process: int) -> None:
    """End a capture that nobody holds any more: its flow table is written then. A forked child has none of it."""
    if os.getpid() == process:
        session.stop()
        session.wait()


def from_here(path: str) -> str:
    """A name that stays right when the process goes elsewhere; as it is where that cannot be said in UTF-8."""
    try:
        here = os.path.join(os.getcwd(), path)
        here.encode()
    except (OSError, UnicodeError):
        return path
    return here


class LiveCapture:
    """A running capture. It is live from the moment it exists; leaving the `with` block stops it.

    `flows()` and `packets()` end it and give the tables of what was captured.
    """

    def __init__(
        self, session: Any, path: str, source: str, table: str | None = None, flows: str | None = None
    ) -> None:
        self._session = session
        self._source = source  # wherever the process goes
        self._table, self._flows = table, flows  # the flow table as it is written while capturing, and as asked for
        self._process = os.getpid()
        self._ending = threading.RLock()  # a signal's handler may come in between
        self.path = path
        self._settled = False
        if isinstance(source, TemporaryPath):  # one that writes to a pipe may never end
            weakref.finalize(self, end, session, self._process)

    @property
    def ready(self) -> bool:
        """Whether it captures: until it is stopped or has ended by itself, which a forked child does not see."""
        return not self._settled and (os.getpid() != self._process or not self._session.wait(0))

    @property
    def frames(self) -> int:
        """Frames captured so far."""
        return int(self._session.frames)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the capture ends by itself (count, duration, interfaces gone); `True` when it has ended."""
        return bool(self._session.wait(seconds))

    def wait_for(self, frames: int, seconds: float = 10.0) -> bool:
        """Wait until at least so many frames are there; `False` if they are not after `seconds`."""
        until = time.monotonic() + seconds
        while self.frames < frames:
            if time.monotonic() > until or self._session.wait(0.01):
                return self.frames >= frames
        return True

    def stop(self) -> None:
        """End the capture; what the rings hold by then is kept. It has ended when this returns, whoever else asked.

        The first warns (CaptureWarning) of interfaces that had gone away before, and raises CaptureError if writing
        failed. In a forked child it does nothing: the capture is its parent's.
        """
        if os.getpid() != self._process:
            return
        self._session.stop()
        self._session.wait()
        with self._ending:
            if self._settled:
                return
            self._settled = True
            try:
                _, failed = settle(self._session, self._table, self._flows)
            except KeyboardInterrupt:
                self._settled = False  # the next one does it
                raise
        for text in self._session.lost:
            issue(CaptureWarning(f"{text}; what came before is kept"), callers_line())
        if failed:
            raise incomplete("; ".join(failed))

    @property
    def stats(self) -> list[PointStats]:
        """Counters per capture point; stops the capture first."""
        self.stop()
        return [
            PointStats(name, *counters)
            for name, counters in zip(self._session.names, self._session.stats(), strict=True)
        ]

    @property
    def capture(self) -> Capture:
        """What was captured, as `sk.open` gives it; stops the capture first."""
        self.stop()
        return open_capture(self._source)

    def flows(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """The flow table of what was captured; stops the capture first."""
        return self.capture.flows(columns, filter)

    def packets(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """The packet table of what was captured; stops the capture first."""
        return self.capture.packets(columns, filter)

    def __enter__(self) -> LiveCapture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "live" if self.ready else "ended"
        return f"<sniffkit {state} capture on {', '.join(self._session.names)}: {self.frames} frames>"


def capture(
    *points: str,
    netns: str | int | os.PathLike[str] | None = None,
    write: str | os.PathLike[str] | None = None,
    flows: str | os.PathLike[str] | None = None,
    filter: str | None = None,
    count: int | None = None,
    duration: float | None = None,
    snap_len: int | None = None,
    buffer_kib: int | None = None,
    promiscuous: bool = True,
    direction: str = "inout",
    comment: str | None = None,
) -> LiveCapture:
    """Capture on one or many interfaces in one or many namespaces; live when this returns.

    points: `NS/IF` or `IF` (then in `netns`, or where the process is); a namespace is an `ip netns` name, path or PID.
    write: pcapng, or pcap by its suffix; without it a temporary file that goes with the object.
    flows: file for the flow table, kept while capturing: .parquet .csv .tsv .jsonl .arrow. duration in seconds,
    buffer_kib per interface. comment: of the pcapng file; pcap has no room for one.
    Raises CaptureError, FilterError, PrivilegeError or another SniffkitError before anything is captured.
    """
    from sniffkit import _core
    from sniffkit.sinks import Output

    if not points:
        raise SniffkitError("no interface to capture on")
    within("count", count, 1, 2**63)
    within("duration", duration, 0, whole=False, above=True)
    within("snap_len", snap_len, 0, 262144)
    within("buffer_kib", buffer_kib, 1, MOST_RING_KIB)
    if direction not in ("in", "out", "inout"):
        raise SniffkitError(f"direction is in, out or inout, not {direction!r}")
    options = _core.LiveOptions()
    path, asked = file_name("write", write), file_name("flows", flows)
    form = capture_format(path)
    if asked is not None:
        Output(asked, False, False)  # says what is wrong with the name
    netns = namespace(netns)
    utf8(*points, netns, path, asked, filter, comment)
    target, asked = (None if name is None else from_here(name) for name in (path, asked))
    options.flows = table = parquet_of(asked, target)
    options.filter, options.count, options.duration = filter, count, duration
    options.snap_len, options.direction = snap_len, direction
    try:
        options.promiscuous = promiscuous
    except TypeError:
        raise SniffkitError(f"promiscuous is True or False, not {promiscuous!r}") from None
    options.buffer = None if buffer_kib is None else buffer_kib * 1024
    options.comments = [comment] if comment else []
    if target is None:
        import tempfile

        handle, path = tempfile.mkstemp(prefix="sniffkit-", suffix=".pcapng")
        os.close(handle)
        target = TemporaryPath(path)
    options.write = str(target)
    options.format = form
    try:
        session = start([point(text, netns) for text in points], options)
    except BaseException:
        if isinstance(target, TemporaryPath):
            os.unlink(target)
        raise
    return LiveCapture(session, path or target, target, table, asked)
