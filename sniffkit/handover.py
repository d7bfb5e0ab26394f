"""Frames for other people's dissectors: scapy's packets and tshark's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import IO, Any

from sniffkit.errors import MissingToolError, SniffkitError

Source = str | os.PathLike[str] | IO[bytes]


def scapy_packets(inputs: Sequence[Source]) -> Iterator[Any]:
    """The frames of `inputs` as scapy packets, read one by one."""
    from scapy.utils import PcapReader

    for one in inputs:
        name: Any = os.fspath(one) if isinstance(one, os.PathLike) else one  # scapy takes file objects too
        with PcapReader(name) as reader:
            yield from reader


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
