"""`sniffkit read -Y` and `--deep`: frames as tshark decodes and prints them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

from sniffkit.cli import say
from sniffkit.cli.printed import BETWEEN, field_rows, put_bytes, put_table
from sniffkit.cli.read import field_options, kind_of_frames
from sniffkit.errors import SniffkitError


def hand_to_tshark(inputs: list[str], options: dict[str, Any]) -> int:
    """Print the frames (that the display filter matches), or write them to `out`.

    Returns 1 when there are none, or the file is damaged.
    """
    from sniffkit.handover import need_tshark, one_path

    ours = [
        flag for flag, name in (("-A", "ascii"), ("-e", "link"), ("-t", "times"), ("-S", "absolute")) if options[name]
    ]
    if ours:
        raise SniffkitError(f"{' and '.join(ours)}: not where tshark prints the frames (-Y, --deep)")
    names, changes = field_options(options["field"])
    path = options["out"]
    kind = kind_of_frames(inputs, options)
    if kind == "table":
        changes = {**changes, "separator": BETWEEN, "header": "n", "quote": "n"}
    chosen = [need_tshark(), "-n", "-r", one_path(inputs)]
    if options["display_filter"] is not None:
        chosen += ["-Y", options["display_filter"]]
    command = list(chosen)
    if options["format"] == "fields":
        command += ["-T", "fields"]
        command += [part for change in changes.items() for part in ("-E", "=".join(change))]
        command += [part for name in names for part in ("-e", name)]
    elif kind == "json":
        command += ["-T", "json"]
    elif options["verbose"]:
        command += ["-V"]
    if options["x"] or options["upper_x"]:
        command += ["-x"]
    if options["count"] is not None:
        command += ["-c", str(last_of(chosen, options["count"]))]
    printed = Printed(command, one_a_line if kind == "json" else whole_lines if kind == "table" else iter)
    if kind == "table" and path is not None:
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in names])
        put_table(printed, path, schema, field_rows(schema))
    else:
        put_bytes(printed, path)
    for line in printed.told:
        say(f"sniffkit: tshark: {line}")
    return 0 if printed.any and not printed.told else 1


class Printed:
    """What a tshark prints, in pieces. any: there were some; told: what it said of a damaged file, once it is over.

    Raises SniffkitError at the end if tshark refuses what it is asked.
    """

    def __init__(self, command: list[str], shape: Callable[[Iterator[bytes]], Iterator[bytes]]) -> None:
        self.command, self.shape = command, shape
        self.any = False
        self.told: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        from sniffkit.handover import complaints, tshark_error

        with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tshark:
            assert tshark.stdout is not None
            assert tshark.stderr is not None
            number = tshark.stdout.fileno()
            try:
                # tshark's few complaints fit a pipe, so they are read when it has ended.
                for piece in self.shape(iter(lambda: os.read(number, 1 << 16), b"")):
                    self.any = True
                    yield piece
            except BaseException:
                tshark.terminate()
                raise
            lines = tshark.stderr.read().decode(errors="replace").splitlines()
        self.told = complaints(lines)
        damaged = any("cut short" in line or "corrupt" in line for line in self.told)
        if tshark.returncode != 0 and not (self.any or damaged):
            raise SniffkitError(tshark_error(lines, tshark.returncode))


def whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same in pieces that end with a line."""
    rest: list[bytes] = []
    for piece in pieces:
        lines, end, last = piece.rpartition(b"\n")
        if end:
            yield b"".join([*rest, lines, end])
            rest = []
        rest.append(last)


def one_a_line(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """tshark's JSON, an indented array, as one object a line; keys may repeat still. What is no UTF-8 is replaced."""
    rest: list[bytes] = []
    frame: list[bytes] = []
    for piece in pieces:
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0], rest = b"".join([*rest, lines[0]]), []
        rest.append(last)
        done: list[bytes] = []
        for line in lines:
            if line.startswith(b"  }"):  # its strings have no line breaks
                done += [*frame, b"}\n"]
                frame = []
            elif line.startswith(b"  "):
                frame.append(line.strip() + b" " * line.endswith(b","))
        if done:
            yield b"".join(done).decode(errors="replace").encode()


def last_of(command: list[str], count: int) -> int:
    """The number of the `count`th frame that `command` chooses: tshark's own -c counts what it reads."""
    if "-Y" not in command:
        return count
    if not os.path.isfile(path := command[command.index("-r") + 1]) and (path == "-" or os.path.exists(path)):
        raise SniffkitError("-c and -Y read the file twice: give one, not standard input or a pipe")
    import subprocess

    numbers = [*command, "-l", "-T", "fields", "-e", "frame.number"]
    with subprocess.Popen(numbers, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tshark:
        assert tshark.stdout is not None
        for seen, line in enumerate(tshark.stdout, 1):
            if seen == count:
                tshark.terminate()
                return int(line)
    return 2**31 - 1  # fewer: all of them
