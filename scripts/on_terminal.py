"""Run a command as at a terminal: what it prints there, tables as tables, whoever reads us."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

STYLE = re.compile(r"\x1b\[[0-9;]*m")  # bold and such, ECMA-48 SGR


def on_terminal(command: Sequence[str], columns: int, cwd: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and text (stdout and stderr as they come, no styles) of a command at a terminal of so many columns."""
    ours, theirs = os.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        plain = {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment, **plain},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    pieces = []
    try:
        while piece := read(ours):
            pieces.append(piece)
    finally:
        os.close(ours)
        code = process.wait()
    lines = STYLE.sub("", b"".join(pieces).decode(errors="replace").replace("\r\n", "\n")).splitlines()
    return code, "\n".join(line.rstrip() for line in lines)


def read(terminal: int) -> bytes:
    """The next bytes; none when the last process has closed its side, which Linux says by EIO."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""
