"""Nothing is lost at either end: live means live, and stopping takes what the kernel holds."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from livenet import Capture, Net, Running, blocks, eventually, frame, numbers, options
from procfs import of_threads

import sniffkit as sk


def counters(text: str) -> tuple[int, ...]:
    """captured, received, dropped: tcpdump's three lines."""
    return tuple(int(found) for found in re.findall(r"(?m)^(\d+) packets? (?:captured|received|dropped)", text))


def test_stop_after_50_ms_has_all_50_packets_20_times(net: Net, tmp_path: Path) -> None:
    for run in range(20):
        with sk.capture(net.veth2, filter="udp", write=tmp_path / "x.pcapng") as live:
            net.send(frame(n) for n in range(50))
            time.sleep(0.05)
        (stats,) = live.stats
        assert (stats.captured, stats.dropped + stats.captured + stats.rejected) == (50, stats.received), run
        assert sk.open(live.path).packets(["ts"]).to_arrow().num_rows == 50, run


def test_stop_at_once_has_all_50_packets(net: Net, tmp_path: Path) -> None:
    for _ in range(5):
        with sk.capture(net.veth2, filter="udp", write=tmp_path / "x.pcapng") as live:
            net.send(frame(n) for n in range(50))
        assert live.stats[0].captured == 50
    assert numbers(tmp_path / "x.pcapng") == list(range(50))


@pytest.fixture
def hang_up() -> Iterator[None]:
    """Commands do not inherit that SIGHUP is ignored, as under nohup, where they go on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up")
def test_interrupt_after_50_ms_has_all_50_packets(net: Net, capture: Capture, tmp_path: Path) -> None:
    for how in (signal.SIGINT, signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        running = capture("--netns", net.b, "-i", "veth2", "-w", "x.pcapng", "udp")
        net.send(frame(n) for n in range(50))
        time.sleep(0.05)
        code, _, said = running.end(how)
        assert (code, counters(said)) == (0, (50, 50, 0)), (how, said)
        assert numbers(tmp_path / "x.pcapng") == list(range(50))


def test_a_packet_right_after_listening_is_there(net: Net, capture: Capture, tmp_path: Path) -> None:
    for number in range(5):
        running = capture("-i", net.veth2, "-c", "1", "-w", "x.pcapng", "udp")
        net.send([frame(number)])
        code, _, said = running.end(None)
        assert (code, counters(said)) == (0, (1, 1, 0)), said
        assert numbers(tmp_path / "x.pcapng") == [number]


def test_traffic_while_it_starts(net: Net, tmp_path: Path) -> None:
    """What comes before "listening" and is kept is counted as received too."""
    flood = net.socket(net.a, "veth1")
    child = os.fork()
    if child == 0:
        while True:
            flood.send(frame())
    try:
        for _ in range(40):
            with sk.capture(net.veth1, net.veth2, write=tmp_path / "x.pcapng") as live:
                pass
            for one in live.stats:
                assert one.captured + one.dropped + one.rejected == one.received
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_count_ends_with_exactly_that_many(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth1, "-i", net.veth2, "-c", "33", "-w", "x.pcapng", "udp")
    net.send(frame(n) for n in range(200))
    code, _, said = running.end(None)
    assert (code, counters(said)[0], said.count("packets captured")) == (0, 33, 3), said
    assert len(numbers(tmp_path / "x.pcapng")) == 33
    parts = [int(n) for n in re.findall(r"(?m)^\S+/veth\d: (\d+) packet", said)]
    assert sum(parts) == 33, said


def test_a_count_ends_within_a_block(net: Net, capture: Capture, tmp_path: Path) -> None:
    """Frames are written, decoded and counted some at a time; the last of these may be cut."""
    for count in (63, 64, 700):
        running = capture("-i", net.veth2, "-c", f"{count}", "-w", "x.pcapng", "--flows", "x.parquet", "udp")
        net.send(frame(n) for n in range(1000))
        code, _, said = running.end(None)
        assert (code, counters(said)[0]) == (0, count), said
        assert numbers(tmp_path / "x.pcapng") == list(range(count))
        flows = sk.open(tmp_path / "x.pcapng").flows().to_pandas()
        table = pd.read_parquet(tmp_path / "x.parquet")
        assert table.orig_pkts.sum() + table.resp_pkts.sum() == count
        assert list(table.orig_bytes) == list(flows.orig_bytes)


def test_a_duration_ends_by_itself(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "--duration", "0.3", "-w", "x.pcapng", "udp")
    net.send(frame(n) for n in range(10))
    code, _, said = running.end(None)
    assert (code, counters(said)) == (0, (10, 10, 0)), said


def test_a_small_ring_bridges_a_pause_of_its_reader(net: Net, capture: Capture, tmp_path: Path) -> None:
    """A busy machine, or ^Z: blocks of single frames must not use a ring of 2 MiB up within 0.1 s."""
    running = capture("-i", net.veth2, "-B", "2048", "-w", "x.pcapng", "udp")
    running.process.send_signal(signal.SIGSTOP)
    for number in range(7):
        net.send([frame(number)])
        time.sleep(0.07)  # longer than the kernel keeps a block with something in it
    running.process.send_signal(signal.SIGCONT)
    code, _, said = running.end()
    assert (code, counters(said)) == (0, (7, 7, 0)), said
    assert numbers(tmp_path / "x.pcapng") == list(range(7))


def test_counters_so_far_on_a_signal(net: Net, capture: Capture, tmp_path: Path) -> None:
    """As tcpdump's SIGUSR1, however long ago the kernel was asked; SIGUSR2 flushes, which happens anyway."""
    running = capture("-i", net.veth1, "-i", net.veth2, "-w", "x.pcapng", "udp")
    net.send(frame(n) for n in range(5))
    assert eventually(lambda: len(numbers(tmp_path / "x.pcapng")) == 10)
    running.process.send_signal(signal.SIGUSR2)
    running.process.send_signal(signal.SIGUSR1)
    assert running.process.stderr is not None
    counted = "10 packets captured, 10 packets received by filter, 0 packets dropped by kernel"
    assert running.process.stderr.readline().decode() == f"sniffkit: {counted}\n"
    code, _, said = running.end()
    assert (code, counters(said)) == (0, (10, 10, 0)), said


