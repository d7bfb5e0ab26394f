"""Parquet files as tables of `sniffkit sql`: any names, any types, files of one table that differ."""

from __future__ import annotations

import datetime
import decimal
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sniffkit as sk
from captures import web_mix
from sniffkit.errors import SniffkitError
from sniffkit.sql import Database

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(called: Run) -> Run:
    """Run `sniffkit …`; returns exit code, stdout and stderr."""
    return called


def written(path: Path, **columns: Any) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def rows(files: list[str], query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Database(None, files).query(query).to_arrow().to_pylist()
    return found


@pytest.mark.parametrize(
    ("file", "table"),
    [
        ("2024-05-01", '"2024_05_01"'),
        ("order", '"order"'),
        ("user", '"user"'),
        ("été", "été"),
        ("Upper", "upper"),
        (".hid", "hid"),
        ("a b.v2", "a_b"),
    ],
)
def test_a_table_of_any_name_has_its_rows(tmp_path: Path, file: str, table: str) -> None:
    path = written(tmp_path / f"{file}.parquet", v=[1, 2])
    assert rows([path], f"SELECT sum(v)::INT n FROM {table} WHERE v > 0") == [{"n": 3}]


@pytest.mark.parametrize("name", ["a\nb", "a.b", "AND", "c1", "order", "x''y", "É", "null", "bytes/s"])
def test_a_column_of_any_name_has_its_values(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "t.parquet", **{"c0": [5, 6], name: [1, 2], "c2": ["c1", "c0"]})
    assert rows([path], f"SELECT \"{name}\" v FROM t WHERE c2 = 'c0'") == [{"v": 2}]
    assert rows([path], f'SELECT count(*) n FROM t WHERE "{name}" > 1') == [{"n": 1}]
    assert rows([path], "FROM t")[0] == {"c0": 5, name: 1, "c2": "c1"}


def test_a_column_that_a_file_has_not_is_null_there(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    files = [
        written(tmp_path / "t.parquet", v=[1, 2], one=["x", None]),
        written(tmp_path / "b" / "t.parquet", v=[3.5]),
    ]
    assert rows(files, "SELECT count(one) n, count(*) m, sum(v) s FROM t") == [{"n": 1, "m": 3, "s": 6.5}]
    assert rows(files, "SELECT one FROM t") == [{"one": "x"}, {"one": None}, {"one": None}]


def test_files_of_a_table_of_captures_may_have_some_columns(tmp_path: Path) -> None:
    capture = sk.open(web_mix.FILE)
    files = []
    for columns in (["ts", "ip_src"], ["ts", "frame_number"]):
        files.append(str(tmp_path / f"{columns[1]}.parquet"))
        capture.packets(columns=columns).to_parquet(files[-1])
    total = capture.packets(columns=["ip_src", "frame_len"]).to_arrow()
    known = total.num_rows - total["ip_src"].null_count
    query = "SELECT count(ip_src) n, count(frame_number) m FROM packets"
    assert rows(files, query) == [{"n": known, "m": total.num_rows}]
    both = Database(capture, files)
    found = both.query("SELECT count(frame_len) n, count(ip_src) m, count(*) a FROM packets").to_arrow().to_pylist()
    assert found == [{"n": total.num_rows, "m": 2 * known, "a": 3 * total.num_rows}]


def test_types_are_those_of_the_file(tmp_path: Path) -> None:
    far = datetime.datetime(2500, 1, 1)
    columns = {
        "price": pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.25")]),
        "s": pa.array([{"a": 1, "b": "x"}, None]),
        "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int32())),
        "b": pa.array([b"\xff\x00", b"a"]),
        "t": pa.array([datetime.time(1, 2, 3), None]),
        "l": pa.array([[1, 2], None], pa.large_list(pa.int64())),
        "d": pa.array([datetime.date(2020, 1, 1), None]),
        "us": pa.array([far, None], pa.timestamp("us")),
        "nothing": pa.nulls(2),
    }
    path = written(tmp_path / "t.parquet", **columns)
    assert rows([path], "FROM t") == pa.table(columns).to_pylist()
    assert rows([path], "SELECT sum(price) p, max(s.a) a, max(l[2]) l, hour(max(t)) h FROM t") == [
        {"p": decimal.Decimal("3.75"), "a": 1, "l": 2, "h": 1}
    ]
    zoned = written(
        tmp_path / "z.parquet",
        ns=pa.array([1], pa.timestamp("ns", "UTC")),
        ms=pa.array([2], pa.timestamp("ms", "Asia/Tokyo")),
    )
    assert rows([zoned], "SELECT epoch_ns(ns) ns, epoch_ms(ms) ms FROM z") == [{"ns": 1, "ms": 2}]


def test_types_that_duckdb_has_not_are_read(tmp_path: Path) -> None:
    columns = {
        "half": pa.array(np.array([1.5], np.float16)),
        "wide": pa.array([10**50], pa.decimal256(60, 0)),
        "money": pa.array([decimal.Decimal("1.25")], pa.decimal256(20, 2)),
    }
    path = written(tmp_path / "t.parquet", v=[1], **columns)
    assert rows([path], "FROM t") == [{"v": 1, "half": 1.5, "wide": str(10**50), "money": decimal.Decimal("1.25")}]
    assert rows([path], "SELECT money * 2 m FROM t WHERE half > 1") == [{"m": decimal.Decimal("2.50")}]


def test_a_damaged_file_is_the_one_that_is_named(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "t.parquet"
    sk.open(web_mix.FILE).packets().to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    for more in ([], ["-o", f"{tmp_path}/q.csv"]):
        code, out, err = run("sql", "from packets", str(path), *more)
        assert (code, out, err.startswith(f"sniffkit: {path}: damaged: "), err.count("\n")) == (2, "", True, 1), err
    pq.write_table(pa.table({"v": [1]}).replace_schema_metadata({"sniffkit.table": b"\xff"}), path)
    assert list(Database(None, [str(path)]).tables) == ["\ufffd"]
    path.write_bytes(whole.replace(b"frame_number", b"\xff" + b"rame_number"))
    with pytest.raises(sk.CaptureFileError, match=r"/t.parquet: damaged: "):
        Database(None, [str(path)])


def test_integers_of_128_bits_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    polars.DataFrame({"v": polars.Series([1], dtype=polars.Int128)}).write_parquet(path)
    with pytest.raises(sk.CaptureFileError, match=r"/t.parquet: Integers with more than 64 bits not implemented$"):
        Database(None, [str(path)])


def test_an_answer_can_be_asked_again(tmp_path: Path, run: Run) -> None:
    out = str(tmp_path / "tot.parquet")
    assert run("sql", "select ip_src, sum(frame_len) b from packets group by 1", str(web_mix.FILE), "-o", out)[0] == 0
    total = sum(sk.open(web_mix.FILE).packets(columns=["frame_len"]).to_arrow()["frame_len"].to_pylist())
    assert run("sql", "select sum(b) n from tot", out) == (0, f"n\n{total}\n", "")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"A": [1], "a": [2]}, "SQL cannot tell the columns apart: 'A', 'a'"),
        ({"": [1]}, "SQL cannot tell the columns apart: ''"),
        ({}, "a table without columns"),
    ],
)
def test_what_can_be_no_table_is_told(tmp_path: Path, columns: dict[str, Any], says: str) -> None:
    path = written(tmp_path / "t.parquet", **columns)
    with pytest.raises(SniffkitError) as caught:
        Database(None, [path])
    assert str(caught.value) == f"{path}: {says}"


def test_tables_that_differ_in_case_are_one(tmp_path: Path) -> None:
    files = [written(tmp_path / "T.parquet", v=[1]), written(tmp_path / "t.parquet", v=[2])]
    assert rows(files, "SELECT sum(v)::INT n FROM t") == [{"n": 3}]


def test_files_are_found_by_glob_case_and_content(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("pa.parquet"), v=[1])
    written(Path("pb.PARQUET"), v=[2])
    shutil.copy("pa.parquet", "pc.pq")
    Path("pa.parquet.gz").write_bytes(b"\x1f\x8b")
    union = "select count(*) n from (from pa union all from pb union all from pc)"
    assert run("sql", union, "p[a-c].[pP]*[tTq]") == (0, "n\n3\n", "")
    assert run("sql", union, "no.parquet") == (2, "", "sniffkit: no.parquet: No such file or directory\n")
    code, _, err = run("sql", union, "pa.parquet.gz")
    assert (code, err) == (2, "sniffkit: pa.parquet.gz: a compressed Parquet file: unpack it first\n")
    Path("bad.parquet").write_bytes(b"nonsense")
    assert run("sql", union, "bad.parquet") == (2, "", "sniffkit: bad.parquet: not a Parquet file\n")
