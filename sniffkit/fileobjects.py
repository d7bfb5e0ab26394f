"""File objects as inputs: who reads one, reads it from a place of its own."""

from __future__ import annotations

import os
import threading
import weakref
from typing import IO, Any

# Two that read one file object take turns, whichever captures they belong to.
_TURNS: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


def turns_of(file: Any) -> threading.Lock:
    """The lock of a file object; one that nothing can be kept about has only its reader's."""
    try:
        return _TURNS.setdefault(file, threading.Lock())
    except TypeError:
        return threading.Lock()


class FileReader:
    """Reads a file object that can go back from `start` on, whoever else reads it meanwhile."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self.name = getattr(file, "name", None)
        self._file, self._at, self._turn = file, start, turns_of(file)
        self._in_pieces = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        with self._turn:
            if self._file.tell() != self._at:
                self._file.seek(self._at)
            data = self._next(size)
            if isinstance(data, (bytes, bytearray, memoryview)):  # who reads says what is wrong with others
                self._at += len(data)
            return data

    def _next(self, size: int) -> bytes:
        if not self._in_pieces:
            try:
                return self._file.read(size)
            except Exception:
                # A decompressor that fails forgets what it had so far; smaller reads get that before it fails again.
                if not hasattr(self._file, "read1"):
                    raise
                self._in_pieces = True
                self._file.seek(self._at)
        data: bytes = self._file.read1(size)  # type: ignore[attr-defined]
        return data


def path_of(file: Any, start: int | None) -> str | None:
    """The path of a file that stands at its beginning, if its name leads to the same file; None for all others.

    What is read out of an archive has a name too, but of a member.
    """
    name = getattr(file, "name", None)
    if not isinstance(name, str) or start != 0:
        return None
    try:
        same = os.path.samestat(os.fstat(file.fileno()), os.stat(name))
    except (AttributeError, OSError, ValueError):
        return None
    return name if same else None
