"""The directory that a data set is written to: local, or anything that fsspec knows."""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sniffkit.errors import OutputError, SniffkitError
from sniffkit.remote import filesystem, is_url, one_line
from sniffkit.tables import output_error


class Store(ABC):
    """Files below one directory, each there as a whole or not at all. Names are relative, with slashes.

    Raises OutputError for everything that cannot be read or written.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"

    @abstractmethod
    def names(self) -> list[str]:
        """Every file below, sorted; none if the directory is not there."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """What a file holds; None if it is not there."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    def claim(self, folder: str) -> AbstractContextManager[None]:
        """Have all of it for oneself meanwhile, by a lock on this folder. Raises Superseded if another run has it.

        Where there are no such locks, as with URLs and NFS, nobody is refused.
        """
        return nullcontext()


class Superseded(SniffkitError):
    """Another run works on the directory, or another worker on the share."""

    exit_code = 1


def store(root: str) -> Store:
    """The store of a directory or URL."""
    return RemoteStore(root) if is_url(root) else LocalStore(root)


class LocalStore(Store):
    """A directory of this machine."""

    def names(self) -> list[str]:
        try:
            if not os.path.isdir(self.root):
                if os.path.exists(self.root):
                    raise OutputError(f"{self.root}: is a file: a table of many files goes to a directory")
                return []
            found = []
            for directory, _, files in os.walk(self.root, onerror=_raise):
                found += [os.path.relpath(os.path.join(directory, name), self.root) for name in files]
            return sorted(found)
        except OSError as error:
            raise output_error(self.root, error) from None

    def read(self, name: str) -> bytes | None:
        try:
            return (Path(self.root) / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise output_error(error.filename or self.root, error) from None

    def write(self, name: str, data: bytes) -> None:
        path = Path(self.root) / name
        # Begins with a dot: no reader of the data set takes it for a part, and `names` of a later run finds it.
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                part.rename(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise output_error(path, error) from None

    def remove(self, name: str) -> None:
        try:
            (Path(self.root) / name).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error.filename or self.root, error) from None

    @contextmanager
    def claim(self, folder: str) -> Iterator[None]:
        path = Path(self.root) / folder
        try:
            path.mkdir(parents=True, exist_ok=True)
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise output_error(path, error) from None
        try:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno == errno.EWOULDBLOCK:
                    raise Superseded(f"{self.root}: another run works on this directory") from None
            yield
        finally:
            with suppress(OSError):  # where there are no locks
                fcntl.flock(held, fcntl.LOCK_UN)  # closing is not enough where a child that was forked has it too
            os.close(held)


def _raise(error: OSError) -> None:
    raise error


class RemoteStore(Store):
    """A directory by URL. Its file systems put objects whole; where they do not, a file is moved into place."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self._fs, self._path = filesystem(self.root)
        self._whole = "s3" in self._fs.protocol or "gs" in self._fs.protocol or "abfs" in self._fs.protocol

    def _guarded(self, action: Any) -> Any:
        try:
            return action()
        except FileNotFoundError:
            return None
        except Exception as error:  # each file system has its own
            raise OutputError(f"{self.root}: {one_line(error)}", exit_code=1) from None

    def names(self) -> list[str]:
        self._fs.invalidate_cache()
        found = self._guarded(lambda: self._fs.find(self._path)) or []
        return sorted(os.path.relpath(name, self._path) for name in found)

    def read(self, name: str) -> bytes | None:
        data: bytes | None = self._guarded(lambda: self._fs.cat_file(f"{self._path}/{name}"))
        return data

    def write(self, name: str, data: bytes) -> None:
        path = f"{self._path}/{name}"

        def put() -> bool:
            self._fs.makedirs(os.path.dirname(path), exist_ok=True)
            if self._whole:
                self._fs.pipe_file(path, data)
                return True
            part = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.part"
            self._fs.pipe_file(part, data)
            self._fs.mv(part, path)
            return True

        if not self._guarded(put):
            raise OutputError(f"{path}: cannot be written")

    def remove(self, name: str) -> None:
        self._guarded(lambda: self._fs.rm_file(f"{self._path}/{name}"))
