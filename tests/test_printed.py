"""`read`, `follow` and `extract` to files: as printed, as JSON lines, as tables."""

from __future__ import annotations

import json
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap
from setting import ROOT

from sniffkit.cli.deep import one_a_line, whole_lines

DEMO = str(ROOT / "captures" / "demo" / "demo.pcapng")
Called = Callable[..., tuple[int, str, str]]
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def stream(path: Path) -> str:
    """A request, three bytes of it that were lost, and an answer that is no text."""

    def segment(client: bool, flags: str, seq: int, ack: int, data: bytes = b"") -> Any:
        ends = {"sport": 40000, "dport": 80} if client else {"sport": 80, "dport": 40000}
        addresses = {"src": "10.0.0.1", "dst": "10.0.0.2"} if client else {"src": "10.0.0.2", "dst": "10.0.0.1"}
        return Ether() / IP(**addresses) / TCP(**ends, flags=flags, seq=seq, ack=ack) / Raw(data)

    said = [
        segment(True, "S", 99, 0),
        segment(False, "SA", 499, 100),
        segment(True, "A", 100, 500),
        segment(True, "PA", 100, 500, "grüße\n".encode()),
        segment(True, "PA", 111, 500, b"x"),
        segment(False, "PA", 500, 112, b"\xff\x00"),
    ]
    datagram = Ether() / IP(src="10.0.0.1", dst="10.0.0.3") / UDP(sport=1000, dport=2000) / Raw(b'"')
    for at, frame in enumerate([*said, datagram]):
        frame.time = 1_700_000_000 + at
    wrpcap(str(path), [*said, datagram])
    return str(path)


def test_follow_as_json(called: Called, tmp_path: Path) -> None:
    code, out, _ = called("follow", stream(tmp_path / "x.pcap"), "--json")
    pieces = [json.loads(line) for line in out.splitlines()]
    uid = pieces[0]["uid"]
    assert pieces[0] == {
        "ts": "2023-11-14T22:13:23.000000000Z",
        "frame_number": 4,
        "uid": uid,
        "proto": "tcp",
        "from_orig": True,
        "ip_src": "10.0.0.1",
        "src_port": 40000,
        "ip_dst": "10.0.0.2",
        "dst_port": 80,
        "offset": 0,
        "len": 8,
        "text": "grüße\n",
        "hex": None,
    }
    told = [(row["proto"], row["src_port"], row["offset"], row["len"], row["text"], row["hex"]) for row in pieces]
    assert sorted(told) == [
        ("tcp", 80, 0, 2, None, "ff00"),
        ("tcp", 40000, 0, 8, "grüße\n", None),
        ("tcp", 40000, 8, 3, None, None),
        ("tcp", 40000, 11, 1, "x", None),
        ("udp", 1000, 0, 1, '"', None),
    ]
    assert code == 0


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv", ".arrow", ".txt"])
def test_follow_to_a_file(called: Called, tmp_path: Path, suffix: str) -> None:
    source, path = stream(tmp_path / "x.pcap"), tmp_path / f"x{suffix}"
    plain, rows = called("follow", source)[1], called("follow", source, "--json")[1]
    assert called("follow", source, "-o", str(path)) == (0, "", "")
    if suffix == ".txt":
        assert path.read_text() == plain
    elif suffix == ".jsonl":
        assert path.read_text() == rows
    else:
        known = [json.loads(line) for line in rows.splitlines()]
        if suffix == ".csv":
            assert path.read_text().splitlines()[0] == ",".join(known[0])
            return
        table = pq.read_table(path) if suffix == ".parquet" else pa.ipc.open_file(path.read_bytes()).read_all()
        assert table.schema.field("ts").type == pa.timestamp("ns", "UTC")
        assert table.schema.field("src_port").type == pa.uint16()
        assert table.drop_columns(["ts"]).to_pylist() == [{k: v for k, v in row.items() if k != "ts"} for row in known]


