"""Where things go: the default file, the flow table in every format, printing beside writing."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.feather
import pyarrow.parquet
import pytest
from livenet import SNIFFKIT, Capture, Net, frame, numbers

import sniffkit as sk


def only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


def test_the_two_commands(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("--netns", net.b, "-i", "veth2")
    net.ping(3)
    code, out, said = running.end()
    assert code == 0, said
    lines = out.decode().splitlines()
    assert len([line for line in lines if "ICMP echo" in line]) == 6
    path = only(tmp_path / "captures", "*.pcapng")
    assert path.name.endswith(f"Z-{net.b}-veth2.pcapng")
    table = path.with_suffix("").with_suffix(".flows.parquet")
    assert sorted(one.name for one in path.parent.iterdir()) == sorted([path.name, table.name])
    assert f"sniffkit: wrote captures/{path.name} and captures/{table.name}" in said
    flows = subprocess.run(
        [SNIFFKIT, "flows", "--columns", "orig_h,resp_h,orig_pkts"], cwd=tmp_path, capture_output=True, text=True
    )
    assert f"reading captures/{path.name}" in flows.stderr
    assert "10.231.0.1\t10.231.0.2\t3" in flows.stdout
    kept = pyarrow.parquet.read_table(table).to_pylist()
    again = sk.open(str(path)).flows().to_arrow().to_pylist()
    assert [(row["uid"], row["orig_pkts"]) for row in kept] == [(row["uid"], row["orig_pkts"]) for row in again]


def test_flows_end_by_the_timeouts_that_are_given(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-c", "2", "-w", "x.pcapng", "--flows", "f.parquet", "--udp-idle", "0.05", "udp")
    net.send([frame(1)])
    time.sleep(0.2)
    net.send([frame(1)])
    assert running.end(None)[0] == 0
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    assert table["end_reason"].to_pylist() == ["idle", "eof"]
    assert table.schema.metadata[b"sniffkit.active_s"] == b"1800"
    assert float(table.schema.metadata[b"sniffkit.udp_icmp_idle_s"]) == 0.05


def test_where_captures_are_saved(net: Net, capture: Capture, tmp_path: Path) -> None:
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        ((), {"SNIFFKIT_CAPTURES": str(tmp_path / "env" / "deep")}, "env/deep"),
        (("--dir", "given"), {"SNIFFKIT_CAPTURES": str(tmp_path / "env2")}, "given"),
    ]
    for arguments, environment, place in cases:
        running = capture("-i", net.veth2, "-c", "1", *arguments, "udp", env={**os.environ, **environment})
        net.send([frame(1)])
        assert running.end(None)[0] == 0
        assert len(list((tmp_path / place).iterdir())) == 2
    running = capture("-i", net.veth2, "-c", "1", "--no-save", "udp")
    net.send([frame(1)])
    assert running.end(None)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env", "given"]


def test_printing_beside_writing(net: Net, capture: Capture, tmp_path: Path) -> None:
    for arguments, printed in (((), 0), (("--print",), 3)):
        running = capture("-i", net.veth2, "-c", "3", "-w", "x.pcapng", *arguments, "udp")
        net.send(frame(n) for n in range(3))
        code, out, _ = running.end(None)
        assert (code, len(out.splitlines())) == (0, printed)
        assert numbers(tmp_path / "x.pcapng") == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "arrow"])
def test_the_flow_table_while_capturing(net: Net, capture: Capture, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"f.{suffix}"
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", path.name, "udp or icmp")
    net.send(frame(n) for n in range(5))
    net.ping()
    code, _, said = running.end()
    assert code == 0, said
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([path.name, "x.pcapng"])
    if suffix == "parquet":
        rows = pyarrow.parquet.read_table(path).to_pylist()
    elif suffix == "arrow":
        rows = pyarrow.feather.read_table(path).to_pylist()
    elif suffix == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["proto"], int(row["orig_pkts"])) for row in rows] == [("udp", 5), ("icmp", 1)]


def test_the_flow_table_from_python(net: Net, tmp_path: Path) -> None:
    with sk.capture(net.veth2, write=tmp_path / "x.pcapng", flows=tmp_path / "f.csv", filter="udp") as live:
        net.send([frame(1)])
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 2
    assert live.flows(["orig_pkts"]).to_arrow()["orig_pkts"].to_pylist() == [1]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["f.csv", "x.pcapng"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"flows": "f.xls"}, "no format for this suffix"),
        ({"filter": "udp and ("}, "syntax error"),
        ({"count": 0}, "count is 1 to .*, not 0"),
        ({"duration": -1}, "duration is at least 0, not -1"),
        ({"duration": float("nan")}, "duration is at least 0, not nan"),
        ({"snap_len": 262145}, "snap_len is 0 to 262144, not 262145"),
        ({"buffer_kib": -8}, "buffer_kib is 1 to"),
        ({"direction": "up"}, "direction is in, out or inout, not 'up'"),
    ],
)
def test_a_capture_that_is_refused_leaves_no_file(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(sk.SniffkitError, match=said):
        sk.capture(net.veth2, **asked)
    assert not list(tmp_path.iterdir())


def test_a_capture_may_last_longer_than_clocks(net: Net) -> None:
    with sk.capture(net.veth2, filter="udp", duration=float("inf")) as live:
        net.send([frame(1)])
        assert live.wait_for(1)
        assert not live.wait(0.01)


def test_a_capture_without_a_name_leaves_no_file(net: Net) -> None:
    live = sk.capture(net.veth2, filter="udp")
    path = live.path
    net.send([frame(1)])
    live.stop()
    assert numbers(path) == [1]
    del live
    assert not os.path.exists(path)


def test_link_headers_and_dumps(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-c", "1", "--no-save", "-e", "-xx", "-n", "udp")
    net.send([frame(1)])
    code, out, _ = running.end(None)
    assert code == 0
    text = out.decode()
    assert "02:00:00:00:00:01 > 02:00:00:00:00:02" in text
    assert "0x0000:  0200 0000 0002 0200 0000 0001 0800 4500" in text


def test_the_connection_that_carries_the_output_is_left_out(net: Net, capture: Capture, tmp_path: Path) -> None:
    """In an SSH session, each line about its packets would be another packet."""
    inside = ("ip", "netns", "exec", net.b, SNIFFKIT, "capture", "-i", "veth2")
    ssh = {**os.environ, "SSH_CONNECTION": "10.231.0.1 4096 10.231.0.2 4097"}
    own, other = frame(1, proto=6), frame(2, proto=6).replace(b"\x10\x00\x10\x01", b"\x10\x02\x10\x01")
    cases: list[tuple[tuple[str, ...], list[int]]] = [
        (("-w", "x.pcapng", "--print"), [2]),
        (("-w", "x.pcapng"), [1, 2]),
    ]
    for arguments, expected in cases:
        running = capture(*arguments, "tcp", command=inside, env=ssh)
        net.send([own, other])
        assert running.end()[0] == 0
        assert numbers(tmp_path / "x.pcapng") == expected
    # another namespace does not carry it
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--print", "tcp", env=ssh)
    net.send([own, other])
    assert running.end()[0] == 0
    assert numbers(tmp_path / "x.pcapng") == [1, 2]


def test_an_ssh_connection_as_a_filter() -> None:
    from sniffkit.points import connection_filter

    expected = "tcp port 5022 and tcp port 22 and host 192.0.2.1 and host 192.0.2.2"
    assert connection_filter("192.0.2.1 5022 192.0.2.2 22") == expected
    assert "host fe80::1 and" in (connection_filter("fe80::1%eth0 5022 fe80::2%eth0 22") or "")
    for text in ("", "192.0.2.1 22", "a b c d", "1.2.3.4 or 5.6.7.8 22"):
        assert connection_filter(text) is None
