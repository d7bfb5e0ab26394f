"""What every table does alike: columns that are named, where warnings point, what is refused in one line."""

from __future__ import annotations

import decimal
import inspect
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sniffkit as sk

SEEDS = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus"
PCAP = SEEDS / "pcap" / "micros-le"
CUT = SEEDS / "pcap" / "cut"

# table -> two of its columns
NAMED = {"flows": ["uid", "ts"], "hosts": ["mac", "ip"], "trace": ["hop", "ts"]}


@pytest.mark.parametrize("name", NAMED)
def test_columns_are_any_names(name: str) -> None:
    take: Any = getattr(sk.open(PCAP), name)
    a, b = NAMED[name]
    whole = take().to_arrow()
    for given, expected in [
        ((one for one in [a, b]), [a, b]),
        ({a: 1, b: 2}, [a, b]),
        (a, [a]),
        ([a, b, a], [a, b]),
        ([], []),
        (None, whole.column_names),
    ]:
        made = take(columns=given).to_arrow()
        assert (made.column_names, made.num_rows) == (expected, whole.num_rows)
    assert take(columns=[a, a]).to_polars().columns == [a]
    with pytest.raises(sk.SniffkitError, match="columns are names, not 5"):
        take(columns=[5])
    with pytest.raises(sk.SniffkitError, match="columns are names, not 5"):
        take(columns=5)


def test_columns_of_a_data_set_may_come_one_by_one(tmp_path: Path) -> None:
    sk.open(PCAP).to_dataset(tmp_path / "out", columns=(one for one in ["ts", "uid"]), workers=1)
    (part,) = tmp_path.rglob("*.parquet")
    assert pq.read_schema(part).names == ["ts", "uid"]


def test_rules_of_a_data_set_are_any_numbers(tmp_path: Path) -> None:
    given: list[Any] = [300, 300.0, decimal.Decimal(300), np.int64(300)]
    made = [sk.open(PCAP).to_dataset(tmp_path / "out", tcp_idle=one, workers=1) for one in given]
    assert [one.already_complete for one in made] == [False, True, True, True]


def flows() -> Any:
    return sk.open(CUT).flows()


