"""^C while DuckDB works: exit code 130 or KeyboardInterrupt, nothing else said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import sniffkit as sk
from sniffkit.errors import SniffkitError
from sniffkit.interruptible import interruptible
from sniffkit.query import matching

PCAP = str(Path(__file__).resolve().parent.parent / "captures" / "demo" / "demo.pcapng")
LONG = "select sum(x.range) from range(1000000) x, range(1000000) y where (x.range * y.range) % 7 = 3"
OVER_SOME_TIME = "select count(*) from range(9000000000) t(i) where hash(i) % 257 = 1"
# One call of a function, which looks at nothing meanwhile.
DEAF = "select levenshtein(repeat('a', 200000), repeat('b', 200000))"


def interrupted(command: list[str], times: int = 1) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process that gets ^C once it computes."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "_duckdb" not in Path(f"/proc/{process.pid}/maps").read_text():
            time.sleep(0.02)
        time.sleep(1)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        out, err = process.communicate(timeout=20)  # click ends the line of the ^C
    return process.returncode, out, err.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", LONG, PCAP],
        ["packets", PCAP, "--where", f"({LONG}) > frame_len"],
        ["packets", PCAP, "--sort", f"({LONG}) % frame_len"],
    ],
)
def test_the_command_ends_at_once_and_quietly(arguments: list[str]) -> None:
    assert interrupted([sys.executable, "-m", "sniffkit", *arguments]) == (130, "", "")


def test_a_second_one_waits_for_nothing() -> None:
    assert interrupted([sys.executable, "-m", "sniffkit", "sql", DEAF, PCAP], times=2) == (130, "", "")


def test_python_gets_its_exception() -> None:
    code = "import sys, sniffkit as sk\n"
    code += "try: sk.open(sys.argv[1]).sql(sys.argv[2])\n"
    code += "except KeyboardInterrupt: print('interrupted', sk.open(sys.argv[1]).sql('select 1 x').to_arrow()['x'][0])"
    assert interrupted([sys.executable, "-c", code, PCAP, LONG]) == (0, "interrupted 1\n", "")


def test_a_handler_that_restarts_waits_hides_no_interrupt() -> None:
    """siginterrupt(3): as the handler that polars puts before Python's leaves it."""
    code = "import signal, sys, sniffkit as sk; signal.siginterrupt(signal.SIGINT, False)\n"
    code += "try: sk.open(sys.argv[1]).sql(sys.argv[2])\n"
    code += "except KeyboardInterrupt: print('interrupted')"
    begun = time.monotonic()
    assert interrupted([sys.executable, "-c", code, PCAP, OVER_SOME_TIME]) == (0, "interrupted\n", "")
    assert time.monotonic() - begun < 20


def test_patience_ends() -> None:
    frames = sk.open(PCAP).packets(["frame_len"]).to_arrow()
    begun = time.monotonic()
    with pytest.raises(SniffkitError, match="--where: more than 1 s: given up"):
        matching(frames, f"({LONG}) > frame_len", patience=0.6)
    assert time.monotonic() - begun < 10
    assert list(matching(frames, "frame_len > 240", patience=60)) == [17, 39]


def test_the_work_is_stopped_until_it_has_ended() -> None:
    ended = threading.Event()
    stops: list[int] = []

    def stop() -> None:
        stops.append(1)
        if len(stops) == 3:
            ended.set()

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        ended.wait()

    with pytest.raises(KeyboardInterrupt):
        interruptible(work, stop)
    assert len(stops) == 3
    assert interruptible(lambda: 7, stop) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, stop)
