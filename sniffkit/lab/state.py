"""What is known about labs that are running: one directory each below /run, with a journal that is written ahead.

Whatever a lab makes is recorded before it is made; what is removed is only what the record shows to be the lab's:
a namespace by its inode, a process by a token in its environment, an interface by its index.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sniffkit.errors import LabError, PrivilegeError
from sniffkit.lab.ops import Op

# /run is a tmpfs: after a reboot there are no labs, and none are recorded.
ROOT = Path(os.environ.get("SNIFFKIT_RUN", "/run/sniffkit")) / "labs"
TOKEN = "SNIFFKIT_LAB"


class Journal:
    """The record of one lab. Opened it is locked: one process at a time changes a lab.

    wait: for another process to end its change, instead of a LabError.
    """

    def __init__(self, directory: Path, wait: bool = False) -> None:
        self.directory = directory
        self.name = directory.name
        self.entries: list[dict[str, Any]] = []
        path = directory / "journal"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            raise not_permitted(self.name) from None
        except FileNotFoundError:
            raise LabError(f"lab {self.name} is not up any more") from None
        except OSError as error:
            raise LabError(f"{path}: {error.strerror}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(self._fd)
            raise LabError(f"lab {self.name} is being changed by another process") from None
        if not os.fstat(self._fd).st_nlink:  # whoever had the lock has taken the lab away
            os.close(self._fd)
            raise LabError(f"lab {self.name} is not up any more")
        # Not behind a line that was cut short: whatever came after it in the same line could not be read.
        os.ftruncate(self._fd, path.read_bytes().rfind(b"\n") + 1)
        self.entries = read_entries(path)

    def add(self, **entry: Any) -> None:
        """Append an entry; it is in the file when this returns. Raises LabError, with the file as it was."""
        data = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        length = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]  # of a full disk the first call fills the rest
        except OSError as error:
            os.ftruncate(self._fd, length)
            raise LabError(f"{self.directory / 'journal'}: {error.strerror}") from None
        self.entries.append(entry)

    def note(self, **entry: Any) -> None:
        """Append an entry about what is gone or as it was before: a full disk is no reason to leave the rest."""
        try:
            self.add(**entry)
        except LabError:
            self.entries.append(entry)

    def close(self) -> None:
        """Let others change the lab. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Forget the lab."""
        # The directory goes first under another name, so that nobody finds half of it.
        gone = self.directory.with_name(f".{self.name}.{os.getpid()}")
        os.rename(self.directory, gone)
        shutil.rmtree(gone)
        self.close()

    @property
    def home(self) -> list[int] | None:
        """The identity of the namespace that the lab was made from; None as recorded before there was one."""
        return home(self.entries)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The entries of a kind."""
        return [one for one in self.entries if one["is"] == kind]


def write(path: Path, text: str) -> None:
    """Write a file of a lab. Raises LabError that names it."""
    try:
        path.write_text(text)
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from None


def not_permitted(name: str) -> PrivilegeError:
    """The error for a user who is not root."""
    return PrivilegeError(f"lab {name}: not permitted: labs are root's; run it with sudo")


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal; a line that a crash cut short was never acted on."""
    out = []
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except PermissionError:
        raise not_permitted(path.parent.name) from None
    for line in data.splitlines():
        try:
            out.append(json.loads(line))
        except ValueError:
            break
    return out


def create(name: str) -> Journal:
    """A new lab's journal. Raises FileExistsError if there is a lab of that name."""
    try:
        ROOT.mkdir(parents=True, exist_ok=True)
        # Made and locked under another name: whoever sees a lab's directory sees it locked.
        hidden = ROOT / f".{name}.{os.getpid()}.new"
        shutil.rmtree(hidden, ignore_errors=True)  # of a process that was killed and had our number
        hidden.mkdir(mode=0o711)
    except PermissionError:
        raise not_permitted(name) from None
    except OSError as error:
        raise LabError(f"{error.filename}: {error.strerror}") from None
    journal = Journal(hidden)
    try:
        os.rename(hidden, ROOT / name)
    except OSError as error:
        shutil.rmtree(hidden)
        journal.close()
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise LabError(f"{ROOT / name}: {error.strerror}") from None
        raise FileExistsError(name) from None
    journal.directory, journal.name = ROOT / name, name
    return journal


@contextlib.contextmanager
def turn(names: Iterable[str], seconds: float) -> Iterator[None]:
    """Have these names of labs and nodes to oneself, among all that ask so. Raises LabError after `seconds`."""
    until = time.monotonic() + seconds
    with contextlib.ExitStack() as held:
        for name in sorted(set(names)):  # in one order, so that no two wait for each other
            path = ROOT.parent / "turns" / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = held.enter_context(open(path, "wb"))
            except PermissionError:
                raise not_permitted(name) from None
            except OSError as error:
                raise LabError(f"{path}: {error.strerror}") from None
            # Closing it is not enough: a child that was forked meanwhile has it too.
            held.callback(fcntl.flock, file, fcntl.LOCK_UN)
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise LabError(f"{name} has been in use by another test for {seconds:.0f} s") from None
                    time.sleep(0.02)
        yield


def names() -> list[str]:
    """The labs that are recorded."""
    try:
        return sorted(one.name for one in ROOT.iterdir() if not one.name.startswith("."))
    except FileNotFoundError:
        return []
    except PermissionError:
        return []


def stored(name: str) -> dict[str, Any] | None:
    """The last `up` entry of a lab: file, description, plan; None if there is none, or it never came up."""
    found = [one for one in read_entries(ROOT / name / "journal") if one["is"] == "up"]
    return found[-1] if found else None


def file_of(name: str) -> str | None:
    """The file that a lab that is recorded was made from, as an absolute path; None for one of a Python program."""
    entries = read_entries(ROOT / name / "journal")
    return entries[0].get("file") if entries else None


def home(entries: list[dict[str, Any]]) -> list[int] | None:
    """The identity (sniffkit.lab.namespaces) of the namespace that a lab was made from, where the record has it."""
    found: list[int] | None = entries[0].get("home") if entries else None
    return found


def cut_off(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `change` entries of updates, since the lab was whole, that were neither finished nor taken back: their
    processes were killed, or are at it."""
    found: list[dict[str, Any]] = []
    for one in entries:
        if one["is"] == "change":
            found.append(one)
        elif one["is"] in ("up", "back"):
            found.clear()
    return found


def operations(entry: dict[str, Any]) -> list[Op]:
    """The plan of an `up` or `change` entry."""
    return [Op(op[0], op[1], op[2], op[3], op[4], tuple(op[5]), op[6]) for op in entry["plan"]]


def now() -> float:
    """Seconds since the epoch."""
    return time.time()
