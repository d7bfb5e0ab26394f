"""Conditions that the core judges: the answer is what it is without, and fewer rows are made for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sniffkit as sk
from sniffkit import _core, sql
from sniffkit.pushdown import tests_of as implied_by

DEMO = "captures/demo/demo.pcapng"
OWN = [DEMO, "docs/labs/vxlan.pcapng", "docs/labs/qinq.pcapng", "docs/labs/policy.pcapng", "docs/labs/nat.pcapng"]


def answer(capture: str, query: str) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows: list[Any] = sk.open(capture).sql(query).to_arrow().to_pylist()
    return rows


@st.composite
def conditions(draw: Callable[..., Any], table: str, values: dict[str, list[Any]]) -> str:
    """A condition over columns of a table, about values that are there and others."""

    def literal(column: str) -> str:
        value = draw(st.sampled_from(values[column]))
        kind = kinds[column]
        if value is None:
            value = 7
        if kind == "VARCHAR":
            return "'" + str(value).replace("'", "''") + "'"
        if kind == "TIMESTAMP_NS":
            return f"make_timestamp_ns({value + draw(st.sampled_from([-1, 0, 1]))})"
        return str(value + draw(st.sampled_from([0, 0, -1, 1])))

    kinds = {name: sql.duckdb_type(kind) for name, kind, _ in _core.table_columns(table)}
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        column = draw(st.sampled_from(sorted(values)))
        form = draw(
            st.sampled_from(["=", "=", "<", "<=", ">", ">=", "<>", "in", "between", "null", "like", "or", "not"])
        )
        one = literal(column)
        if form == "in":
            parts.append(f"{column} IN ({one}, {literal(column)}, {literal(column)})")
        elif form == "between":
            parts.append(f"{column} BETWEEN {one} AND {literal(column)}")
        elif form == "null":
            parts.append(f"{column} IS {draw(st.sampled_from(['', 'NOT ']))}NULL")
        elif form == "like":
            text = one.strip("'")[:4]
            parts.append(
                f"{column}::VARCHAR LIKE '%{text}%'" if kinds[column] != "VARCHAR" else f"{column} LIKE '%{text}%'"
            )
        elif form == "or":
            parts.append(f"({column} = {one} OR {draw(st.sampled_from(sorted(values)))} IS NULL)")
        elif form == "not":
            parts.append(f"NOT ({column} = {one})")
        else:
            parts.append(f"{column} {form} {one}")
    return draw(st.sampled_from([" AND ", " AND ", " OR "])).join(parts)


JUDGED = {
    "packets": "ts frame_number frame_len ip_src ip_dst src_port dst_port ip_proto protocols tcp_flags tcp_seq "
    "vxlan_vni eth_src arp_opcode interface",
    "flows": "ts orig_h resp_h orig_p resp_p proto service duration orig_bytes vlan uid",
}


def values_of(capture: str, table: str) -> dict[str, list[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(sk.open(capture), table)(columns=JUDGED[table].split()).to_arrow()
    found = {}
    for name in made.column_names:
        column = made[name].cast("int64") if name == "ts" else made[name]
        found[name] = sorted(set(column.to_pylist()), key=str)[:40]
    return {name: those for name, those in found.items() if those}


def compare(capture: str, table: str, condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "frame_number, ts, ip_src, protocols" if table == "packets" else "*"
    query = f"SELECT {shown} FROM {table} WHERE {condition}"
    judged = answer(capture, query)
    with monkeypatch.context() as without:
        without.setattr(sql, "tests_of", lambda *_: [])
        assert judged == answer(capture, query), condition


@pytest.mark.parametrize("table", ["packets", "flows"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_condition_gives_the_same(table: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = data.draw(st.sampled_from(OWN))
    compare(capture, table, data.draw(conditions(table, values_of(capture, table))), monkeypatch)


@pytest.mark.oracle
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_captures_of_others(corpus: Path, data: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(path for path in (corpus / "captures").iterdir() if path.stat().st_size < 200_000)
    capture = str(data.draw(st.sampled_from(files)))
    table = data.draw(st.sampled_from(["packets", "flows"]))
    try:
        values = values_of(capture, table)
    except sk.SniffkitError:
        return
    if values:
        compare(capture, table, data.draw(conditions(table, values)), monkeypatch)


@pytest.mark.parametrize(
    ("condition", "tests"),
    [
        ("ip_src = '10.0.0.10'", [("ip_src", "texts", [], ["10.0.0.10"])]),
        ("src_port IN (80, 443) AND ip_proto = 6", {("src_port", "numbers"), ("ip_proto", "numbers")}),
        ("ts >= '2025-01-01 00:00:00.5'", [("ts", "between", [1735689600500000000, 2**65], [])]),
        ("protocols LIKE '%vxlan%'", [("protocols", "contains", [], ["vxlan"])]),
        ("vxlan_vni IS NOT NULL", [("vxlan_vni", "present", [], [])]),
        ("src_port = 80 OR dst_port = 80", []),
        ("ip_src <> '10.0.0.10'", []),
        ("ip_src > '10.0.0.10'", []),
        ("lower(ip_src) = 'a'", []),
    ],
)
def test_what_is_judged_by_the_core(condition: str, tests: Any) -> None:
    need = sql.Database(sk.open(DEMO)).needs(f"SELECT frame_number FROM packets WHERE {condition}")["packets"]
    if isinstance(tests, set):
        assert {test[:2] for test in need.tests} == tests
    else:
        assert need.tests == tests


def test_rows_for_nothing_are_not_made() -> None:
    keep = [("src_port", "numbers", [53], [])]
    made = _core.open_table("packets", [DEMO], ["frame_number", "src_port"], keep=keep)
    made.finish()
    import pyarrow as pa

    assert set(pa.table(made)["src_port"].to_pylist()) == {53}
    with pytest.raises(ValueError, match="no test"):
        _core.open_table("packets", [DEMO], ["frame_number"], keep=[("src_port", "near", [53], [])])


def test_two_scans_of_a_table_see_all_they_need() -> None:
    query = (
        "SELECT count(*) n FROM packets a JOIN packets b USING (frame_number) WHERE a.src_port = 53 AND b.dst_port > 0"
    )
    assert answer(DEMO, query) == [{"n": len(answer(DEMO, "SELECT frame_number FROM packets WHERE src_port = 53"))}]


@pytest.mark.parametrize(
    "text", ["(a = 1", "a = 1)", "(a = 1 OR b = 2)", "(a = 1.5)", "(a = 'x)", "((a & 2) > 0)", "", "()"]
)
def test_what_is_not_understood_is_left_out(text: str) -> None:
    assert implied_by(text, {"a": "UINTEGER", "b": "UINTEGER"}) == []
