"""Live capture over a veth pair: the load, what was lost, and the rate from which packets are lost."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.inputs import NoInput
from bench.measure import Cost, RunFailed, measure

A, B = f"skbench{os.getpid()}a", f"skbench{os.getpid()}b"


@functools.cache
def pair() -> None:
    """Two namespaces joined by a veth pair, A/veth1 and B/veth2, until this process ends."""
    import sniffkit as sk

    for tool in ("tcpreplay", "ip"):
        if shutil.which(tool) is None:
            raise NoInput(f"live capture needs {tool}")
    if os.geteuid() != 0:
        raise NoInput("live capture needs root for network namespaces")
    lab = sk.lab({"nodes": [A, B], "links": [{f"{A}/veth1": "10.232.0.1/24", f"{B}/veth2": "10.232.0.2/24"}]})
    lab.up()
    atexit.register(lab.down)
    # Two hosts would chatter, and captured frames may be larger than 1,500 bytes.
    for node, device in ((A, "veth1"), (B, "veth2")):
        lab[node].run(["sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done"])
        lab[node].run(["ip", "link", "set", device, "mtu", "9000"])


def replay(capture: Path, speed: str = "--topspeed") -> tuple[int, float]:
    """Sends a capture from A; how many packets went out and at what rate, packets/s."""
    command = ["ip", "netns", "exec", A, "tcpreplay", "-q", "-K", speed, "-i", "veth1", str(capture)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    sent = re.search(r"Successful packets:\s+(\d+)", done.stdout)
    rate = re.search(r"([\d.]+) pps", done.stdout)
    if not sent or not rate:
        raise RunFailed(f"tcpreplay: {' '.join((done.stderr or done.stdout).split())[-200:]}")
    return int(sent[1]), float(rate[1])


def under_load(command: list[str], capture: Path, log: Path, speed: str = "--topspeed") -> tuple[Cost, float]:
    """The cost of a capture, ended by ^C after the load, with what it lost; and the rate of the load, packets/s."""
    load: list[tuple[int, float]] = []

    def drive(process: subprocess.Popen[bytes]) -> None:
        while "istening" not in log.read_text(errors="replace"):
            if process.poll() is not None:
                return
            time.sleep(0.01)
        load.append(replay(capture, speed))
        time.sleep(0.5)  # tcpdump does not drain its ring on ^C
        process.send_signal(signal.SIGINT)

    cost = measure(command, log, drive=drive)
    captured = re.search(r"(?m)^(\d+) packets? captured", log.read_text(errors="replace"))
    if not load or not captured:
        raise RunFailed("it did not say how many packets it captured")
    (sent, rate) = load[0]
    # `measure` counts the waited-for children of the command alone, so the sender is not in it.
    return Cost(cost.wall, cost.cpu, cost.rss, lost=sent - int(captured[1])), rate


def breaking_rate(run: Callable[[str], tuple[Cost, float]], steps: int = 6) -> str:
    """The rate from which packets are lost, found by halving the interval, in words."""
    cost, top = run("--topspeed")
    if not cost.lost:
        return f"none lost at {top:,.0f} packets/s, as fast as the sender goes"
    low, high, lost = 0.0, top, cost.lost
    for _ in range(steps):
        rate = (low + high) / 2
        cost, _ = run(f"--pps={rate:.0f}")
        if cost.lost:
            high, lost = rate, cost.lost
        else:
            low = rate
    return f"begins to lose between {low:,.0f} and {high:,.0f} packets/s ({lost:,} lost there)"
