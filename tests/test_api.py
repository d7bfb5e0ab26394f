"""The Python API: what can be opened, what a table can become, what goes wrong and how it is said."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from captures.wire import T0, Frame, pcap, pcapng

SEEDS = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus"
PCAP = SEEDS / "pcap" / "micros-le"
PCAPNG = SEEDS / "pcapng" / "sections-le"


def numbers(source: Any) -> list[int]:
    found: list[int] = sk.open(source).packets(columns=["frame_number"]).to_arrow()["frame_number"].to_pylist()
    return found


def test_every_kind_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = PCAP.read_bytes()
    for name in ("a.pcap", "b.pcap"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "c.pcap.gz").write_bytes(gzip.compress(data))
    import pyarrow as pa

    (tmp_path / "d.pcap.zst").write_bytes(pa.compress(data, codec="zstd", asbytes=True))
    a = tmp_path / "a.pcap"
    for source in (a, str(a), bytes(a), tmp_path / "c.pcap.gz", tmp_path / "d.pcap.zst", io.BytesIO(data)):
        assert numbers(source) == [1, 2], source
    assert numbers([a, str(PCAPNG)]) == [1, 2, 3, 4, 5, 6]
    assert numbers(str(tmp_path / "*.pcap")) == [1, 2, 3, 4]
    assert numbers(path for path in (a, a)) == [1, 2, 3, 4]
    code = "import sniffkit as sk; print(sk.open('-').flows().to_arrow().num_rows)"
    with a.open("rb") as stdin:
        done = subprocess.run([sys.executable, "-c", code], stdin=stdin, capture_output=True, check=True)
    assert done.stdout == b"2\n"


def test_files_are_read_in_the_order_of_their_first_frames(tmp_path: Path) -> None:
    def made(name: str, *lengths: int, at: int = 0) -> Path:
        """A file of frames a second apart, of these lengths."""
        (path := tmp_path / name).write_bytes(pcap([Frame(T0 + (at + n) * 10**9, bytes(long))
                                                    for n, long in enumerate(lengths)]))  # fmt: skip
        return path

    def lengths(source: Any) -> list[int]:
        found: list[int] = sk.open(source).packets(columns=["frame_len"]).to_arrow()["frame_len"].to_pylist()
        return found

    ring = [made("r.pcap0", 70, 80, at=9), made("r.pcap1", 60, 61, at=5), made("r.pcap2", 50, at=1)]
    assert lengths(str(tmp_path / "r.pcap*")) == lengths(ring) == [50, 60, 61, 70, 80]
    with ring[0].open("rb") as file:  # the order of these is the caller's
        assert lengths([file, ring[1], ring[2]]) == [70, 80, 60, 61, 50]
    again = made("same", 90, at=9)
    assert lengths([again, *ring]) == [50, 60, 61, 90, 70, 80], "as given where the times are the same"
    (none := tmp_path / "none").write_bytes(pcap([]))
    assert [Path(str(one)).name for one in sk.open([none, ring[0], none, ring[1]]).inputs] == [
        *("none", "r.pcap1", "r.pcap0", "none")
    ]
    timeless = made("timeless", 95, at=-(T0 // 10**9))
    assert lengths([ring[0], timeless, ring[1]]) == [60, 61, 70, 80, 95]
    (bad := tmp_path / "bad").write_bytes(b"no capture at all")
    opened = sk.open([ring[0], bad, ring[2]])
    with pytest.raises(sk.CaptureFileError, match="bad"):
        opened.packets().to_arrow()
    odd = made("odd\udcff", 40)
    assert lengths([ring[0], odd]) == [40, 70, 80]
    os.mkfifo(tmp_path / "pipe")
    assert [Path(str(one)).name for one in sk.open([ring[0], tmp_path / "pipe", ring[2]]).inputs] == [
        *("r.pcap0", "pipe", "r.pcap2")
    ]


def test_a_file_object_is_read_from_where_it_stood() -> None:
    file = io.BytesIO(b"junk" + PCAP.read_bytes())
    file.seek(4)
    capture = sk.open(file)
    assert capture.packets().to_arrow().num_rows == 2
    assert capture.flows().to_arrow().num_rows == 2


def test_what_can_be_read_once_says_so_the_second_time() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    capture = sk.open(Pipe(PCAP.read_bytes()))
    assert capture.packets().to_arrow().num_rows == 2
    with pytest.raises(sk.CaptureFileError, match="can be read once, and has been"):
        capture.flows().to_arrow()


def test_pandas_types() -> None:
    frame = sk.open(PCAPNG).packets().to_pandas()
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["ts"] == "datetime64[ns, UTC]"
    assert kinds["ip_src"] == "category"
    assert kinds["frame_len"] == "UInt32"
    assert kinds["src_port"] == "UInt16"
    assert kinds["ip_more_fragments"] == "boolean"
    assert frame["src_port"].isna().tolist() == [False, False, True, False]
    flows = sk.open(PCAPNG).flows().to_pandas()
    assert str(flows.dtypes["duration"]) == "Int64"
    assert str(flows.dtypes["orig_len_mean"]) == "float64"


def test_the_same_rows_whichever_way(tmp_path: Path) -> None:
    import duckdb
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet

    for name in ("packets", "flows"):
        table = getattr(sk.open(PCAPNG), name)()
        arrow = table.to_arrow()
        assert arrow.num_rows == {"packets": 4, "flows": 3}[name]
        assert arrow.schema.metadata[b"sniffkit.table"] == name.encode()
        assert [name for name, _ in table.columns()] == arrow.column_names
        rows = arrow.to_pylist()
        assert pa.RecordBatchReader.from_stream(table).read_all().to_pylist() == rows
        assert pa.table(table).to_pylist() == rows
        assert table.to_parquet(tmp_path / "t.parquet") == len(rows)
        assert pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pylist() == rows
        assert table.to_polars().rows(named=True) == pl.DataFrame(table).rows(named=True)
        assert len(table.to_pandas()) == len(rows)
    packets = sk.open(PCAPNG).packets()  # noqa: F841 (DuckDB finds it by its name)
    assert duckdb.sql("SELECT count(*) FROM packets").fetchall() == [(4,)]
    assert duckdb.sql("SELECT max(ts) FROM packets").fetchall()[0][0].year == 2023


def test_an_arrow_stream_reads_on_as_it_is_consumed(tmp_path: Path) -> None:
    import pyarrow as pa

    record = PCAP.read_bytes()[24:87]
    big = tmp_path / "big.pcap"
    big.write_bytes(PCAP.read_bytes()[:24] + record * 100_000 + b"cut")

    class Counting(io.FileIO):
        taken = 0

        def read(self, size: int = -1, /) -> bytes:
            data = super().read(size) or b""
            Counting.taken += len(data)
            return data

    reader = pa.RecordBatchReader.from_stream(sk.open(Counting(big)).packets(columns=["frame_number"]))
    rows = reader.read_next_batch().num_rows
    assert 0 < rows < 100_000
    assert Counting.taken < big.stat().st_size
    with pytest.warns(sk.CaptureWarning, match="cut short") as caught:
        rows += sum(batch.num_rows for batch in reader)
    assert rows == 100_000
    assert [one.category for one in caught if one.category is not ResourceWarning] == [sk.CaptureWarning]
    # One that is let go half way stops reading, and nothing is left to say.
    reader = pa.RecordBatchReader.from_stream(sk.open(big).packets())
    reader.read_next_batch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del reader


def test_columns_and_filter() -> None:
    capture = sk.open(PCAPNG)
    assert capture.packets(columns=["ip_dst", "ts"]).to_arrow().column_names == ["ip_dst", "ts"]
    assert capture.packets(columns="ts").to_arrow().column_names == ["ts"]
    # Raw IP frames are asked in their own terms; what a cut frame lacks, it does not match.
    assert numbers(PCAPNG) == [1, 2, 3, 4]
    found = capture.packets(filter="udp dst port 53").to_arrow()
    assert found["frame_number"].to_pylist() == [1, 2, 4]


def test_damage_keeps_the_rows_before_and_warns_once(tmp_path: Path) -> None:
    cut = SEEDS / "pcap" / "cut"
    for take in ("to_arrow", "to_pandas", "to_polars"):
        with pytest.warns(sk.CaptureWarning) as caught:
            table = getattr(sk.open([cut, PCAP]).packets(), take)()
        assert len(table) == 3
        assert [str(one.message) for one in caught] == [
            f"{cut}: at byte 87: cut short: 36 bytes needed for the next packet record, 33 left; rows before are kept"
        ]
        assert caught[0].filename == __file__, "the warning points at the caller's line"
    with pytest.warns(sk.CaptureWarning, match="cut short"):
        assert sk.open(cut).flows().to_parquet(tmp_path / "f.parquet") == 1


def test_an_option_that_is_passed_over_ends_nothing(tmp_path: Path) -> None:
    data = pcapng(["a"], [(0, Frame(T0, bytes(60))), (0, Frame(T0, bytes(60)))])
    (odd := tmp_path / "odd.pcapng").write_bytes(data.replace(b"\x09\0\x01\0\x09", b"\x09\0\x02\0\x09"))
    says = f"{odd}: at byte 28: interface block: option 9 of 2 bytes is passed over"
    with pytest.warns(sk.CaptureWarning) as caught:
        assert len(sk.open(odd).packets().to_arrow()) == 2
    assert [str(one.message) for one in caught] == [says]
    for words in (["packets"], ["read"], ["follow", "--tcp", "10.0.0.1:1,10.0.0.2:2"]):
        done = subprocess.run(
            [sys.executable, "-m", "sniffkit", words[0], str(odd), *words[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"sniffkit: {says}\n" in done.stderr, done
    (later := tmp_path / "later.pcap").write_bytes(pcap([Frame(T0 + 1, bytes(60))]))
    with pytest.warns(sk.CaptureWarning):
        made = sk.open([odd, later]).to_dataset(tmp_path / "out", workers=1)
    assert made.skipped == [says]


def test_other_link_types_give_rows() -> None:
    packets = sk.open(SEEDS / "pcap" / "unknown-link").packets().to_arrow()
    assert packets["malformed"].to_pylist() == ["linktype 147 not decoded"] * 2
    assert packets["frame_len"].to_pylist() == [47, 47]


class Broken:
    """A file object that fails: at once, or after some bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        if not self.data:
            raise RuntimeError("the cable is out")
        data, self.data = self.data[:size], self.data[size:]
        return data


