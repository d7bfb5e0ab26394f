"""What the tests of labs share: the command line run here, names of this test run's own, and nothing left behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sniffkit.cli import main

P = f"skl{os.getpid()}"  # every namespace and lab of these tests begins so
ROOT = Path(__file__).resolve().parent.parent.parent
SLOW = f"nodes:\n  {P}a: {{services: {{run: {{command: sleep 60, tcp: 9}}}}}}\n"


def sniffkit(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The command line: in this process, where a start of Python's can be spared."""
    if not prefix and "exec" not in arguments:
        return here(*arguments)
    command = [*prefix, sys.executable, "-m", "sniffkit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def here(*arguments: str) -> subprocess.CompletedProcess[str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main([*arguments])
    for number, handler in handlers.items():
        signal.signal(number, handler)
    said = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, int(stop.value.code or 0), *said)


def netns() -> list[str]:
    return sorted(name for name in os.listdir("/run/netns") if name.startswith(P))


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def pair(**more: Any) -> dict[str, Any]:
    return {"name": f"{P}lab", "links": [{f"{P}a/eth0": "10.0.0.1/24", f"{P}b/eth0": "10.0.0.2/24"}], **more}


def write(path: Path, **more: Any) -> str:
    path.write_text(json.dumps(pair(**more)))
    return str(path)
