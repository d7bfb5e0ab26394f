"""Tables of a few rows that Python makes have the same columns and types, whatever those rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from sniffkit import checkup
from sniffkit.cli import interfaces
from sniffkit.lab import check, report
from sniffkit.sinks import Output, write_rows

VALUES = {"text": "x", "names": ["x"], "bool": True, "u16": 1, "u32": 1}


def read(path: Path) -> pa.Table:
    if path.suffix == ".arrow":
        with pa.ipc.open_file(path) as file:
            return file.read_all()
    return pyarrow.parquet.read_table(path)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("kinds", [interfaces.COLUMNS, checkup.COLUMNS, report.LABS, report.INTERFACES, check.COLUMNS])
def test_types_are_those_of_the_columns(tmp_path: Path, kinds: dict[str, str], suffix: str) -> None:
    """Without any value too: tables of two runs can be put together."""
    filled: dict[str, Any] = {name: VALUES[kind] for name, kind in kinds.items()}
    tables = []
    for rows in ([], [dict.fromkeys(kinds)], [filled]):
        path = tmp_path / f"{len(tables)}{suffix}"
        write_rows("few", rows, kinds, Output(str(path), False, False))
        tables.append(read(path))
    whole = pa.concat_tables(tables)
    assert whole.to_pylist() == [dict.fromkeys(kinds), filled]
    assert [field.name for field in whole.schema] == list(kinds)


def test_numbers_are_unsigned_and_text_is_text() -> None:
    kinds = interfaces.COLUMNS | report.LABS | checkup.COLUMNS
    assert {kinds[name] for name in ("mtu", "vlan_id", "vni", "nodes", "interfaces")} == {"u16", "u32"}
    assert (kinds["ok"], kinds["addresses"], kinds["state"]) == ("bool", "names", "text")
