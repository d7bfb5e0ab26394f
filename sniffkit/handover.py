"""Frames for other people's dissectors: scapy's packets and tshark's."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

from sniffkit.errors import CaptureFileError, MissingToolError, SniffkitError

Source = str | os.PathLike[str] | IO[bytes]

# First bytes -> how pyarrow calls the compression; the suffix never counts.
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def scapy_packets(inputs: Sequence[Source]) -> Iterator[Any]:
    """The frames of `inputs` as scapy packets, read one by one."""
    import scapy.layers.all  # noqa: F401 (without it scapy knows no link type)
    from scapy.error import Scapy_Exception
    from scapy.utils import PcapReader

    for one in inputs:
        stream = binary(one)
        try:
            # A gzip file that scapy opens itself is not closed cleanly; our own stream is.
            yield from PcapReader(stream)
        except Scapy_Exception as error:
            raise CaptureFileError(f"{name_of(one)}: {error}") from None
        finally:
            if isinstance(one, (str, os.PathLike)) and one != "-":
                stream.close()


def name_of(source: Source) -> str:
    """What messages call an input."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else getattr(source, "name", "<file object>")


def binary(source: Source) -> Any:
    """The decompressed bytes of an input."""
    if not isinstance(source, (str, os.PathLike)):
        return source
    if source == "-":
        return sys.stdin.buffer
    try:
        file = open(source, "rb")  # noqa: SIM115 (the caller closes it)
        start = file.read(4)
        file.seek(0)
    except OSError as error:
        raise CaptureFileError(f"{os.fspath(source)}: {error.strerror}") from None
    for magic, kind in COMPRESSIONS.items():
        if start.startswith(magic):
            import pyarrow as pa

            return pa.CompressedInputStream(file, kind)
    return file


def need_tshark() -> str:
    """The path of tshark. Raises MissingToolError with how to get it."""
    path = shutil.which("tshark")
    if path is None:
        raise MissingToolError("tshark is not installed: sudo apt install tshark")
    return path


def one_path(inputs: Sequence[Source]) -> str:
    """The one file that tshark can be pointed at."""
    if len(inputs) != 1 or not isinstance(inputs[0], (str, os.PathLike)):
        raise SniffkitError("tshark reads one file at a time: give one path")
    return os.fspath(inputs[0])


def pyshark_capture(inputs: Sequence[Source], display_filter: str | None, **options: Any) -> Any:
    """A `pyshark.FileCapture` over one file."""
    need_tshark()
    path = one_path(inputs)
    import pyshark

    return pyshark.FileCapture(path, display_filter=display_filter, **options)
