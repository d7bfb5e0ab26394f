"""Requests that cannot be met: one clear line and the right exit code, and nothing captured is lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from livenet import SNIFFKIT, Capture, Net, frame, numbers

import sniffkit as sk
from sniffkit.netlink import run_in

Refused = Callable[..., tuple[int, str]]


def line(result: tuple[int, str], code: int = 2) -> str:
    assert result[0] == code, result
    assert result[1].count("\n") == 1, result[1]
    assert result[1].startswith("sniffkit: "), result[1]
    return result[1].removeprefix("sniffkit: ").rstrip("\n")


def test_interface_not_there(net: Net, refused: Refused) -> None:
    said = line(refused("--netns", net.b, "-i", "eth9", "-w", "x.pcapng"))
    assert said == f"no interface 'eth9' in namespace '{net.b}'; there are: any lo veth2".replace("'", '"')


def test_an_interface_that_cannot_be_looked_up_is_not_missing(net: Net) -> None:
    script = f"ulimit -n 6; exec {SNIFFKIT} capture -i {net.veth2} -w /dev/null"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, "no interface" in done.stderr) == (2, False), done.stderr
    assert "Too many open files" in done.stderr


def test_namespace_not_there(net: Net, refused: Refused) -> None:
    said = line(refused("--netns", "nowhere", "-i", "veth2", "-w", "x.pcapng"))
    assert said.startswith('no network namespace "nowhere"; there are: ')
    assert {net.a, net.b} <= set(said.split(": ")[1].split())
    said = line(refused("--netns", "4194304", "-i", "veth2", "-w", "x.pcapng"))
    assert said.startswith('no network namespace "4194304"')
    assert line(refused("-i", "/veth2", "-w", "x")).startswith('no network namespace ""; there are: ')
    said = line(refused("-i", "/etc/passwd/veth2", "-w", "x.pcapng"))
    assert said == "/etc/passwd is not a network namespace"


@pytest.mark.parametrize(
    ("filter", "place"),
    [
        ("tcp port", "at column 9: it ends too early"),
        ("icmp and foo", "at column 10"),
        ("host 1.2.3.4.5", "at column 6"),
        ("(tcp", "column"),
        ("udp and inbound", "use -Q in or -Q out (at column 9)"),
        ("udp and ifindex 3", "name the interface with -i (at column 9)"),
        (" or ".join(f"host 10.0.{n // 250}.{n % 250}" for n in range(300)) + " and and tcp", '("and")'),
    ],
)
def test_bad_filter_with_its_position(net: Net, refused: Refused, filter: str, place: str) -> None:
    said = line(refused("-i", net.veth2, "-w", "x.pcapng", filter))
    assert said.startswith(f'bad filter "{filter}": ')
    assert place in said
    with pytest.raises(sk.FilterError):
        sk.capture(net.veth2, filter=filter)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-w", "no/such/x.pcapng"], "no/such/x.pcapng: there is no directory no/such"),
        (["-w", "x.pcapng", "--flows", "no/f.parquet"], "no/f.parquet: there is no directory no"),
        (
            ["-w", "x.pcapng", "--flows", "f.xls"],
            "f.xls: no format for this suffix; there are: .parquet .csv .tsv .jsonl .arrow",
        ),
        (["-w", "-", "-C", "1"], "-: standard output cannot be rotated"),
        (["-w", "-", "--print"], "-w - and --print would share standard output"),
        (["-w", "/dev/stdout", "--print"], "-w /dev/stdout and --print would share standard output"),
        (["-W", "2", "-w", "x"], "-W needs -C or -G"),
        (["-C", "1"], "-C and -G need -w FILE"),
        (["--no-save", "-w", "x"], "--no-save and -w contradict each other"),
        (["-Z", "no-such-user", "-w", "x"], "-Z: no user 'no-such-user'"),
        (["-w", "."], ".: Is a directory"),
        (["--dir", ""], "'': not the name of a directory"),
        (
            ["-w", "x.parquet", "--flows", "./x.parquet"],
            "./x.parquet: the capture and its flow table would be one file",
        ),
        (["-w", "x\udcff.pcapng"], "'x\\udcff.pcapng' is not UTF-8"),
        (["-w", "x.pcap.gz"], "x.pcap.gz: captures are not compressed as they are written: do without the suffix"),
        (["-w", "X.ZST", "-C", "1"], "X.ZST: captures are not compressed as they are written: do without the suffix"),
        (["-w", "x", "--duration", "nan"], "duration is a time in seconds, not NaN"),
    ],
)
def test_bad_options(net: Net, refused: Refused, arguments: list[str], said: str, tmp_path: Path) -> None:
    assert line(refused("-i", net.veth2, *arguments)) == said
    assert [path.name for path in tmp_path.iterdir() if path.name != "captures"] == []


@pytest.mark.parametrize("option", ["-c", "-s", "-B", "-C", "-G", "-W"])
def test_a_number_that_is_too_large(net: Net, refused: Refused, option: str) -> None:
    code, said = refused("-i", net.veth2, "-w", "x", option, "9" * 23)
    assert (code, said.count("\n")) == (2, 1), said


def test_a_flow_table_takes_no_place_that_is_taken(net: Net, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    assert line(refused("-i", net.veth2, "-w", "x", "--flows", "d.csv")) == "d.csv: Is a directory"
    for name, capture in (("f.csv.parquet", "x.pcapng"), ("other", "f.csv.parquet")):
        (tmp_path / name).write_text("mine")
        assert refused("-i", net.veth2, "-w", capture, "--flows", "f.csv", "--duration", "0.1")[0] == 0
        assert (tmp_path / name).read_text() == "mine"
        assert (tmp_path / "f.csv").stat().st_size
        (tmp_path / name).unlink()
    assert sk.open(str(tmp_path / "f.csv.parquet")).packets().to_arrow().num_rows == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["d.csv", "f.csv", "f.csv.parquet", "x.pcapng"]


def test_no_interface_and_the_same_twice(net: Net, refused: Refused) -> None:
    assert line(refused()) == "-i IF is missing: 'sniffkit interfaces --netns all' lists them"
    twice = line(refused("-i", net.veth2, "-i", f"/run/netns/{net.b}/veth2", "-w", "x"))
    assert twice == f"the same interface is given twice: {net.veth2}"
    assert refused("-c", "0", "-i", net.veth2)[0] == 2


@pytest.fixture
def nobody(net: Net) -> tuple[str, ...]:
    """Runs `sniffkit capture` as a user without capabilities, from where that user may read it."""
    code = "import sys; from sniffkit.cli import main; main(['capture', *sys.argv[1:]])"
    python = [str(Path(SNIFFKIT).parent / "python"), "-c", code]
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    probe = subprocess.run([*command, *python, "--help"], check=False, capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"nobody may not read the project: {probe.stderr.strip().splitlines()[-1:]}")
    return (*command, *python)


def test_no_privilege(net: Net, refused: Refused, nobody: tuple[str, ...]) -> None:
    python = os.path.realpath(Path(SNIFFKIT).parent / "python")  # whichever runs, as `doctor` says it
    grant = "is missing; run it with sudo, or let every script of this Python: sudo setcap "
    grant = re.escape(f"{grant}cap_net_raw,cap_net_admin,cap_sys_admin+eip {python}") + "$"
    said = line(refused("-i", "lo", "--no-save", command=nobody))
    assert re.match(rf"opening a packet socket: not permitted: CAP_NET_RAW {grant}", said)
    said = line(refused("--netns", net.b, "-i", "veth2", "--no-save", command=nobody))
    assert re.match(rf'entering namespace "{net.b}": not permitted: CAP_SYS_ADMIN {grant}', said)


def test_an_interface_that_goes_away_ends_it(own_net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", own_net.veth2, "-w", "x.pcapng", "--flows", "f.parquet", "udp")
    own_net.send(frame(n) for n in range(50))
    own_net.run(own_net.a, "ip", "link", "delete", "veth1")
    code, _, said = running.end(None)
    assert code == 1
    assert f"sniffkit: {own_net.veth2}: the interface has gone; what came before is kept\n" in said
    assert numbers(tmp_path / "x.pcapng") == list(range(50))
    assert (tmp_path / "f.parquet").exists()


def test_another_interface_of_that_name_and_index_is_not_it(own_net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", own_net.veth2, "-w", "x.pcapng", "udp")
    index = run_in(own_net.b, lambda: socket.if_nametoindex("veth2"))
    running.process.send_signal(signal.SIGSTOP)
    own_net.run(own_net.b, "ip", "link", "delete", "veth2")
    again = ("ip", "link", "add", "veth2", "index", str(index), "type", "veth", "peer", "name", "veth8")
    own_net.run(own_net.b, *again)
    running.process.send_signal(signal.SIGCONT)
    code, _, said = running.end(None)
    assert (code, "the interface has gone" in said) == (1, True)


def test_python_warns_of_an_interface_that_went_away(own_net: Net) -> None:
    live = sk.capture(own_net.veth2, filter="udp")
    own_net.send([frame(1)])
    own_net.run(own_net.a, "ip", "link", "delete", "veth1")
    assert live.wait(5)
    with pytest.warns(sk.CaptureWarning, match=f"^{own_net.veth2}: the interface has gone") as told:
        live.stop()
    assert told[0].filename == __file__
    assert live.stats[0].captured == 1


def test_the_other_points_go_on(own_net: Net, capture: Capture, tmp_path: Path) -> None:
    own_net.run(own_net.a, "ip", "link", "add", "veth3", "type", "veth", "peer", "name", "veth4")
    for name in ("veth3", "veth4"):
        own_net.run(own_net.a, "ip", "link", "set", name, "up")
    running = capture("-i", f"{own_net.a}/veth4", "-i", own_net.veth2, "-w", "x.pcapng", "udp")
    own_net.socket(own_net.a, "veth3").send(frame(1))
    own_net.send([frame(2)])
    own_net.run(own_net.a, "ip", "link", "delete", "veth3")
    time.sleep(0.2)
    own_net.send([frame(3)])
    code, _, said = running.end()
    assert code == 1
    assert said.count("the interface has gone") == 1
    assert numbers(tmp_path / "x.pcapng") == [1, 2, 3]


def test_a_link_that_goes_down_and_up_goes_on(own_net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", own_net.veth2, "-w", "x.pcapng", "udp")
    own_net.send([frame(1)])
    own_net.run(own_net.b, "ip", "link", "set", "veth2", "down")
    time.sleep(0.1)
    own_net.run(own_net.b, "ip", "link", "set", "veth2", "up")
    while "LOWER_UP" not in own_net.run(own_net.a, "ip", "link", "show", "veth1"):
        time.sleep(0.02)
    own_net.send([frame(2)])
    code, _, said = running.end()
    assert (code, numbers(tmp_path / "x.pcapng")) == (0, [1, 2]), said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        until = time.monotonic() + 5  # pyarrow's threads may hold what they have read a moment longer
        while subprocess.run(["umount", str(disk)], check=False).returncode != 0:
            assert time.monotonic() < until, "somebody still has a file there"
            time.sleep(0.05)


@pytest.mark.parametrize("name", ["x.pcapng", "x.pcap"])
def test_a_full_disk(net: Net, capture: Capture, small_disk: Path, name: str) -> None:
    path = small_disk / name
    running = capture("-i", net.veth2, "-w", str(path), "--flows", str(small_disk / "f.parquet"), "udp")
    net.send(frame(n, size=1400) for n in range(2000))
    code, _, said = running.end(None)
    assert code == 1
    assert said.count("sniffkit: ") == 4  # listening, wrote, the errors
    found = re.search(rf"sniffkit: {path}: No space left on device(?: \((\d+) frames? not written\))?; what was", said)
    assert found, said
    kept = numbers(path)
    assert kept == list(range(len(kept)))
    assert len(kept) > 500
    assert re.search(rf"(?m)^{len(kept)} packets captured", said), said
    assert "f.parquet" not in os.listdir(small_disk)
    assert said.endswith(
        f"sniffkit: {small_disk}/f.parquet: no flow table was written: sniffkit flows {path} makes one\n"
    )


@pytest.mark.parametrize("name", ["x.pcapng", "x.pcap"])
def test_a_flow_table_counts_what_a_full_disk_took(
    net: Net, capture: Capture, small_disk: Path, tmp_path: Path, name: str
) -> None:
    (small_disk / "filler").write_bytes(bytes(900_000))
    running = capture("-i", net.veth2, "-w", str(small_disk / name), "--flows", "f.parquet", "udp")
    for n in range(2000):
        net.send([frame(n, size=800)])
        if running.process.poll() is not None:
            break
        time.sleep(0.001)
    code, _, said = running.end(None)
    assert (code, "No space left on device" in said) == (1, True), said
    kept = numbers(small_disk / name)
    assert kept == list(range(len(kept)))
    flows = sk.open(small_disk / name).flows(["orig_pkts", "orig_bytes"]).to_arrow().to_pylist()
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet", columns=["orig_pkts", "orig_bytes"]).to_pylist()
    assert table == flows
    assert sum(row["orig_pkts"] for row in table) == len(kept)


def test_a_full_disk_under_a_flow_table_in_text(net: Net, capture: Capture, small_disk: Path, tmp_path: Path) -> None:
    table = small_disk / "f.csv"
    table.write_text("mine\n")
    (small_disk / "filler").write_bytes(bytes(600_000))
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", str(table), "udp")
    flows = [frame(n)[:34] + n.to_bytes(2, "big") + frame(n)[36:] for n in range(1, 2500)]
    net.send(flows)
    code, _, said = running.end()
    assert code == 1, said
    kept = re.search(rf"sniffkit: {table}: No space left on device; the flow table is kept as (\S+)\n", said)
    assert kept, said
    assert pyarrow.parquet.read_table(kept[1]).num_rows == len(flows)
    assert table.read_text() == "mine\n"
    assert sorted(one.name for one in small_disk.iterdir()) == sorted(["f.csv", "filler", Path(kept[1]).name])


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_full_disk_under_the_flow_table_alone(
    net: Net, capture: Capture, small_disk: Path, tmp_path: Path, suffix: str
) -> None:
    (small_disk / "filler").write_bytes(bytes(1_044_000))
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", str(small_disk / f"f.{suffix}"), "udp")
    net.send(frame(n) for n in range(10))
    code, _, said = running.end()
    assert code == 1
    assert said.endswith(
        f"sniffkit: wrote x.pcapng\nsniffkit: {small_disk}/f.{suffix}: No space left on device; "
        "no flow table was written: sniffkit flows x.pcapng makes one\n"
    )
    assert numbers(tmp_path / "x.pcapng") == list(range(10))
    assert os.listdir(small_disk) == ["filler"]
