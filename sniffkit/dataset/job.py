"""What is to be made of which files: the same on every machine that works on it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sniffkit import __version__
from sniffkit.dataset.limits import NO_MORE
from sniffkit.errors import CaptureFileError
from sniffkit.remote import RemoteFile, edges, is_url, one_line

# Where everything that is not a table stands in the data set's directory; readers of data sets pass over the name.
OWN = "_sniffkit"

_EDGE = 4096  # bytes at both ends of a file that are part of its key
# What `done.json` holds of a summary.
_KEPT = {"rows": int, "frames": int, "files": int, "skipped": list, "counters": dict, "resumed": bool}


MOST_SHARES = 1024  # each worker reads all files


def parsed(data: bytes) -> Any:
    """What JSON says. Raises ValueError for what is none."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None


@dataclass(frozen=True)
class File:
    """A capture of the list. key: a hash of its size, beginning and end; first: time of its first frame, ns."""

    path: str
    key: str
    first: int


@dataclass(frozen=True)
class Job:
    """A table of files in time order, shared out among `shares` workers."""

    table: str
    files: tuple[File, ...]
    out: str
    shares: int = 1
    columns: tuple[str, ...] | None = None
    filter: str | None = None
    rules: dict[str, float] = field(default_factory=dict)
    version: str = __version__

    def key(self) -> str:
        """What a run must agree in to go on where another stopped: all but where it is written and by how many."""
        same = {**self.as_dict(), "out": None, "shares": None}
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Job:
        """The job that `as_dict` gave. Raises ValueError, KeyError or TypeError for anything else."""
        files = tuple(File(**one) for one in found["files"])
        if not isinstance(found["shares"], int) or not 1 <= found["shares"] <= MOST_SHARES:
            raise ValueError("no number of shares")
        columns = None if found["columns"] is None else tuple(found["columns"])
        return cls(**{**found, "files": files, "columns": columns})


@dataclass
class Summary:
    """What a run made. skipped: files that gave no frames at all or only those before a damage, and why."""

    rows: int = 0
    frames: int = 0
    files: int = 0
    skipped: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    resumed: bool = False
    already_complete: bool = False

    def as_json(self) -> bytes:
        """What `done.json` holds."""
        return json.dumps({name: getattr(self, name) for name in _KEPT}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Summary:
        """The summary that `as_json` gave. Raises ValueError for anything else."""
        found = parsed(data)
        if not isinstance(found, dict) or {name: type(value) for name, value in found.items()} != _KEPT:
            raise ValueError("no summary")
        return cls(**found)


def lacking(root: str) -> list[str]:
    """What a data set of this machine lacks, a line each: its end, or what was damaged. Nothing of what is none."""
    own = os.path.join(root, OWN)
    if not os.path.exists(os.path.join(own, "job.json")):
        return []
    try:
        with open(os.path.join(own, "done.json"), "rb") as file:
            return [f"{root}: {line}" for line in Summary.from_json(file.read()).skipped]
    except FileNotFoundError:
        return [f"{root}: unfinished: the command that makes it goes on where it stopped"]
    except (OSError, ValueError):
        return [f"{own}/done.json: not readable: whether all rows are there cannot be known"]


def source(path: str) -> Any:
    """What the core reads a file by."""
    return RemoteFile(path) if is_url(path) else path


def look(paths: Sequence[str]) -> tuple[list[File], list[str]]:
    """The files in order of their first frames; those that are no readable captures are named with the reason.

    Raises CaptureFileError if none can be read.
    """
    from sniffkit import _core

    files, skipped = [], []
    for path in map(os.fspath, paths):
        if not is_url(path) and os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            raise CaptureFileError(f"{path}: can be read once: a data set needs files")
        try:
            first = _core.first_frame_time(source(path))
            files.append(File(path, _key(path), 0 if first is None else first))
        except OSError as error:
            if error.errno in NO_MORE:
                raise
            text = one_line(error)
            skipped.append(f"{text if text.startswith(path) else f'{path}: {text}'}; skipped")
    if not files:
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        raise CaptureFileError(f"{skipped[0].removesuffix('; skipped')}{more}: nothing to read")
    files.sort(key=lambda file: file.first)  # stable: equal times stay as given
    return files, skipped


def _key(path: str) -> str:
    if is_url(path):
        size, first, last = edges(path, _EDGE)
    else:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = file.read(_EDGE)
            file.seek(max(size - _EDGE, 0))
            last = file.read(_EDGE)
    return hashlib.sha256(b"%d:" % size + first + last).hexdigest()[:32]