class Generous:
    """A file object that gives more than it was asked for."""

    def read(self, size: int) -> bytes:
        return bytes(size + 1)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: sk.open("nosuch.pcap"), sk.CaptureFileError, "nosuch.pcap: No such file or directory"),
        (lambda: sk.open("nosuch*.pcap"), sk.CaptureFileError, "nosuch*.pcap: no file matches"),
        (lambda: sk.open([]), sk.CaptureFileError, "no capture files given"),
        (lambda: sk.open(3), sk.CaptureFileError, "not 3"),
        (lambda: sk.open(PCAP.read_bytes()), sk.CaptureFileError, "bytes of a capture are no path: wrap them in io."),
        (lambda: sk.open(bytearray(PCAP.read_bytes())), sk.CaptureFileError, "wrap them in io.BytesIO"),
        (lambda: sk.open([PCAP, memoryview(b"")]), sk.CaptureFileError, "wrap them in io.BytesIO"),
        (lambda: sk.open("a\0b"), sk.CaptureFileError, "'a\\x00b': not the name of a file"),
        (lambda: sk.open([None]), sk.CaptureFileError, "not None"),
        (lambda: sk.open(io.StringIO("text")), sk.CaptureFileError, "mode 'rb'"),
        (lambda: sk.open(Broken()).flows().to_arrow(), sk.CaptureFileError, "RuntimeError: the cable is out"),
        (lambda: sk.open(Generous()).flows().to_arrow(), sk.CaptureFileError, "gave more bytes than it was asked for"),
        (lambda: sk.open(__file__).flows().to_arrow(), sk.CaptureFileError, "not a capture: text, starting"),
        (lambda: sk.open("/").flows().to_arrow(), sk.CaptureFileError, "Is a directory"),
        (lambda: sk.open(__file__).packets().__arrow_c_stream__(), sk.CaptureFileError, "not a capture: text"),
        (lambda: sk.open(PCAP).packets(filter="tcp prot 80").to_arrow(), sk.FilterError, "column 5"),
        (lambda: sk.open(PCAP).packets(columns=["ip_scr"]), sk.SniffkitError, "did you mean 'ip_src'?"),
        (lambda: sk.open(PCAP).packets().to_parquet("/nosuch/x.parquet"), sk.OutputError, "/nosuch/x.parquet: No such"),
        (lambda: sk.open(PCAP).packets().to_parquet(5), sk.OutputError, "not to 5"),
        (lambda: sk.open(PCAP).diff("other.pcap"), sk.SniffkitError, "the other one is a capture"),
        (lambda: sk.open(PCAP).diff(points=("a",)), sk.SniffkitError, "points are two"),
        (lambda: sk.open(PCAP).diff(points=5), sk.SniffkitError, "points are two"),
        (lambda: sk.open(PCAP).diff(points=(1, 2)), sk.SniffkitError, "a point is NS/IF or None, not 1"),
        (lambda: sk.open(PCAP).trace(window="x"), sk.SniffkitError, "window is a number of seconds, not 'x'"),
        (lambda: sk.open(PCAP).stats.io("x"), sk.SniffkitError, "interval is a number of seconds, not 'x'"),
        (lambda: sk.open(PCAP).stats.io(1e-12), sk.SniffkitError, "interval 1e-12: it must be at least 1e-09 s"),
        (lambda: sk.open(PCAP).flows(max_flows=1.5), sk.SniffkitError, "max_flows is a whole number, not 1.5"),
        (lambda: sk.open(PCAP).to_dataset("nosuch/d", workers="x"), sk.SniffkitError, "workers is a whole number"),
        (lambda: sk.open(PCAP).packets().to_pandas().sk.top("ip_src", n=-1), sk.SniffkitError, "n is at least 0"),
        (lambda: sk.open(PCAP).pyshark("a\0b"), sk.SniffkitError, "'a\\x00b': not a display filter"),
        (lambda: sk.scan(5), sk.SniffkitError, "a target is a text, or a list of them, not 5"),
        (lambda: sk.scan("10.0.0.1", options=5), sk.SniffkitError, "options are a list of nmap's words, not 5"),
        (lambda: sk.open([PCAP, PCAP]).pyshark(), sk.SniffkitError, "one file at a time"),
        (lambda: list(sk.open(__file__).scapy()), sk.CaptureFileError, "not a capture: text"),
    ],
)
def test_a_bad_request_is_one_clear_line(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert isinstance(caught.value, sk.SniffkitError)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_object_that_fails_underway_keeps_the_rows_before() -> None:
    with pytest.warns(sk.CaptureWarning, match="cannot be read on: RuntimeError: the cable is out"):
        assert sk.open(Broken(PCAP.read_bytes())).packets().to_arrow().num_rows == 2


def test_scapy_gets_dissected_packets(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(PCAP.read_bytes()))
    for source in (PCAP, tmp_path / "x.gz", io.BytesIO(PCAP.read_bytes()), [PCAP, PCAPNG]):
        packet = next(iter(sk.open(source).scapy()))
        assert packet["IP"].dst == "10.0.0.2"
        assert packet["UDP"].dport == 53
    assert len(list(sk.open([PCAP, PCAPNG]).scapy())) == 6


def test_a_table_of_files_can_be_pickled() -> None:
    opened = sk.open(PCAP)
    for table in (opened.packets(["ip_src"], filter="udp"), opened.hosts(["ip"]), opened.trace(filter="udp")):
        assert pickle.loads(pickle.dumps(table)).to_arrow() == table.to_arrow()
    with PCAP.open("rb") as file, pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(sk.open(file).packets())


def test_repr_names_the_files() -> None:
    assert repr(sk.open([PCAP] * 5)).startswith(f"<sniffkit capture {PCAP}, {PCAP}, {PCAP} and 2 more")


def test_what_is_no_rule_and_no_table_is_said() -> None:
    for rule in ("a", None):
        with pytest.raises(sk.SniffkitError, match=f"flows: tcp_idle is a number, not {rule!r}"):
            sk.open(PCAP).flows(tcp_idle=rule)  # type: ignore[arg-type]
    for name in ("inputs", "fresh", "nosuch"):
        with pytest.raises(sk.SniffkitError, match=f"no table '{name}'; there are: packets flows"):
            sk.open(PCAP).named(name)
    with pytest.raises(sk.SniffkitError, match=r"flows: .* is not an instance of 'str'"):
        sk.open(PCAP).flows(filter=3).to_arrow()  # type: ignore[arg-type]
