"""Frames for scapy and files for tshark: the same as the tables have, and one clear line where there are none."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import os
import shutil
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import sniffkit as sk
from captures.wire import T0, Frame, eth, ip4, pcap, pcapng, udp

FRAMES = [
    Frame(
        T0 + n * 1_000_001, eth(0x0800, ip4("10.0.0.1", "10.0.0.2", 17, udp("10.0.0.1", 7, "10.0.0.2", 53, b"x" * n)))
    )
    for n in range(300)
]
DATA = pcap(FRAMES)
ZSTD = pa.compress(DATA, codec="zstd", asbytes=True)


@pytest.mark.parametrize("data", [DATA, ZSTD, gzip.compress(DATA)], ids=["plain", "zstd", "gzip"])
@pytest.mark.parametrize("form", ["path", "bytes", "file"])
def test_scapy_reads_what_tables_read(data: bytes, form: str, tmp_path: Path) -> None:
    (path := tmp_path / "a.pcap").write_bytes(data)
    with path.open("rb") as file:
        packets = list(sk.open({"path": path, "bytes": io.BytesIO(data), "file": file}[form]).scapy())
    assert len(packets) == 300
    assert [bytes(packet) for packet in packets] == [frame.data for frame in FRAMES]
    assert [packet.time for packet in packets] == [Decimal(frame.ts).scaleb(-9) for frame in FRAMES]
    assert packets[9]["UDP"].dport == 53
    assert packets[9].wirelen == len(FRAMES[9].data)


def test_scapy_packets_name_their_interface() -> None:
    (packet,) = sk.open(io.BytesIO(pcapng(["veth1"], [(0, FRAMES[0])]))).scapy()
    assert packet.sniffed_on == "veth1"


def test_two_that_iterate_over_one_file_object_get_all() -> None:
    opened = sk.open(io.BytesIO(DATA))
    pairs = list(zip(opened.scapy(), opened.scapy(), strict=True))
    assert len(pairs) == 300
    assert all(bytes(a) == bytes(b) for a, b in pairs)


@pytest.mark.parametrize("cut", [DATA[:-20], gzip.compress(DATA)[:-60]], ids=["plain", "gzip"])
def test_scapy_gets_the_frames_before_a_damage(cut: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "cut.pcap").write_bytes(cut)
    with pytest.warns(sk.CaptureWarning) as told:
        rows = sk.open(path).packets().to_arrow().num_rows
    assert 0 < rows < 300
    with pytest.warns(sk.CaptureWarning) as caught:
        assert len(list(sk.open(path).scapy())) == rows
    assert [str(one.message) for one in caught] == [str(one.message) for one in told]
    assert caught[0].filename == __file__


def test_what_scapy_cannot_be_given_is_one_line(tmp_path: Path) -> None:
    (path := tmp_path / "cut.zst").write_bytes(ZSTD[:-40])
    with pytest.raises(sk.CaptureFileError, match="the zstd data end too early"):
        list(sk.open(path).scapy())


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_what_pyshark_cannot_be_given_is_one_line(tmp_path: Path) -> None:
    (path := tmp_path / "a.pcap").write_bytes(DATA)
    os.mkfifo(tmp_path / "pipe.pcap")

    def refused(source: Any, **options: Any) -> str:
        with pytest.raises(sk.SniffkitError) as error:
            sk.open(source).pyshark(**options)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert refused("-") == "standard input: pyshark reads regular files: save it to one"
    assert refused(tmp_path) == f"{tmp_path}: Is a directory"
    assert refused(tmp_path / "pipe.pcap").endswith("save it to one")
    assert refused(io.BytesIO(DATA)) == "tshark reads one file at a time: give one path"
    assert refused(path, display_filter="foo bar") == 'tshark: "bar" was unexpected in this context. at column 5'
    if pytest.importorskip("fsspec"):
        assert refused(f"file://{path}") == f"file://{path}: tshark reads files of this machine: give a path, not a URL"
    found = sk.open(path).pyshark(display_filter="udp.length > 300")
    try:
        assert len([*found]) == 7
    finally:
        found.close()


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("where", ["in a loop", "after one"])
def test_pyshark_works_beside_event_loops(where: str, tmp_path: Path) -> None:
    (path := tmp_path / "a.pcap").write_bytes(DATA)

    def numbers() -> list[int]:
        opened = sk.open(path)
        whole = [int(packet.number) for packet in opened.pyshark(display_filter="udp.length > 300")]
        early = opened.pyshark()
        first = [int(early.next().number), int(early[4].number)]
        early.close()
        early.close()
        assert int(early[2].number) == 3
        early.close()
        loaded = opened.pyshark()
        loaded.load_packets(packet_count=3)
        with pytest.raises(ZeroDivisionError):
            opened.pyshark().apply_on_packets(lambda _: 1 / 0)
        with pytest.raises(SystemExit):
            opened.pyshark().apply_on_packets(lambda _: sys.exit(7))
        for _ in opened.pyshark():  # left before its end
            break
        with pytest.raises(TypeError):
            opened.pyshark(no_such_option=1)
        return [*whole, *first, len(loaded)]

    async def inside() -> list[int]:
        return numbers()

    before = len(os.listdir("/proc/self/fd"))
    found = asyncio.run(inside())
    if where == "after one":
        found = numbers()
    assert found == [294, 295, 296, 297, 298, 299, 300, 1, 5, 3]
    gc.collect()
    if where == "after one":
        return  # what pyshark itself leaves open is not ours
    assert [one.name for one in threading.enumerate() if one.name.startswith("sniffkit")] == []
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("where", ["in a loop", "without one"])
def test_pyshark_gets_the_packets_before_a_damage(where: str, tmp_path: Path) -> None:
    (path := tmp_path / "cut.pcap").write_bytes(DATA[:-20])
    (text := tmp_path / "text.pcap").write_text("no capture")
    with pytest.warns(sk.CaptureWarning) as told:
        sk.open(path).packets(columns=["ts"]).to_arrow()

    def read() -> list[int]:
        opened = sk.open(path)
        loaded = opened.pyshark()
        loaded.load_packets()
        early = opened.pyshark()
        assert int(early.next().number) == 1
        early.close()
        with pytest.raises(sk.SniffkitError, match=r"^tshark: The file .* isn't a capture file[^\n]*$"):
            sk.open(text).pyshark().load_packets()
        return [len([*opened.pyshark()]), len(loaded), len([*opened.pyshark(display_filter="tcp")])]

    async def inside() -> list[int]:
        return read()

    with pytest.warns(sk.CaptureWarning) as caught:
        assert (asyncio.run(inside()) if where == "in a loop" else read()) == [299, 299, 0]
    said = [(str(one.message), one.filename) for one in caught if one.category is sk.CaptureWarning]
    assert said == [(str(told[0].message), __file__)] * 3


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_a_forgotten_pyshark_capture_says_nothing_behind_another_loop(tmp_path: Path) -> None:
    (path := tmp_path / "a.pcap").write_bytes(DATA)
    code = f"""
import asyncio, sniffkit as sk
def count():
    found = sk.open({str(path)!r}).pyshark(display_filter="udp.length > 300")
    return len(list(found))
async def nothing(): pass
print(count())
asyncio.run(nothing())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("7\n", "", 0)
