"""A file in the making."""

from __future__ import annotations

import errno
import os
import stat

from sniffkit.tables import output_error

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from typing import IO


class NewFile:
    """`with NewFile(path) as out`: a binary file that gets its name once it is whole. Nothing half written is left, or
    takes the place of what was there, which may be what is read meanwhile.

    Symbolic links are followed; mode and owner of what was there stay. Devices, pipes and files that cannot be replaced
    are written as they are. Raises OutputError for an OSError, also for one that is raised within.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.target = os.path.realpath(self.path)
        self.part: str | None = None

    def __enter__(self) -> IO[bytes]:
        try:
            self.file: IO[bytes] = self._beside() or open(self.path, "wb")
        except OSError as error:
            raise output_error(self.path, error) from None
        return self.file

    def _beside(self) -> IO[bytes] | None:
        """A file in the same directory that can take the place of what is there; None where there can be none."""
        before = os.stat(self.path) if os.path.exists(self.path) else None
        if before is None and not os.path.basename(self.path):  # a directory that is not there
            return None
        if os.path.islink(self.target):  # links in a circle
            return None
        if before is not None and not (stat.S_ISREG(before.st_mode) and os.access(self.path, os.W_OK)):
            return None
        if before is not None and not os.path.exists(self.target):  # /dev/fd/N of a file that has lost its name
            return None
        part = os.path.join(os.path.dirname(self.target), f".{os.urandom(6).hex()}.part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return None
            raise
        file = os.fdopen(handle, "wb")
        try:
            if before is not None:
                made = os.fstat(handle)
                if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
                    os.fchown(handle, before.st_uid, before.st_gid)
                os.fchmod(handle, stat.S_IMODE(before.st_mode))
        except OSError:  # somebody else's, which we may only write
            file.close()
            os.unlink(part)
            return None
        self.part = part
        return file

    def _take_place(self, part: str) -> None:
        try:
            os.replace(part, self.target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            import shutil

            with open(part, "rb") as whole, open(self.path, "wb") as out:  # a file that is mounted, as into a container
                shutil.copyfileobj(whole, out)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            self.file.close()
            if self.part is not None and kind is None:
                self._take_place(self.part)
        except OSError as failed:
            error = error or failed  # of closing after an error: the same once more
        finally:
            if self.part is not None and os.path.exists(self.part):
                os.unlink(self.part)
        if isinstance(error, OSError):
            raise output_error(self.path, error) from None
