"""Tables at a terminal: nothing is cut, last columns go where there is no room, and it says which."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sniffkit.sinks import screen

TABLE = pa.table(
    {
        "orig_h": ["10.0.100.10", "fe80::ec33:55ff:fe1a:ffbc"],
        "vlan": pa.array([None, None], pa.uint16()),
        "orig_pkts": pa.array([7, 12345], pa.uint64()),
        "history": ["ShADadFf", None],
    }
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    def show(columns: int, fit: bool) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        screen.write(TABLE, fit)
        return capsys.readouterr().out

    return show


def test_every_value_is_whole_and_empty_columns_are_left_out(shown: object) -> None:
    text = shown(80, True)  # type: ignore[operator]
    assert "fe80::ec33:55ff:fe1a:ffbc 12345" in text
    assert "ShADadFf" in text
    assert "vlan" not in text
    assert "no room" not in text


def test_last_columns_go_where_the_terminal_is_narrow(shown: object) -> None:
    text = shown(35, True)  # type: ignore[operator]
    assert "fe80::ec33:55ff:fe1a:ffbc 12345" in text
    assert "ShADadFf" not in text
    assert "no room for history" in " ".join(text.split())


def test_wide_characters_take_two_cells(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"host": ["漢字漢字漢字漢字漢字"], "second": ["second"], "port": [8080]})
    for columns, shown in ((34, "漢字漢字漢字漢字漢字 second 8080"), (31, "漢字漢字漢字漢字漢字 second")):
        monkeypatch.setenv("COLUMNS", str(columns))
        screen.write(table, fit=True)
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        assert shown in lines
        assert any(line.startswith("no room for port") for line in lines) == (columns == 31)


def test_what_to_take_instead_of_a_wider_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "35")
    screen.write(TABLE, fit=True, instead="-o FILE")
    assert capsys.readouterr().out.split("no room for")[1].split()[1:] == [
        "widen",
        "the",
        "terminal,",
        "or",
        "-o",
        "FILE",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((37.81076207096126, "37.8108"), (3842.724188733563, "3842.72"), (62.8125, "62.8125"), (0.0, "0")),
        *((1234567.89, "1234568"), (999999.9, "1000000"), (99999.97, "100000"), (1e300, "1e+300")),
        *((1 / 3, "0.333333"), (1e-7, "1e-07"), (None, "")),
    ],
)
def test_quotients_are_rounded(value: float | None, text: str) -> None:
    column = pa.array([value], pa.float64())
    assert screen.cells(column, "bytes_per_s") == screen.cells(column, "orig_loss") == [text]
    assert screen.cells(column, "start") == ["" if value is None else str(value)]


def test_columns_that_were_asked_for_stay(shown: object) -> None:
    text = shown(20, False)  # type: ignore[operator]
    assert "fe80::ec33:55ff:fe1a:ffbc 12345" in text
    assert "ShADadFf" in text