def test_offsets_that_cannot_be_known_are_null(called: Called, tmp_path: Path) -> None:
    """Beyond 65,536 flows they are forgotten: one that says something behind that may have said more before."""

    def datagram(client: int, port: int, text: bytes) -> bytes:
        udp = struct.pack(">HHHH", port, 53, 8 + len(text), 0) + text
        ends = (bytes([10, 0, 0, client]), bytes([10, 1, 1, 1]))
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, *ends)
        return struct.pack("<IIII", 1, 0, 20 + len(udp), 20 + len(udp)) + ip + udp

    others = [datagram(2 + n // 60_000, 1 + n % 60_000, b"x") for n in range(65_536)]
    path, head = tmp_path / "x.pcap", struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    path.write_bytes(head + datagram(1, 1, b"first") + b"".join(others) + datagram(1, 1, b"second"))
    told = [json.loads(line) for line in called("follow", str(path), "--json")[1].splitlines()]
    mine = [(row["text"], row["offset"]) for row in told if row["ip_src"] == "10.0.0.1"]
    assert mine == [("first", 0), ("second", None)]


def test_follow_raw_goes_to_any_file(called: Called, tmp_path: Path) -> None:
    path = tmp_path / "answer.bin"
    assert called("follow", stream(tmp_path / "x.pcap"), "src port 80", "--style", "raw", "-o", str(path))[0] == 0
    assert path.read_bytes() == b"\xff\x00"


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_read_to_a_file(called: Called, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    assert called("read", DEMO, "icmp", "-o", str(path)) == (0, "", "")
    assert path.read_text() == called("read", DEMO, "icmp", *(["--json"] if suffix == ".jsonl" else []))[1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_fields_as_a_table(called: Called, tmp_path: Path, suffix: str) -> None:
    path, names = tmp_path / f"x{suffix}", ["frame.number", "ip.src", "udp.port"]
    fields = [part for name in names for part in ("-e", name)]
    assert called("read", DEMO, "-T", "fields", *fields, "-E", "header=y", "-o", str(path)) == (0, "", "")
    lines = [line.split("\t") for line in called("read", DEMO, "-T", "fields", *fields)[1].splitlines()]
    known = [dict(zip(names, (value or None for value in line), strict=True)) for line in lines]
    if suffix == ".parquet":
        assert pq.read_table(path).to_pylist() == known
    elif suffix == ".jsonl":
        assert list(map(json.loads, path.read_text().splitlines())) == known
    else:
        assert path.read_text().splitlines()[:2] == [",".join(names), ",".join(lines[0])]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("name", ["x.txt", "x.jsonl", "x.parquet", "x.bin"])
def test_what_came_before_an_interrupt_is_kept(tmp_path: Path, name: str, number: signal.Signals) -> None:
    """While more of the capture is waited for."""
    command = [sys.executable, "-m", "sniffkit", "follow", "-", "-o", str(tmp_path / name)]
    command += ["--style", "raw"] if name == "x.bin" else []
    source = Path(stream(tmp_path / "x.pcap")).read_bytes()
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(source)
    process.stdin.flush()
    until = time.monotonic() + 20
    while not [one for one in tmp_path.iterdir() if one.name.endswith(".part")]:
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    said = process.communicate(timeout=20)[1]
    assert (process.returncode, said.strip()) == (130, b"")
    kept = tmp_path / name
    if name == "x.parquet":
        assert "grüße\n" in pq.read_table(kept)["text"].to_pylist()
    else:
        assert b"gr" in kept.read_bytes()


@pytest.mark.parametrize("arguments", [["follow"], ["read", "-T", "fields", "-e", "ip.src"]])
@pytest.mark.parametrize("name", ["x.txt", "x.jsonl", "x.parquet", "x.csv"])
def test_an_input_that_cannot_be_read_is_one_line(
    called: Called, tmp_path: Path, arguments: list[str], name: str
) -> None:
    (tmp_path / "empty.pcap").touch()
    path = str(tmp_path / "empty.pcap")
    given = called(*arguments, path, "-o", str(tmp_path / name))
    assert given == (2, "", f"sniffkit: {path}: empty file\n")
    assert [one.name for one in tmp_path.iterdir()] == ["empty.pcap"]


def test_values_of_a_field_in_one_cell(called: Called, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    fields = ["-T", "fields", "-e", "ip.src", "-E", "aggregator=/t"]
    assert called("read", DEMO, *fields, "-o", str(path))[0] == 0
    assert "10.0.0.10\t10.0.42.10" in [json.loads(line)["ip.src"] for line in path.read_text().splitlines()]


def test_json_of_tshark_in_pieces() -> None:
    """However it is cut, also within a line; and in time that does not grow with the square of a frame."""
    frame = b'  {\n    "a": [\n      "1",\n      "2"\n    ]\n  }'
    text = b"[\n" + frame + b",\n" + frame + b"\n]\n"
    for size in range(1, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert b"".join(one_a_line(iter(pieces))) == b'{"a": ["1", "2"]}\n' * 2
    large = b'[\n  {\n    "a": [\n' + b'      "1",\n' * 400_000 + b'      "2"\n    ]\n  }\n]\n'
    pieces = [large[at : at + 65536] for at in range(0, len(large), 65536)]
    assert len(b"".join(one_a_line(iter(pieces)))) > 2_000_000


def test_interfaces_in_json(called: Called) -> None:
    first = json.loads(called("read", DEMO, "--json", "-c", "1")[1])
    assert first["frame.interface_name"] == "ns1/veth1"


def test_the_index_of_an_extraction(called: Called, tmp_path: Path) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy.csv"
    code, rows, _ = called("extract", "--http", DEMO, "-d", str(out), "--json")
    assert (code, rows) == (0, (out / "index.jsonl").read_text())
    assert called("extract", "--http", DEMO, "-d", str(tmp_path / "again"), "-o", str(copy))[:2] == (0, "")
    assert len(copy.read_text().splitlines()) == len(rows.splitlines()) + 1


@needs_tshark
def test_what_tshark_prints_goes_to_files(called: Called, tmp_path: Path) -> None:
    capture = stream(tmp_path / "x.pcap")
    chosen = [capture, "-Y", "tcp.len > 0"]
    for more, name in (([], "x.txt"), (["-V"], "v.txt"), (["-x"], "d.txt"), (["--json"], "x.jsonl")):
        code, printed, _ = called("read", *chosen, *more)
        assert (code, called("read", *chosen, *more, "-o", str(tmp_path / name))) == (0, (0, "", ""))
        assert (tmp_path / name).read_text() == printed
    fields = ["-T", "fields", "-E", "header=y", "-e", "frame.number", "-e", "tcp.len", "-e", "udp.port"]
    assert called("read", *chosen, *fields, "-o", str(tmp_path / "x.parquet")) == (0, "", "")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [
        {"frame.number": frame, "tcp.len": length, "udp.port": None}
        for frame, length in (("4", "8"), ("5", "1"), ("6", "2"))
    ]
    assert called("read", *chosen, *fields, "-o", str(tmp_path / "x.csv")) == (0, "", "")
    assert (tmp_path / "x.csv").read_text() == "frame.number,tcp.len,udp.port\n4,8,\n5,1,\n6,2,\n"
    # None at all: a file without rows, and told by the exit code, as without -Y.
    assert called("read", capture, "-Y", "arp", *fields, "-o", str(tmp_path / "n.csv")) == (1, "", "")
    assert (tmp_path / "n.csv").read_text() == "frame.number,tcp.len,udp.port\n"


@needs_tshark
@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
def test_comments_that_are_no_text_become_rows(called: Called, tmp_path: Path) -> None:
    """tshark prints comments of pcapng as they are."""
    fields = ["--deep", "-T", "fields", "-e", "frame.number", "-e", "frame.comment"]
    for name, comment in (("bytes", b"2:a\xff"), ("between", b"2:a\x1fb")):
        path = str(tmp_path / f"{name}.pcapng")
        subprocess.run(["editcap", "-a", comment, DEMO, path], check=True)
    out = str(tmp_path / "x.csv")
    assert called("read", str(tmp_path / "bytes.pcapng"), *fields, "-o", out) == (0, "", "")
    assert (tmp_path / "x.csv").read_text().splitlines()[:3] == ["frame.number,frame.comment", "1,", "2,a\ufffd"]
    assert called("read", str(tmp_path / "bytes.pcapng"), "--deep", "--json", "-o", str(tmp_path / "x.jsonl"))[0] == 0
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    code, _, said = called("read", str(tmp_path / "between.pcapng"), *fields, "-o", str(tmp_path / "y.csv"))
    assert (code, said.count("\n"), "no table can be made of it" in said) == (2, 1, True)
    assert not (tmp_path / "y.csv").exists()


def test_lines_are_not_cut_where_pieces_are() -> None:
    assert list(whole_lines(iter([b"a", b"b\nc", b"d", b"\n", b"e\nf\n"]))) == [b"ab\n", b"cd\n", b"e\nf\n"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["follow", DEMO, "-o", "x.xyz"], "x.xyz: no format for this suffix; there are: .txt .parquet"),
        (["follow", DEMO, "-o", "none/x.txt"], "there is no directory"),
        (["follow", DEMO, "-o", DEMO], "is the capture that is read"),
        (["follow", DEMO, "--json", "--style", "hex"], "contradict each other"),
        (["follow", DEMO, "--json", "-o", "x.csv"], "contradict each other"),
        (["follow", DEMO, "--style", "raw", "-o", "x.csv"], "contradict each other"),
        (["read", DEMO, "-T", "fields", "-e", "ip.src", "-e", "ip.src", "-o", "x.csv"], "-e ip.src: twice"),
        (["read", DEMO, "-o", "none/x.txt"], "none/x.txt: there is no directory none"),
        (["follow", "--live", "-i", "lo", "-o", "x.txt"], "-o does not go with --live"),
        (["follow", DEMO, "--tcp", ""], "--tcp"),
        (["read", DEMO, "-o", "x.parquet"], "name its columns, -T fields -e NAME; or take sniffkit packets"),
        (["read", DEMO, "-V", "-o", "x.jsonl"], "without -V"),
        (["read", DEMO, "-x", "-o", "x.jsonl"], "without -V, -x"),
        (
            ["read", DEMO, "-Y", "arp", "-o", "x.parquet"],
            "name its columns, -T fields -e NAME; or take sniffkit packets",
        ),
        (["read", DEMO, "--deep", "-V", "-o", "x.jsonl"], "without -V"),
        (["read", DEMO, "-Y", "arp", "-o", DEMO], "is the capture that is read"),
        pytest.param(["read", DEMO, "-Y", "not so", "-o", "x.txt"], "tshark: ", marks=needs_tshark),
        pytest.param(["read", DEMO, "--deep", "-T", "fields", "-e", "x.y", "-o", "x.csv"], "x.y", marks=needs_tshark),
        (["extract", DEMO, "-d", "out", "-o", DEMO], "is the capture that is read"),
        (["extract", DEMO, "-d", "out", "-o", "x.xyz"], "no format for this suffix"),
        (["ui", "-i", "lo", "-w", "x.pcap.Gz"], "x.pcap.Gz: captures are not compressed as they are written"),
        (["read", "No.PCAP"], "No.PCAP: No such file or directory"),
        (["capture", "-i", "lo", "--json", "-x"], "--json excludes"),
        (["capture", "-i", "lo", "--json", "-w", "x.pcapng"], "with -w add --print"),
    ],
)
def test_bad_requests(
    called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, said = called(*arguments)
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert says in said
    assert list(tmp_path.iterdir()) == []
