"""^C and SIGTERM while a capture starts, when there is nothing yet: it ends at once, and leaves nothing half made."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from livenet import SNIFFKIT, Net


def begun(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`sniffkit capture` in `tmp_path`, that may not be live yet."""
    # Not ignored, as it is in what a shell runs in the background.
    command = [SNIFFKIT, "capture", *arguments]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes], how: signal.Signals) -> tuple[int, str]:
    process.send_signal(how)
    try:
        _, said = process.communicate(timeout=5)
    finally:
        process.kill()
    return process.returncode, said.decode()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_pipe_that_nobody_reads(net: Net, tmp_path: Path, how: signal.Signals) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = begun(tmp_path, "-i", net.veth2, "-w", "pipe")
    time.sleep(1)
    assert ended(process, how) == (130, "")


def test_a_filter_that_takes_minutes_to_compile(net: Net, tmp_path: Path) -> None:
    hosts = " or ".join(f"host 10.{n // 250}.{n % 250}.1" for n in range(1500))
    process = begun(tmp_path, "-i", net.veth2, "--no-save", hosts)
    time.sleep(1)
    assert ended(process, signal.SIGINT) == (130, "")


@pytest.mark.parametrize("wait", [0.03, 0.05, 0.07, 0.09, 0.11, 0.15])
def test_the_moments_before_it_is_live(net: Net, tmp_path: Path, wait: float) -> None:
    process = begun(tmp_path, "-i", net.veth2, "-w", "x.pcapng", "--flows", "f.csv")
    time.sleep(wait)
    code, _ = ended(process, signal.SIGTERM)
    names = sorted(one.name for one in tmp_path.iterdir())
    if code == 0:
        assert names == ["f.csv", "x.pcapng"]
    else:
        # Before it had begun; -15: before Python had.
        assert (code in (130, -signal.SIGTERM), set(names) <= {"x.pcapng"}) == (True, True)
