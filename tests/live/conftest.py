"""Fixtures of the live tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import labs
import pytest
from lab_process import RAN
from livenet import SNIFFKIT, Capture, Net, Running, make_net

from sniffkit.lab import state


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    """A pair of namespaces for all tests of a file."""
    yield from make_net("m")


@pytest.fixture
def own_net() -> Iterator[Net]:
    """A pair of namespaces that the test may break."""
    yield from make_net("o")


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Capture]:
    """Starts `sniffkit capture` with these arguments in `tmp_path`; what still runs after the test is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, command: tuple[str, ...] = (SNIFFKIT, "capture"), **options: object) -> Running:
        given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, **options}
        process: subprocess.Popen[bytes] = subprocess.Popen([*command, *arguments], **given)  # type: ignore[call-overload]
        started.append(process)
        return Running(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs `sniffkit capture` that must end by itself: exit code and standard error."""

    def run(*arguments: str, command: tuple[str, ...] = (SNIFFKIT, "capture")) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *arguments], check=False, capture_output=True, text=True, cwd=tmp_path, timeout=30
        )
        return done.returncode, done.stderr

    return run


@pytest.fixture(name="file")
def lab_file(tmp_path: Path) -> Iterator[Path]:
    """A path for a lab file whose lab has a name of this test run's own; the lab is gone afterwards."""
    path = tmp_path / f"{labs.P}lab.yaml"
    yield path
    labs.sniffkit("lab", "down", f"{labs.P}lab")
    left = labs.netns()
    for name in left:
        labs.ip("netns", "del", name)
    assert left == [], "namespaces stayed behind"
    assert f"{labs.P}lab" not in state.names()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which kind of link ran on which kernel."""
    for kind, kernels in sorted(RAN.items()):
        for kernel, examples in kernels.items():
            terminalreporter.write_line(f"lab kind {kind:<22} {kernel:<28} {' '.join(examples)}")
