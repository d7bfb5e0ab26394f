"""Run a whole process once and say what it cost."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run of a process cost, the children that it waited for included."""

    wall: float  # seconds
    cpu: float  # seconds, user + system
    rss: int  # bytes, the largest resident size of any one of its processes
    lost: int = 0  # packets that were sent and not captured


class RunFailed(Exception):
    """A measured command that is missing or failed; the message has the end of what it said."""


def measure(
    command: Sequence[str],
    log: Path,
    timeout: float = 1800,
    drive: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Cost:
    """Run a command with its output in `log`, and return its cost. `drive` does what it needs while it runs.

    The resident size is wait4's; it starts from that of this process (under 20 MB), which is its floor.
    Raises RunFailed when the command is missing, fails, or takes longer than `timeout` seconds.
    """
    with log.open("wb") as output:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            raise RunFailed(f"{command[0]}: {error.strerror}") from None
        killer = threading.Timer(timeout, os.kill, (process.pid, signal.SIGKILL))
        killer.start()
        try:
            if drive is not None:
                drive(process)
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            killer.cancel()
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = " / ".join(log.read_text(errors="replace").strip().splitlines()[-2:])
        raise RunFailed(f"exited {process.returncode}: {said}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def median(costs: Sequence[Cost]) -> Cost:
    """The medians, each figure on its own."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        int(statistics.median(cost.rss for cost in costs)),
        int(statistics.median(cost.lost for cost in costs)),
    )
