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


def test_columns_that_were_asked_for_stay(shown: object) -> None:
    text = shown(20, False)  # type: ignore[operator]
    assert "fe80::ec33:55ff:fe1a:ffbc 12345" in text
    assert "ShADadFf" in text
