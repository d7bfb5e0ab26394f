"""What the names and objects that users give for captures stand for, in the order in which they are read."""

from __future__ import annotations

import io
import os

from sniffkit.errors import CaptureFileError

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import cast

    from sniffkit.api import Source
else:

    def cast(kind, value):
        return value


def in_time_order(inputs: list[Source]) -> list[Source]:
    """Regular files by the time of their first frame; as they are if there is one alone, or anything else among them.

    One that has no frame, or none with a time, stays behind the one in front of it, and so does one that cannot be
    read: reading it says why.
    """
    if len(inputs) < 2 or not all(isinstance(one, str) and one != "-" and os.path.isfile(one) for one in inputs):
        return inputs
    from sniffkit import _core

    latest = float("-inf")
    times: list[float] = []
    for one in inputs:
        try:
            first = _core.first_frame_time(one)
        except (OSError, ValueError):
            first = None
        latest = first or latest  # 0: the file does not record it
        times.append(latest)
    return [inputs[at] for at in sorted(range(len(inputs)), key=times.__getitem__)]


def expanded(source: Source | bytes) -> Sequence[Source]:
    """A glob becomes the files that match, in name order; everything else stays."""
    if isinstance(source, (bytearray, memoryview)) or (isinstance(source, bytes) and b"\0" in source):
        raise CaptureFileError("bytes of a capture are no path: wrap them in io.BytesIO")
    if isinstance(source, (bytes, os.PathLike)):
        source = os.fsdecode(source)
    elif hasattr(source, "read"):
        if isinstance(source, io.TextIOBase):
            raise CaptureFileError(f"{getattr(source, 'name', source)}: opened as text: open it with mode 'rb'")
        return [source]
    elif not isinstance(source, str):
        raise CaptureFileError(f"a capture is a path, a glob, '-' or a binary file, not {source!r}")
    if "\0" in source:
        raise CaptureFileError(f"{source!r}: not the name of a file")
    if "://" in source:
        from sniffkit.remote import RemoteFile, expand

        return [cast("Source", RemoteFile(one)) for one in expand(source)]
    if source == "-" or os.path.exists(source):
        return [source]
    import glob as globbing

    if not globbing.has_magic(source):
        raise CaptureFileError(f"{source}: No such file or directory")
    found = sorted(globbing.glob(source, recursive=True))
    if not found:
        raise CaptureFileError(f"{source}: no file matches")
    return found
