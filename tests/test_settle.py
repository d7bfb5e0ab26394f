"""What is said of an ended session: what was written, what was not, and by which name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sniffkit.points import settle

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
