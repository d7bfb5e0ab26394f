"""Who reads standard output may read slowly or no more (`| less`): no frame is lost in the file, and ^C is an end."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet
import pytest
from livenet import Capture, Net, Running, eventually, frame, numbers

MANY = 3000  # a pipe holds the lines of some 700


def interrupted(running: Running) -> tuple[int, str]:
    """^C, with nobody who reads standard output; exit code and standard error."""
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(5) is not None
    assert running.process.stderr is not None
    return running.process.returncode, (running.said + running.process.stderr.read()).decode()


def send(net: Net, frames: Iterable[bytes]) -> None:
    """Not faster than the smallest machine takes them."""
    for at, one in enumerate(frames):
        net.send([one])
        if at % 100 == 0:
            time.sleep(0.002)


@pytest.mark.parametrize("arguments", [["--print"], ["--print", "--flows", "f.parquet"]])
def test_the_file_goes_on(net: Net, capture: Capture, tmp_path: Path, arguments: list[str]) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcapng", *arguments, "udp")
    send(net, (frame(n) for n in range(MANY)))
    # what a kill would leave
    assert eventually(lambda: numbers(tmp_path / "x.pcapng") == list(range(MANY)))
    code, said = interrupted(running)
    assert (code, f"{MANY} packets captured\n" in said) == (0, True), said
    unread = re.search(r"(?m)^sniffkit: (\d+) lines were not printed: nobody read standard output$", said)
    assert unread, said
    assert MANY / 2 < int(unread[1]) < MANY
    assert numbers(tmp_path / "x.pcapng") == list(range(MANY))
    if "--flows" in arguments:
        assert pyarrow.parquet.read_table(tmp_path / "f.parquet")["orig_pkts"].to_pylist() == [MANY]


def test_an_interrupt_ends_what_only_prints(net: Net, capture: Capture) -> None:
    running = capture("-i", net.veth2, "--no-save", "udp")
    send(net, (frame(n) for n in range(MANY)))
    code, said = interrupted(running)
    assert (code, f"{MANY} packets captured\n" in said, "not printed" in said) == (0, True, True), said


def test_a_late_reader_has_all_lines(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--print", "-c", f"{MANY}", "udp")
    send(net, (frame(n) for n in range(MANY)))
    assert eventually(lambda: numbers(tmp_path / "x.pcapng") == list(range(MANY)))
    with pytest.raises(subprocess.TimeoutExpired):
        running.process.wait(1)
    code, out, said = running.end(None)
    assert (code, len(out.splitlines()), "not printed" in said) == (0, MANY, False), said


def test_the_reader_of_a_capture_has_it_whole(net: Net, capture: Capture, tmp_path: Path) -> None:
    """Half a capture file is none: ^C waits for who reads it from a pipe, and a second one does not."""
    for twice in (False, True):
        running = capture("-i", net.veth2, "-w", "-", "udp")
        send(net, (frame(n, size=200) for n in range(MANY)))
        running.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1.2)
        if twice:
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(5) == 130
            continue
        code, out, said = running.end(None)
        assert code == 0, said
        (tmp_path / "x.pcapng").write_bytes(out)
        assert numbers(tmp_path / "x.pcapng") == list(range(MANY))
