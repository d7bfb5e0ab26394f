"""What a page asks of a capture: rows of tables, frames, flows, statistics. A capture that grows is read again."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from sniffkit import _core
from sniffkit.api import TABLES, Capture
from sniffkit.errors import CaptureFileError, SniffkitError
from sniffkit.query import matching
from sniffkit.sinks import core
from sniffkit.tables import Result, Table, file_error
from sniffkit.ui.damage import damage_caught

# Tables kept, a table and filter each, and the bytes of all; the one that was asked for longest ago goes.
MAX_TABLES = 32
MAX_KEPT = 1 << 30
MAX_ORDERS = 8  # orders of a table's rows that are kept: by condition and sort
MAX_JUDGED = 4  # conditions and sorts that are worked out at a time, each by all processors
MAX_ROWS = 2000  # of an answer to SQL, or a section of statistics
MAX_ANSWER = 8 << 20  # bytes of it
MAX_TEXT = 1 << 20  # bytes of a conversation or dissection
PATIENCE = 60.0  # s that a condition, a query, or tshark for one frame may take


class Kept:
    """A table as it was at `version` of its capture: its rows lie in a file without a name, not in memory."""

    _judging = threading.BoundedSemaphore(MAX_JUDGED)  # of all tables: who waits for one is a thread of the server

    def __init__(self, version: str, table: Table) -> None:
        import pyarrow as pa

        begun = time.monotonic()
        self.version = version
        with damage_caught() as damage:
            try:
                reader = pa.RecordBatchReader.from_stream(table)
                with tempfile.TemporaryFile(buffering=0) as file:
                    with pa.ipc.new_stream(file, reader.schema) as writer:
                        for batch in reader:
                            writer.write_batch(batch)
                    self.size = file.tell()
                    # The mapping is all that holds it: nothing is left, however this process ends.
                    self.rows = pa.ipc.open_stream(pa.memory_map(f"/proc/self/fd/{file.fileno()}")).read_all()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):  # of where the table is put
                    room = f"{tempfile.gettempdir()}: {error.strerror or os.strerror(error.errno)}"
                    raise SniffkitError(f"{room}: $TMPDIR names another directory for tables") from None
                raise file_error(error) from None
            self.damage = damage()
        self._orders: dict[tuple[str | None, str | None], Future[Any]] = {}
        self._lock = threading.Lock()  # of the dictionary
        self.built = time.monotonic()
        self.took = self.built - begun

    def order(self, where: str | None, sort: str | None) -> Any:
        """The numbers of the rows that `where` keeps, by `sort`; None for all as they are.

        Several may ask at a time: the same is worked out once, and a slow one keeps nobody waiting for another.
        """
        if where is None and sort is None:
            return None
        with self._lock:
            found = self._orders.get((where, sort))
            if first := found is None:
                while len(self._orders) >= MAX_ORDERS:
                    del self._orders[next(iter(self._orders))]
                found = self._orders[where, sort] = Future()
        if first:
            try:
                found.set_result(self._judged(where, sort))
            except Exception as error:
                found.set_exception(error)
                with self._lock:  # the next one tries again
                    if self._orders.get((where, sort)) is found:
                        del self._orders[where, sort]
        return found.result()

    def _judged(self, where: str | None, sort: str | None) -> Any:
        if not self._judging.acquire(timeout=1):
            raise SniffkitError(f"{MAX_JUDGED} conditions are being worked out already: each has {PATIENCE:.0f} s")
        try:
            return matching(self.rows, where, sort, patience=PATIENCE)
        finally:
            self._judging.release()


class View:
    """Answers as a page wants them: plain values, but `rows` a JSON text each, as commands print them with every digit.
    Safe to ask from several threads.

    Raises SniffkitError with the line to show for a request that cannot be met.
    """

    def __init__(self, capture: Capture) -> None:
        for one in capture.inputs:
            if isinstance(one, (str, os.PathLike)) and os.path.isdir(one):
                raise CaptureFileError(f"{os.fspath(one)}: {os.strerror(errno.EISDIR)}")
            pipe = isinstance(one, str) and os.path.exists(one) and not os.path.isfile(one)
            if pipe or not capture.can_be_read_again:
                raise CaptureFileError(f"{one}: a page reads its captures again and again: give files")
        self._capture = capture
        self._ends: dict[str, Callable[[str], object]] = {}  # of programs that run, or ran, by name
        self._kept: dict[tuple[str, str | None], Kept] = {}
        # One table or section at a time: each uses all processors by itself. It also keeps warnings with their table.
        self._work = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The files."""
        return [str(getattr(one, "name", one)) for one in self._capture.inputs]

    def version(self) -> str:
        """Changes when the files do."""
        marks = []
        for one in self._capture.inputs:
            try:
                found = os.stat(one)  # type: ignore[arg-type]
            except (OSError, TypeError, ValueError):  # gone, or an address or file object
                continue
            marks.append(f"{found.st_size:x}.{found.st_mtime_ns:x}")
        return "-".join(marks)

    def columns(self) -> dict[str, list[tuple[str, str, str]]]:
        """Of each table the columns: name, Arrow type, meaning."""
        return {name: _core.table_columns(name) for name in TABLES}

    def rows(
        self,
        name: str,
        filter: str | None = None,
        where: str | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int = 200,
    ) -> dict[str, Any]:
        """Rows `offset` to `offset + limit` of a table, with how many there are in all.

        filter: of frames, as tcpdump's; where, sort: SQL, as the commands' `--where` and `--sort`.
        """
        if name not in TABLES:
            raise SniffkitError(f"no table {name!r}; there are: {' '.join(TABLES)}")
        with self._work:
            kept = self._table(name, filter)
        order = kept.order(where, sort)
        if order is None:
            total, picked = kept.rows.num_rows, kept.rows.slice(offset, limit)
        else:
            import pyarrow as pa

            total, picked = len(order), kept.rows.take(pa.array(order[offset : offset + limit], pa.int64()))
        return {
            "version": kept.version,
            "total": total,
            "rows": objects(picked),
            "damage": kept.damage,
        }

    def _table(self, name: str, filter: str | None) -> Kept:
        """The table, not older than it takes to make it a few times."""
        key, version = (name, filter), self.version()
        kept = self._kept.get(key)
        if kept is None or (kept.version != version and time.monotonic() - kept.built > max(0.5, 4 * kept.took)):
            try:
                kept = Kept(version, self._capture.named(name, filter=filter))
            except SniffkitError as error:
                if kept is None:
                    raise
                kept.damage = [str(error)]  # what was read before stays
        self._kept.pop(key, None)
        self._kept[key] = kept  # the last
        while len(self._kept) > 1 and (
            len(self._kept) > MAX_TABLES or sum(one.size for one in self._kept.values()) > MAX_KEPT
        ):
            del self._kept[next(iter(self._kept))]
        return kept

    def lines(self, frames: Sequence[int]) -> dict[int, str]:
        """What `sniffkit read` prints of these frames, by number; without the time."""
        numbers = sorted({number for number in frames if number})
        found = self._text(numbers, style="line", time="none").splitlines()
        return dict(zip(numbers, found, strict=False))

    def frame(self, number: int) -> dict[str, Any]:
        """One frame: its header fields as an indented tree, its bytes in hexadecimal. Raises if there is none."""
        text = self._text([number], style="tree", dump="xx")
        if not text:
            raise CaptureFileError(f"there is no frame {number}")
        tree, dump = [], []
        for line in text.splitlines():
            if line.startswith("\t0x"):
                dump.append(line.partition(":")[2].replace(" ", ""))
            else:
                tree.append(line)
        return {"number": number, "tree": "\n".join(tree).rstrip("\n"), "bytes": "".join(dump)}

    def _text(self, frames: list[int], **style: Any) -> str:
        try:
            return "".join(_core.read_text(self._capture.fresh(), frames=frames, **style))
        except OSError as error:
            raise file_error(error) from None

    def deep(self, number: int) -> str:
        """The tree of one frame as tshark has it, which knows every protocol."""
        from sniffkit.handover import complaints, need_tshark, one_path

        path = one_path(self._capture.inputs)
        command = [need_tshark(), "-n", "-r", path, "-c", str(number), "-V", "-Y", f"frame.number == {number}"]
        text, said, _ = self._run("tshark", command, MAX_TEXT)
        if not text:
            told = complaints(said.splitlines())
            raise SniffkitError(told[0] if told else f"tshark shows no frame {number}")
        return text.decode(errors="replace")

    def _run(self, name: str, command: list[str], most: int, given: str = "") -> tuple[bytes, str, bool]:
        """What a program prints of what it is `given`, `most` bytes of it; how it complains; whether it failed.

        It ends when the next one of its name begins.
        """
        why: list[str] = []
        # Files, not pipes: nobody has to read the one while he reads the other, or writes.
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as complaints:
            asked.write(given.encode())
            asked.seek(0)
            with subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=complaints) as child:
                assert child.stdout is not None

                def end(reason: str) -> None:
                    why.append(reason)
                    child.kill()

                self._ends.get(name, str)("something newer was asked for")
                self._ends[name] = end
                late = threading.Timer(PATIENCE, end, [f"{name} took more than {PATIENCE:.0f} s"])
                late.start()
                try:
                    text = child.stdout.read(most)
                    if whole := len(text) < most:
                        child.wait()
                    else:
                        child.kill()
                finally:
                    late.cancel()
            complaints.seek(max(0, os.fstat(complaints.fileno()).st_size - MAX_TEXT))
            said = complaints.read().decode(errors="replace")
        if why and whole:
            raise SniffkitError(why[0])
        return text, said, whole and child.returncode != 0

    def close(self) -> None:
        """End what still runs."""
        for end in self._ends.values():
            end("the page has ended")

    def follow(self, uid: str, style: str = "text") -> dict[str, Any]:
        """What both ends of a flow said: `turns` of (who: orig or resp, text); `cut` if there is more.

        Raises SniffkitError if there is no such flow, unless the capture is growing just now.
        """
        if style not in ("text", "hex"):
            raise SniffkitError(f"style is text or hex, not {style!r}")
        said = bytearray()
        try:
            for piece in _core.follow(self._capture.fresh(), uid=uid, style=style, colour=True):
                said += piece
                if len(said) > MAX_TEXT:
                    break
        except OSError as error:
            raise file_error(error) from None
        if not said and not self._may_have(uid):
            # A uid is a hash of the flow's first packet: with a filter it may be another.
            raise SniffkitError(f"there is no flow {uid} in the unfiltered capture")
        return {"uid": uid, "turns": turns(said[:MAX_TEXT].decode(errors="replace")), "cut": len(said) > MAX_TEXT}

    def _may_have(self, uid: str) -> bool:
        """Whether the flow is in the table, or may have come since that was made."""
        with self._work:
            kept = self._table("flows", None)
        return kept.version != self.version() or kept.rows["uid"].index(uid).as_py() >= 0

    def statistics(self, section: str, layer: str | None = None, sort: str | None = None) -> dict[str, Any]:
        """A section of `sniffkit stats`, MAX_ROWS rows of it; `cut` if there are more: never of io, which has longer
        steps instead, as with `--interval`.

        sort: `COLUMN` or `COLUMN DESC`, by which those are the first; where nothing is cut, or there is no such column,
        the order is the section's own.
        """
        from sniffkit.stats import SECTIONS
        from sniffkit.stats.io import table as io_table

        if section not in SECTIONS:
            raise SniffkitError(f"no section {section!r}; there are: {' '.join(SECTIONS)}")
        make: Callable[..., Result] = getattr(self._capture.stats, section)
        if section == "io":
            make = partial(io_table, self._capture, most=MAX_ROWS)
        elif section in ("conversations", "endpoints") and layer is not None:
            make = partial(make, layer)
        with self._work, damage_caught() as damage:
            data = make().to_arrow()
            found = damage()
        name, down = (sort or "").removesuffix(" DESC"), (sort or "").endswith(" DESC")
        if data.num_rows > MAX_ROWS and name in data.column_names:
            data = data.sort_by([(name, "descending" if down else "ascending")])
        rows = objects(data.slice(0, MAX_ROWS))
        return {"columns": data.column_names, "damage": found, "rows": rows, "cut": data.num_rows > MAX_ROWS}

    def sql(self, query: str) -> dict[str, Any]:
        """The answer to a SELECT over the tables, MAX_ROWS rows of it; `cut` if there are more.

        It runs in a process of its own: a query may take any time and memory, and has to end when the next one comes.
        """
        if not query.strip():
            raise SniffkitError("the query is empty")
        if "\0" in query:
            raise SniffkitError("the query has a NUL byte")
        text, said, failed = self._run(
            "sql", [sys.executable, "-m", "sniffkit.ui.asked", *self.names], MAX_ANSWER, query
        )
        if failed:
            raise SniffkitError(said.strip().rpartition("\n")[2] or "the query's process was ended")
        head, *lines = text.split(b"\n")
        rows = lines[:-1][:MAX_ROWS]  # the last one is empty, or cut
        if not rows and (not lines or lines[-1]):
            raise SniffkitError(f"a row of more than {MAX_ANSWER >> 20} MiB")
        return {**json.loads(head), "rows": rows, "cut": bool(lines[-1]) or len(lines) > MAX_ROWS + 1}


def objects(data: Any) -> list[bytes]:
    """The rows of a pyarrow.Table as JSON lines."""
    lines = io.BytesIO()
    core.write(data, lines, ".jsonl")
    return lines.getvalue().splitlines()


def turns(text: str) -> list[tuple[str, str]]:
    """The text that `_core.follow` coloured, cut where another side begins to speak. Payload has no escape in it."""
    found = []
    for part in text.replace("\x1b[0m", "").split("\x1b[")[1:]:
        colour, _, said = part.partition("m")
        found.append(("orig" if colour == "31" else "resp", said))
    return found


def readable(capture: Capture) -> None:
    """Raises CaptureFileError if the capture cannot be read at all."""
    try:
        next(_core.read_text(capture.fresh(), count=1), None)
    except OSError as error:
        raise file_error(error) from None
