"""What type checkers and editors know of the package (PEP 561)."""

from __future__ import annotations

import ast
from pathlib import Path

import sniffkit as sk
from sniffkit import api


def imported(block: list[ast.stmt]) -> dict[str, str]:
    """Names that imports of a block give out again, with their modules."""
    found = [statement for statement in block if isinstance(statement, ast.ImportFrom)]
    return {one.asname: statement.module or "" for statement in found for one in statement.names if one.asname}


def test_every_public_name_has_its_type() -> None:
    package = Path(sk.__file__)
    assert (package.parent / "py.typed").exists()
    tree = ast.parse(package.read_text())
    known = next(one for one in tree.body if isinstance(one, ast.If))
    assert imported(known.body) == sk._LAZY
    assert set(sk.__all__) == {*sk._LAZY, "__version__"}


def test_frames_of_all_tables_join_on_uid() -> None:
    capture = sk.open(str(Path(__file__).resolve().parent.parent / "captures" / "demo" / "demo.pcapng"))
    frames = {name: getattr(capture, name)().to_polars() for name in api.TABLES}
    flows = frames["flows"].select("uid", "service")
    joined = {name: frame.join(flows, on="uid").height for name, frame in frames.items() if "uid" in frame.columns}
    assert joined["packets"] == frames["packets"]["uid"].count() > 0
    assert min(joined[name] for name in ("http", "dns", "files")) > 0
    for uid, kind in (("1", "Int32"), ("[uid]", "List(String)"), ("uid", "String")):
        frame = capture.sql(f"select {uid} as uid from flows").to_polars()
        assert str(frame.schema["uid"]) == kind
