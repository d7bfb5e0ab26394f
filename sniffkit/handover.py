"""Frames for other people's dissectors: scapy's packets and tshark's."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

from sniffkit.errors import CaptureFileError, MissingToolError, SniffkitError
from sniffkit.remote import RemoteFile
from sniffkit.tables import file_error, warn

Source = str | os.PathLike[str] | IO[bytes]


def scapy_packets(inputs: Sequence[Source]) -> Iterator[Any]:
    """The frames of `inputs` as scapy packets, read a batch at a time: those of the tables, and the same warning."""
    import scapy.layers.all  # noqa: F401 (without it scapy knows no link type)

    from sniffkit import _core

    try:
        frames = _core.Frames(list(inputs))
        for batch in frames:
            for frame in batch:
                yield scapy_packet(*frame)
    except OSError as error:
        raise file_error(error) from None
    warn(frames.warnings())


def scapy_packet(ts: int, wire_len: int, link_type: int, interface: str | None, data: bytes) -> Any:
    """A frame as scapy's own readers of files make it, with all of its digits of time."""
    from scapy.config import conf
    from scapy.utils import EDecimal

    try:
        packet = conf.l2types.num2layer.get(link_type, conf.raw_layer)(data)
    except Exception:  # a layer of scapy that its data is too strange for
        packet = conf.raw_layer(data)
    packet.time = EDecimal(Decimal(ts).scaleb(-9))
    packet.wirelen = wire_len
    if interface is not None:
        packet.sniffed_on = interface
    return packet


def need_tshark() -> str:
    """The path of tshark. Raises MissingToolError with how to get it."""
    path = shutil.which("tshark")
    if path is None:
        raise MissingToolError("tshark is not installed: sudo apt install tshark")
    return path


def one_path(inputs: Sequence[Source]) -> str:
    """The one file that tshark can be pointed at."""
    if len(inputs) == 1 and isinstance(inputs[0], RemoteFile):
        raise SniffkitError(f"{inputs[0].name}: tshark reads files of this machine: give a path, not a URL")
    if len(inputs) != 1 or not isinstance(inputs[0], (str, os.PathLike)):
        raise SniffkitError("tshark reads one file at a time: give one path")
    return os.fspath(inputs[0])


def pyshark_capture(inputs: Sequence[Source], display_filter: str | None, **options: Any) -> Any:
    """A `pyshark.FileCapture` over one file; options: those of its `__init__`.

    Where an event loop runs already, as in Jupyter, it has one of its own in a thread. A wrong option is a TypeError.
    """
    tshark, path = need_tshark(), one_path(inputs)
    if not os.path.isfile(path):  # which pyshark needs, and says only when a half of it is made
        why = "Is a directory" if os.path.isdir(path) else "pyshark reads regular files: save it to one"
        raise CaptureFileError(f"{'standard input' if path == '-' else path}: {why}")
    if display_filter is not None:
        if not isinstance(display_filter, str) or "\0" in display_filter:
            raise SniffkitError(f"{display_filter!r}: not a display filter")
        # pyshark tells a wrong one from within the first packet, as a crash of tshark.
        told = subprocess.run(
            [tshark, "-n", "-r", path, "-Y", display_filter, "-c", "1"], capture_output=True, check=False
        )
        said = told.stderr.decode(errors="replace").splitlines()
        if told.returncode != 0 and not is_damage(said):
            raise SniffkitError(tshark_error(said, told.returncode))
    import asyncio
    import inspect

    import pyshark

    from sniffkit.pysharkcapture import FileCapture, ThreadedFileCapture

    kind = FileCapture
    if options.get("eventloop") is None:
        if asyncio._get_running_loop() is not None:
            kind = ThreadedFileCapture
        else:
            with_loop()
    # What pyshark has half made when it refuses an option, it complains of again when that is forgotten.
    inspect.signature(pyshark.FileCapture).bind(path, display_filter=display_filter, **options)
    return kind(path, display_filter=display_filter, **options)


def is_damage(lines: list[str]) -> bool:
    """Whether tshark says on stderr that it came to a damage in the file, before which it has read all."""
    return any("cut short" in line or "damaged or corrupt" in line for line in lines)


def tell_damage(path: str, lines: list[str]) -> None:
    """Warn as the tables of the file do; with tshark's words where they do not.

    Raises CaptureFileError where there is nothing before the damage.
    """
    from sniffkit import _core

    try:
        found = _core.open_table("packets", [path], ["frame_number"]).finish()
    except OSError as error:
        raise file_error(error) from None
    warn(found or [(path, None, tshark_error(lines, 0))])


def with_loop() -> None:
    """Sees that this thread has an event loop, which pyshark needs: after `asyncio.run` the main thread has none."""
    import asyncio

    try:
        if not asyncio.get_event_loop_policy().get_event_loop().is_closed():
            return
    except RuntimeError:
        pass
    asyncio.set_event_loop(asyncio.new_event_loop())


def complaints(lines: list[str]) -> list[str]:
    """What tshark says on stderr, without what it says always."""
    return [line.removeprefix("tshark: ") for line in lines if line.strip() and "Running as user" not in line]


def tshark_error(lines: list[str], code: int) -> str:
    """Why tshark gave up, as one line: what it says on stderr, and where its `^~~~` points in a filter."""
    told = complaints(lines)
    what = told[0] if told else f"exit code {code}"
    if what.endswith(":"):  # a list follows, as of fields that are none
        what = f"{what} {', '.join(line.strip() for line in told[1:])}"
    for drawn, marks in itertools.pairwise(lines):
        if marks.strip() and not marks.strip().strip("^~"):
            indent = len(drawn) - len(drawn.lstrip())
            return f"tshark: {what} at column {marks.index('^') - indent + 1}"
    return f"tshark: {what}"
