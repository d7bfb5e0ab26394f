"""A data set made by a real Dask cluster: scheduler and workers in namespaces of their own, one worker killed."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from livenet import SNIFFKIT, Net

pytest.importorskip("distributed")
pytestmark = pytest.mark.live

DASK = str(Path(sys.executable).with_name("dask"))
FRAMES, FILES = 400_000, 6


def make_files(directory: Path) -> None:
    """Files of UDP frames; each of many flows goes on through all of them."""
    for at in range(FILES):
        out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for n in range(at * FRAMES, (at + 1) * FRAMES):
            host = n % 4093
            ip = struct.pack("!BBHHHBBH4BBBH", 0x45, 0, 32, n & 0xFFFF, 0, 64, 17, 0, 10, 1, 0, 1, 10, 2, host)
            udp = struct.pack("!HHHHI", 5000 + n % 3, 9, 12, 0, n)
            out += struct.pack("<IIII", 1_700_000_000 + n // 10_000, n % 10_000 * 100, 46, 46)
            out += b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0" + ip + udp
        (directory / f"{at}.pcap").write_bytes(out)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Dask program in a namespace; what still runs after the test is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(netns: str, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"{name}.log").open("wb")
        whole = ["ip", "netns", "exec", netns, DASK, *command]
        env = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
        process = subprocess.Popen(whole, stdout=log, stderr=log, cwd=tmp_path, env=env, start_new_session=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.05)


def test_a_killed_worker_changes_nothing(own_net: Net, start: Start, tmp_path: Path) -> None:
    captures = tmp_path / "captures"
    captures.mkdir()
    make_files(captures)
    files = f"{captures}/*.pcap"
    subprocess.run(
        [SNIFFKIT, "flows", *sorted(map(str, captures.iterdir())), "-o", f"{tmp_path}/whole.parquet"], check=True
    )

    own_net.run(own_net.a, "ip", "link", "set", "lo", "up")
    scheduler = "10.231.0.1:8786"
    start(own_net.a, "scheduler", "scheduler", "--host", "10.231.0.1", "--port", "8786", "--no-dashboard")
    options = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", str(tmp_path)]
    where = {"w1": own_net.a, "w2": own_net.b, "w3": own_net.b}
    workers = {name: start(netns, name, "worker", scheduler, "--name", name, *options) for name, netns in where.items()}
    for name in workers:
        wait_for(lambda name=name: b"Registered to" in (tmp_path / f"{name}.log").read_bytes())

    command = ["ip", "netns", "exec", own_net.a, SNIFFKIT, "flows", files, "-o", f"{tmp_path}/out/"]
    command += ["--engine", f"dask://{scheduler}", "--workers", "3"]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    own = tmp_path / "out" / "_sniffkit"
    wait_for(lambda: all((own / f"owner-{share}").exists() for share in range(3)) or job.poll() is not None)
    assert job.poll() is None, job.communicate()
    assert not any((own / f"share-{share}.json").exists() for share in range(3)), "too late to kill anything"
    workers["w3"].kill()
    _, said = job.communicate(timeout=100)
    assert job.returncode == 0, said
    assert f"of {FRAMES * FILES:,} frames" in said

    whole, made = f"'{tmp_path}/whole.parquet'", f"'{tmp_path}/out/**/*.parquet'"
    read = "SELECT * FROM read_parquet({}, hive_partitioning=false)"
    for one, other in ((whole, made), (made, whole)):
        differ = duckdb.sql(f"SELECT count(*) FROM ({read.format(one)} EXCEPT ALL {read.format(other)})").fetchall()
        assert differ == [(0,)]
    assert duckdb.sql(f"SELECT count(*) FROM ({read.format(made)})").fetchall() == [(4093 * 3,)]


def test_no_scheduler_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [SNIFFKIT, "flows", "captures/demo/demo.pcapng", "-o", f"{tmp_path}/out/"]
    done = subprocess.run(
        [*command, "--engine", f"dask://127.0.0.1:{port}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "not reachable" in done.stderr
    assert not (tmp_path / "out").exists()
