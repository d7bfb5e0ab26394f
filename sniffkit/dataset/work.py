"""One worker's share of a job: read everything, follow its flows, write what has ended, remember where it stands.

Files are read in units; after each the rows that have ended are written, then the state of the flow table, then a line
that says so. Whoever takes the share up again, here or elsewhere, goes on from that line.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sniffkit import __version__
from sniffkit.dataset.job import OWN, Job, parsed, source
from sniffkit.dataset.limits import many_open_files
from sniffkit.dataset.store import Store, Superseded, store
from sniffkit.errors import SniffkitError

UNIT_FRAMES = 4_000_000
PART_ROWS = 1 << 16  # rows that are kept in memory at most
NO_TIME = "__HIVE_DEFAULT_PARTITION__"  # what Hive calls the partition of rows without a value

# Of the line, and of the place in it: one of another form is not gone on from.
FORM = 3

Progress = Callable[[int], object]


def begin_anew(what: str) -> SniffkitError:
    """The error for what cannot be gone on with."""
    return SniffkitError(f"{what}: remove the directory and begin anew")


def run_share(job: dict[str, Any], share: int, progress: Progress | None = None) -> dict[str, Any]:
    """Work on a share until it is done; its last line. Plain arguments and result: any executor can carry them."""
    found = Job.from_dict(job)
    if found.version != __version__:
        raise SniffkitError(f"the worker has sniffkit {__version__}, the job is of {found.version}")
    with many_open_files():
        return Share(found, share, store(found.out)).run(progress)


def line_of(out: Store, share: int) -> dict[str, Any] | None:
    """Where a share stands; None if it has not begun.

    Raises SniffkitError for what another version wrote, and for what is damaged.
    """
    name = f"{OWN}/share-{share}.json"
    data = out.read(name)
    if data is None:
        return None
    another = False
    try:
        kept = parsed(data)
        line: dict[str, Any] = kept.get("line")
        another = isinstance(kept["form"], int) and kept["form"] != FORM
        if kept["form"] == FORM and kept["sha256"] == _sum_of(line):
            return line
    except (ValueError, KeyError, AttributeError):
        pass
    raise begin_anew(
        f"{out.root}: begun by another version of sniffkit" if another else f"{out.root}/{name}: not readable"
    )


def _sum_of(line: Any) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()


def folder(hour: int | None) -> str:
    """The partition of an hour since 1970."""
    if hour is None:
        return f"date={NO_TIME}/hour={NO_TIME}"
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("date=%Y-%m-%d/hour=%H")


class Share:
    """A share being worked on."""

    def __init__(self, job: Job, share: int, out: Store) -> None:
        self.job, self.share, self.out = job, share, out
        self.owner = uuid.uuid4().hex

    def run(self, progress: Progress | None = None) -> dict[str, Any]:
        """Work until the end of the files. Raises Superseded once another worker has taken the share up."""
        # Before the line is read: from here on no other worker writes one.
        self.out.write(f"{OWN}/owner-{self.share}", self.owner.encode())
        try:
            return self._work(progress)
        except SniffkitError:
            self._check_owner()  # the other removes what is no part of its own work
            raise

    def _work(self, progress: Progress | None) -> dict[str, Any]:
        line = line_of(self.out, self.share)
        if line is None and self.out.read(f"{OWN}/done.json") is not None:
            raise self._superseded()  # another run has come to its end meanwhile
        if line is not None and line["done"]:
            return line
        line = line or {"unit": 0, "rows": 0, "warnings": [], "state": None, "place": None, "done": False}
        self._forget_after(line["unit"])
        reader = self._reader(line)
        more = True
        while more:
            until = reader.frames + UNIT_FRAMES
            part = rows = 0
            while more and reader.frames < until:
                more = reader.advance(until, PART_ROWS)
                if progress is not None:
                    progress(reader.frames)
                if more and reader.ready >= PART_ROWS:
                    rows += self._write_rows(reader, line["unit"] + 1, part)
                    part += 1
            rows += self._write_rows(reader, line["unit"] + 1, part)
            line = self._close_unit(reader, line, rows, not more)
        return line

    def _reader(self, line: dict[str, Any]) -> Any:
        from sniffkit import _core

        job, state = self.job, None
        if line["state"] is not None:
            state = self.out.read(line["state"])
            if state is None:
                raise begin_anew(f"{self.out.root}/{line['state']} is gone")
            if hashlib.sha256(state).hexdigest() != line["state_sha256"]:
                raise begin_anew(f"{self.out.root}/{line['state']}: damaged")
        place = line["place"]
        try:
            return _core.DatasetReader(
                job.table,
                [(source(file.path), file.first) for file in job.files],
                list(job.columns) if job.columns is not None else None,
                job.filter,
                job.rules or None,
                (self.share, job.shares),
                None if place is None else (place[0], place[1], [tuple(one) for one in place[2]], place[3]),
                state,
            )
        except (KeyError, ValueError) as error:
            said = str(error.args[0])
            if state is None:
                raise SniffkitError(said) from None
            raise begin_anew(f"{self.out.root}/{line['state']}: {said}") from None

    def _forget_after(self, unit: int) -> None:
        """Remove what an interrupted worker left of a unit that it did not finish."""
        mine = f"part-{self.share}-"
        for name in self.out.names():
            base = name.rsplit("/", 1)[-1]
            begun = base.startswith(mine) and int(base.removeprefix(mine)[:6]) > unit
            if begun or base.startswith((f".{mine}", f".share-{self.share}")):
                self.out.remove(name)

    def _write_rows(self, reader: Any, unit: int, part: int) -> int:
        """Write the rows that have ended; how many."""
        rows = 0
        for hour, count, data in reader.take():
            self.out.write(f"{folder(hour)}/part-{self.share}-{unit:06d}-{part:03d}.parquet", data)
            rows += count
        return rows

    def _close_unit(self, reader: Any, line: dict[str, Any], rows: int, done: bool) -> dict[str, Any]:
        """Finish a unit whose rows are written."""
        unit = line["unit"] + 1
        keeps = self.job.table == "flows" and not done
        state = state_sha256 = None
        if keeps:
            state, data = f"{OWN}/share-{self.share}-{unit:06d}.state", reader.state()
            state_sha256 = hashlib.sha256(data).hexdigest()
            self.out.write(state, data)
        warnings = line["warnings"] + [list(one) for one in reader.warnings()]
        after = {
            "shares": self.job.shares,
            "unit": unit,
            "rows": line["rows"] + rows,
            "place": reader.place(),
            "state": state,
            "state_sha256": state_sha256,
            "warnings": warnings,
            "done": done,
            "counters": reader.counters(),
        }
        # A table without a state can only begin anew: its line comes at the end.
        if keeps or done:
            self._commit(after)
            if line["state"] is not None:
                self.out.remove(line["state"])
        return after

    def _commit(self, line: dict[str, Any]) -> None:
        self._check_owner()
        kept = {"form": FORM, "sha256": _sum_of(line), "line": line}
        self.out.write(f"{OWN}/share-{self.share}.json", json.dumps(kept).encode())

    def _check_owner(self) -> None:
        if self.out.read(f"{OWN}/owner-{self.share}") != self.owner.encode():
            raise self._superseded()

    def _superseded(self) -> Superseded:
        return Superseded(f"{self.out.root}: another run works on this directory")