@pytest.mark.parametrize(
    "take",
    [
        lambda: flows().to_arrow(),
        lambda: flows().to_pandas(),
        lambda: pa.table(flows()),
        lambda: pl.DataFrame(flows()),
        lambda: registered().execute("SELECT count(*) FROM cut").fetchall(),
        lambda: sk.open(CUT).sql("SELECT count(*) FROM flows").to_arrow(),
        lambda: sk.open(CUT).sql("SELECT count(*) FROM flows a, packets b, hosts, flows c").to_arrow(),
        lambda: sk.open(CUT).hosts().to_arrow(),
        lambda: sk.open(CUT).trace().to_arrow(),
        lambda: sk.open(CUT).diff(sk.open(PCAP)).summary(),
        lambda: sk.open(CUT).stats.summary().to_arrow(),
        lambda: list(sk.open(CUT).scapy()),
    ],
)
def test_a_warning_comes_once_and_points_at_the_line_that_asked(take: Callable[[], Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", sk.CaptureWarning)
        take()
    (told,) = [one for one in caught if one.category is sk.CaptureWarning]
    lines, first = inspect.getsourcelines(take)
    assert (told.filename, first <= told.lineno < first + len(lines)) == (__file__, True)


def registered() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("cut", flows())
    return connection


def test_a_table_never_replaces_its_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    shutil.copy(PCAP, path)
    (tmp_path / "link.parquet").symlink_to(path)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(PCAP, "a.pcap")
    whole = (tmp_path / "b.zip").read_bytes()
    outs = (path, tmp_path / "link.parquet")
    with path.open("rb") as file:
        for source in (path, file, f"file://{path}"):
            for take in MADE:
                file.seek(0)
                refused(take(sk.open(source)), *outs)
        refused(sk.open(PCAP).diff(sk.open(path)).flows(), *outs)
        refused(sk.open(f"zip://*.pcap::file://{tmp_path}/b.zip").flows(), tmp_path / "b.zip")
    assert (path.read_bytes(), (tmp_path / "b.zip").read_bytes()) == (PCAP.read_bytes(), whole)


# What captures are made into, by the core, in Python, by DuckDB.
MADE: list[Callable[[sk.Capture], Any]] = [
    lambda c: c.flows(),
    lambda c: c.hosts(),
    lambda c: c.trace(),
    lambda c: c.sql("FROM flows"),
    lambda c: c.stats.summary(),
    lambda c: c.stats.hierarchy(),
    lambda c: c.diff(sk.open(PCAP)).summary(),
    lambda c: c.diff(sk.open(PCAP)).changes(),
]


def refused(table: Any, *outs: Path) -> None:
    for out in outs:
        with pytest.raises(sk.OutputError, match="is the capture that is read: choose another name"):
            table.to_parquet(out)


@pytest.mark.parametrize("take", MADE[1:5])
def test_what_is_no_name_of_a_file_is_told(take: Callable[[sk.Capture], Any]) -> None:
    with pytest.raises(sk.OutputError, match=r"^'a\\x00b': not the name of a file$"):
        take(sk.open(PCAP)).to_parquet("a\0b")


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (lambda c: c.arp(gateways=["x"]).to_arrow(), sk.SniffkitError, 'arp: "x" is no address'),
        (
            lambda c: c.flows(udp_idle=10**400).to_arrow(),
            sk.SniffkitError,
            "flows: a rule that is no number of seconds",
        ),
        (lambda c: c.to_dataset("out", udp_idle=10**400), sk.SniffkitError, "flows: a rule that is no number"),
        (lambda c: c.to_dataset("out", filter="tcp prot"), sk.FilterError, "column 5"),
        (lambda c: c.extract("out", max_size=-1), sk.SniffkitError, "max_size = -1: needs a number from 0"),
        (lambda c: c.extract("out", max_files=1 << 64), sk.SniffkitError, "max_files = "),
        (lambda c: c.extract("a\0b"), sk.OutputError, "'a\\x00b': not the name of a directory"),
        (lambda c: c.to_dataset("a\0b"), sk.OutputError, "'a\\x00b': not the name of a directory"),
        (lambda c: c.to_dataset("out", tcp_idle="300"), sk.SniffkitError, "flows: tcp_idle is a number, not '300'"),
        (lambda c: c.to_dataset("out", active=None), sk.SniffkitError, "flows: active is a number, not None"),
        (lambda c: c.flows(active=np.array([1, 2])), sk.SniffkitError, "flows: active is a number, not array([1, 2])"),
        (lambda c: c.sql("select '\udcff'"), sk.SniffkitError, "\\udcff'\" is not UTF-8"),
        (lambda c: c.sql(None), sk.SniffkitError, "a query is a text, not None"),
        (lambda c: c.to_dataset(""), sk.OutputError, "'': not the name of a directory"),
        (
            lambda c: c.flows().to_parquet("memory://out/f.parquet"),
            sk.OutputError,
            "memory://out/f.parquet: a table is",
        ),
        (
            lambda c: c.sql("select interval 1 month d").to_polars(),
            sk.SniffkitError,
            "no polars frame can hold this: d is month_day_nano_interval",
        ),
        (
            lambda c: c.sql("select [{'a': interval 1 month}] d").to_polars(),
            sk.SniffkitError,
            "no polars frame can hold this: d is list<",
        ),
        (
            lambda c: c.sql("select interval 1 month d").to_parquet("/dev/null"),
            sk.SniffkitError,
            "no Parquet file can hold this: ",
        ),
    ],
)
def test_what_cannot_be_is_one_line(ask: Callable[[sk.Capture], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(sk.SniffkitError) as caught:
        ask(sk.open(PCAP))
    assert type(caught.value) is error
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_gateway_needs_no_list() -> None:
    assert sk.open(PCAP).arp(gateways="10.0.0.1").to_arrow().num_rows == 0