def test_flows_go_on_over_a_pause_of_the_capture(net: Net, capture: Capture, tmp_path: Path) -> None:
    """Time is the packets' own: those that waited longer than a flow may be idle have not been silent."""
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", "x.parquet", "--udp-idle", "1.5", "udp")
    begin = time.monotonic()
    number = 0
    while (now := time.monotonic() - begin) < 11:
        if number == 28:  # at 7 s; flows are looked at when 10 have passed
            running.process.send_signal(signal.SIGSTOP)
        net.send([frame(number)])
        number += 1
        time.sleep(0.25)
    assert now > 10
    running.process.send_signal(signal.SIGCONT)
    assert running.end()[0] == 0
    assert numbers(tmp_path / "x.pcapng") == list(range(number))
    assert list(pd.read_parquet(tmp_path / "x.parquet").orig_pkts) == [number]


def halt(running: Running) -> None:
    """Stop every thread of it; each does so in its own time."""
    running.process.send_signal(signal.SIGSTOP)
    pid = running.process.pid
    while any(stat.rpartition(")")[2].split()[0] != "T" for stat in of_threads(pid, "stat").values()):
        time.sleep(0.001)


def test_what_the_ring_could_not_hold_is_counted(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-B", "1", "-w", "x.pcapng", "udp")
    halt(running)
    net.send(frame(n, size=1500) for n in range(5_000))
    running.process.send_signal(signal.SIGCONT)
    code, _, said = running.end()
    captured, received, dropped = counters(said)
    assert (code, received, captured + dropped) == (0, 5_000, 5_000), said
    assert 100 < captured < 200  # the smallest ring has two blocks of 128 KiB
    assert numbers(tmp_path / "x.pcapng") == list(range(captured))
    ((_, statistics),) = [block for block in blocks(tmp_path / "x.pcapng") if block[0] == 5]
    counts = {code: int.from_bytes(value, "little") for code, value in options(statistics, 12) if code >= 4}
    assert counts == {4: 5_000, 5: dropped, 6: 5_000, 7: dropped, 8: captured}


def test_a_small_ring_has_room_for_the_largest_frame(own_net: Net, capture: Capture) -> None:
    own_net.run(own_net.b, "ip", "link", "set", "veth2", "gso_max_size", "190000")
    running = capture("-i", own_net.veth2, "-B", "1", "-w", "x.pcapng", "udp")
    halt(running)
    own_net.send(frame(n, size=1500) for n in range(1_000))
    running.process.send_signal(signal.SIGCONT)
    code, _, said = running.end()
    assert code == 0
    assert 200 < counters(said)[0] < 400  # two blocks of 256 KiB
