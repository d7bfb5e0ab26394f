"""Files by URL (`s3://…`, `gs://…`, `memory://…`), through fsspec."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from typing import IO, Any

from sniffkit.errors import CaptureFileError, MissingToolError, SniffkitError
from sniffkit.packages import needed


def is_url(path: object) -> bool:
    """Whether a path is a URL that fsspec opens."""
    return isinstance(path, str) and "://" in path


def local_path(url: str) -> str | None:
    """The file of this machine that a URL leads to, or whose inside it names: `zip://*.pcap::file:///a.zip`."""
    protocol, mark, path = url.rpartition("::")[2].partition("://")
    if not mark:
        path = protocol
    return os.path.expanduser(path) if not mark or protocol in ("file", "local") else None


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it. Raises MissingToolError with the install command."""
    fsspec = needed("fsspec")
    protocol = url.partition("://")[0]
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        # fsspec's words: "Install s3fs to access S3", or "Please install gcsfs to …", or
        # 'HTTPFileSystem requires "requests" and "aiohttp" to be installed'.
        named = re.search(r'[Ii]nstall (\w+)|requires "([\w-]+)"(?: and "([\w-]+)")?', str(error))
        packages = [one for one in named.groups() if one] if named else []
        hint = f": pip install {' '.join(packages)}" if packages else ""
        raise MissingToolError(f"{url}: {one_line(error)}{hint}") from None
    except (ValueError, OSError) as error:
        known = f"; there are: {' '.join(sorted(fsspec.available_protocols()))}" if "rotocol" in str(error) else ""
        raise CaptureFileError(f"{protocol}://: {error}{known}") from None
    return fs, str(path)


def expand(url: str) -> list[str]:
    """The URLs that match; without `*` and the like, the one. Raises CaptureFileError if there is none."""
    try:
        with as_os_errors():
            return _matching(url)
    except OSError as error:
        raise CaptureFileError(f"{url}: {one_line(error)}") from None


def _matching(url: str) -> list[str]:
    fs, path = filesystem(url)
    if fs.exists(path):  # whatever is in its name, as with files of this machine
        return [url]
    if not any(mark in path for mark in "*?["):
        raise CaptureFileError(f"{url}: No such file or directory")
    # Around the path: the protocol, perhaps a server, and where an archive is (`zip://*.pcap::file:///a.zip`).
    before, there, behind = url.partition(path)
    if not there:  # `file://a/*` and `file://~/*` mean absolute paths
        protocol, _, rest = url.partition("://")
        before, behind = f"{protocol}://", "".join(rest.partition("::")[1:])
    found = sorted(f"{before}{one}{behind}" for one in fs.glob(path))
    if not found:
        raise CaptureFileError(f"{url}: no file matches")
    return found


def edges(url: str, length: int) -> tuple[int, bytes, bytes]:
    """Size of a file, and at most `length` bytes of its beginning and of its end. Raises OSError."""
    fs, path = filesystem(url)
    with as_os_errors():
        size = int(fs.size(path))
        # By name: what stands between them differs from file system to file system.
        first: bytes = fs.cat_file(path, start=0, end=min(length, size))
        last: bytes = fs.cat_file(path, start=max(size - length, 0), end=size)
    return size, first, last


@contextlib.contextmanager
def as_os_errors() -> Iterator[None]:
    """Gives the errors of a file system, of which each has its own, as OSError: no credentials, no server."""
    try:
        yield
    except (OSError, SniffkitError):
        raise
    except Exception as error:
        raise OSError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


class RemoteFile:
    """A remote file that is opened when it is read first; each reader has one of its own."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._file: IO[bytes] | None = None
        self._fs: Any = None  # kept as long as the file: an archive is closed when its file system is forgotten

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if self._file is None:
            self._fs, path = filesystem(self.name)
            with as_os_errors():
                file: IO[bytes] = self._fs.open(path, "rb")
                # memory:// hands out the one object that it keeps, which others read too.
                self._file = io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file
        with as_os_errors():
            return self._file.read(size)

    def seekable(self) -> bool:
        """It can be read again, by another reader."""
        return True

    def tell(self) -> int:
        """Where readers begin."""
        return 0

    def __del__(self) -> None:
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
