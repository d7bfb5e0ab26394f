"""File objects and URLs: tables that are read at the same time, members of archives, what is cut or closed."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import sniffkit as sk
from captures.wire import MS, T0, Frame, eth, ip4, pcap, udp

BOTH = "SELECT (SELECT count(*) FROM flows) AS f, (SELECT count(*) FROM packets) AS p"


def capture(count: int, first: int = 0) -> bytes:
    """Frames of ten flows, more bytes than are read at once."""
    frames = []
    for n in range(first, first + count):
        segment = udp("10.0.0.1", 1000 + n % 10, "10.0.0.2", 53, bytes(400))
        frames.append(Frame(T0 + n * MS, eth(0x0800, ip4("10.0.0.1", "10.0.0.2", 17, segment))))
    return pcap(frames)


DATA = capture(4_000)


@pytest.fixture(params=["bytes", "file", "file URL", "memory URL", "gzip"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "a.pcap"
    path.write_bytes(DATA)
    if request.param == "bytes":
        yield io.BytesIO(DATA)
    elif request.param == "file":
        with path.open("rb") as file:
            yield file
    elif request.param == "file URL":
        pytest.importorskip("fsspec")
        yield f"file://{path}"
    elif request.param == "memory URL":
        pytest.importorskip("fsspec").filesystem("memory").pipe_file("/fileobjects/a.pcap", DATA)
        yield "memory://fileobjects/a.pcap"
    else:
        (tmp_path / "a.gz").write_bytes(gzip.compress(DATA, 1))
        with gzip.open(tmp_path / "a.gz") as packed:
            yield packed


def test_a_query_over_two_tables_reads_both(source: Any) -> None:
    assert sk.open(source).sql(BOTH).to_arrow().to_pylist() == [{"f": 10, "p": 4_000}]


def test_a_table_that_is_half_read_goes_on_behind_another(source: Any) -> None:
    opened = sk.open(source)
    reader = pa.RecordBatchReader.from_stream(opened.packets(columns=["frame_number"]))
    numbers = reader.read_next_batch()["frame_number"].to_pylist()
    assert len(numbers) < 4_000
    assert opened.flows().to_arrow().num_rows == 10
    for batch in reader:
        numbers += batch["frame_number"].to_pylist()
    assert numbers == [*range(1, 4_001)]


def test_threads_read_one_capture(source: Any) -> None:
    opened = sk.open(source)
    with ThreadPoolExecutor(4) as pool:
        rows = pool.map(lambda _: opened.packets(columns=["frame_len"]).to_arrow().num_rows, range(8))
        assert list(rows) == [4_000] * 8


def test_one_file_object_twice_is_read_twice() -> None:
    file = io.BytesIO(DATA)
    twice = sk.open([file, file])
    assert twice.packets(columns=["ts"]).to_arrow().num_rows == 8_000
    assert twice.trace(columns=["ts"]).to_arrow().num_rows == 8_000

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    once = Pipe(DATA)
    with pytest.raises(sk.CaptureFileError, match="can be read once, and is given twice"):
        sk.open([once, once]).packets().to_arrow()


def test_a_closed_file_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(DATA)
    with (tmp_path / "a.pcap").open("rb") as file:
        opened = sk.open(file)
    for one in (opened, sk.open(file)):
        with pytest.raises(sk.CaptureFileError, match=r"a\.pcap: the file object is closed"):
            one.flows().to_arrow()


def test_a_cut_gzip_object_gives_the_rows_before_the_cut(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(capture(300), 1)[:-200])
    with pytest.warns(sk.CaptureWarning, match="too early"):
        expected = sk.open(cut).packets().to_arrow()
    assert expected.num_rows > 100
    with gzip.open(cut) as file, pytest.warns(sk.CaptureWarning, match="cannot be read on: EOFError"):
        assert sk.open(file).packets().to_arrow().equals(expected)


def test_a_member_of_an_archive_is_not_the_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.pcap").write_bytes(capture(20, first=500))  # another capture, where the member's name leads
    Path("a.pcap").write_bytes(capture(30))
    with zipfile.ZipFile("a.zip", "w") as packed:
        packed.write("a.pcap", "b.pcap")
    with tarfile.open("a.tar", "w") as tar:
        tar.add("a.pcap", "b.pcap")
    with zipfile.ZipFile("a.zip") as packed, packed.open("b.pcap") as member:
        with pytest.raises(sk.CaptureFileError, match=r"b\.pcap: a data set is made of files by their names"):
            sk.open(member).to_dataset("out", workers=1)
        assert sk.open(member).packets().to_arrow().num_rows == 30
    with tarfile.open("a.tar") as tar, pytest.raises(sk.CaptureFileError, match="by their names"):
        sk.open(tar.extractfile("b.pcap")).to_dataset("out", workers=1)
    with Path("b.pcap").open("rb") as file:
        Path("b.pcap").rename("c.pcap")
        Path("a.pcap").rename("b.pcap")
        with pytest.raises(sk.CaptureFileError, match="by their names"):
            sk.open(file).to_dataset("out", workers=1)
    with Path("b.pcap").open("rb") as file:
        file.seek(24)
        with pytest.raises(sk.CaptureFileError, match="by their names"):
            sk.open(file).to_dataset("out", workers=1)
    assert not Path("out").exists()
    with Path("b.pcap").open("rb") as file:
        assert sk.open(file).to_dataset("out", workers=1).frames == 30


def test_urls_of_odd_names_and_of_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe_file("/odd/we [1].pcap", DATA)
    assert sk.open("memory://odd/we [1].pcap").packets(columns=["ts"]).to_arrow().num_rows == 4_000
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.pcap", capture(3))
        packed.writestr("b.pcap", capture(4))
        packed.writestr("long.cap", DATA)  # longer than what is read at once
    assert sk.open(f"zip://*.pcap::file://{tmp_path}/a.zip").packets().to_arrow().num_rows == 7
    assert sk.open(f"zip://long.cap::{tmp_path}/a.zip").packets(columns=["ts"]).to_arrow().num_rows == 4_000
    assert sk.open(f"zip://l*::file://{tmp_path}/a.zip").to_dataset(tmp_path / "out", workers=1).frames == 4_000
    (tmp_path / "c.pcap").write_bytes(capture(5))
    memory.pipe_file("/c/c.pcap", capture(5))
    monkeypatch.chdir(tmp_path)
    for url in (f"file://{tmp_path}/?.pcap", f"local://{tmp_path}/*.pcap", "file://*.pcap", "memory://c/*.pcap"):
        assert sk.open(url).packets().to_arrow().num_rows == 5
