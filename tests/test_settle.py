"""What is said of an ended session: what was written, what was not, and by which name."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sniffkit.cli import session as sessions
from sniffkit.errors import CaptureError
from sniffkit.points import convert, settle

TABLE, FULL = "f.csv.77.parquet", "No space left on device"
LOST = "f.csv: no flow table was written: make one"


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (f"{TABLE}: {FULL}", [f"f.csv: {FULL}; no flow table was written: make one"]),
        (f"x.pcapng: {FULL}", [f"x.pcapng: {FULL}; what was written before is kept", LOST]),
        (None, [LOST]),
    ],
)
def test_a_flow_table_that_was_not_written(error: str | None, lines: list[str]) -> None:
    assert settle(SimpleNamespace(error=error, flow_rows=None), TABLE, "f.csv", ": make one") == (None, lines)


def test_a_table_that_cannot_be_converted_beside_a_capture_that_was_cut() -> None:
    late = SimpleNamespace(error=f"nosuch.parquet: {FULL}", flow_rows=3)
    assert settle(late, "nosuch.parquet", "f.csv")[1][0].startswith(f"f.csv: {FULL}; ")
    session = SimpleNamespace(error=f"x.pcapng: {FULL}", flow_rows=3)
    made, lines = settle(session, "nosuch.parquet", "f.csv")
    assert (made, lines[0]) == (None, f"x.pcapng: {FULL}; what was written before is kept")
    assert lines[1].endswith("; the flow table is kept as nosuch.parquet")
    assert settle(session, "f.parquet", "f.parquet") == ("f.parquet", lines[:1])


def test_a_session_without_a_flow_table() -> None:
    assert settle(SimpleNamespace(error=None, flow_rows=None), None, None) == (None, [])
    assert settle(SimpleNamespace(error="x: no", flow_rows=None), None, None)[1] == [
        "x: no; what was written before is kept"
    ]


def test_a_table_is_converted_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(*_: object, **__: object) -> None:
        raise AssertionError("the whole table at once")

    monkeypatch.setattr(pq, "read_table", whole)
    monkeypatch.setattr(pq.ParquetFile, "read", whole)
    data = pa.table({"n": list(range(10)), "who": pa.array(["a", None, "b", "c", "d"] * 2).dictionary_encode()})
    for suffix, empty in ((".csv", "n,who\n"), (".jsonl", ""), (".arrow", None)):
        for rows in (data, data.slice(0, 0)):
            table, flows = tmp_path / "t.parquet", tmp_path / f"f{suffix}"
            pq.write_table(rows, table, row_group_size=3)
            convert(str(table), str(flows))
            assert not table.exists()
            if suffix == ".arrow":
                assert pa.ipc.open_file(flows).read_all().to_pylist() == rows.to_pylist()
            else:
                assert len(flows.read_text().splitlines()) == rows.num_rows + (suffix == ".csv")
                assert rows.num_rows or flows.read_text() == empty


def test_a_table_stays_where_pyarrow_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is too little memory for its libraries."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    table = tmp_path / "t.parquet"
    table.touch()
    made, lines = settle(SimpleNamespace(error=None, flow_rows=1), str(table), "f.csv")
    assert made is None
    assert lines[0].startswith("f.csv: ")
    assert lines[0].endswith(f"; the flow table is kept as {table}")
    assert table.exists()


def test_whoever_insists_while_a_table_is_converted_is_told_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        signals._handle(signal.SIGINT, None)

    before = {number: signal.getsignal(number) for number in (*range(1, 3), 10, 12, 15)}
    signals = sessions.Signals()
    for number, handler in before.items():
        signal.signal(number, handler)
    signals.concluding, signals.seen, signals._first = True, [signal.SIGINT], time.monotonic() - 2
    monkeypatch.setattr(sessions, "settle", interrupted)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # it sets it itself
    ended = {"stats": lambda: [(3, 3, 0, 0)], "frames": 3, "last_file": None, "unprinted": 0, "lost": []}
    with pytest.raises(CaptureError, match=r"^f.csv: interrupted; the flow table is kept as t.parquet$") as said:
        sessions.conclude(SimpleNamespace(error=None, **ended), None, "f.csv", "t.parquet")
    assert said.value.exit_code == 130
    assert capsys.readouterr().err.startswith("3 packets captured\n3 packets received by filter\n0 packets dropped")
