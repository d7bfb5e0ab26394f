"""Pages that are made from the code say what the code says."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setting import REQUIRE_ALL, UPDATE_GOLDEN

import sniffkit as sk
from sniffkit import _core, comparison, stats
from sniffkit.api import TABLES
from sniffkit.tables import Table

ROOT = Path(__file__).resolve().parent.parent


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_tables_is_the_schema() -> None:
    tables = script("tables_doc")
    if UPDATE_GOLDEN and not REQUIRE_ALL:
        tables.PAGE.write_text(tables.page())
    assert tables.PAGE.read_text() == tables.page(), "run `make golden` and read what it wrote"


def test_every_column_says_what_it_means() -> None:
    for table in TABLES:
        for name, kind, doc in _core.table_columns(table):
            assert doc.endswith("."), (table, name)
            assert "(" not in script("tables_doc").type_name(kind).removesuffix("(dictionary)"), kind


def made_of_others() -> Iterator[tuple[str, Table]]:
    """Every table of docs/derived.md, by its heading."""
    yield "trace", sk.open(ROOT / "docs" / "labs" / "nat.pcapng").trace()
    loss = ROOT / "captures" / "loss"
    diff = sk.open(loss / "near.pcapng").diff(sk.open(loss / "far.pcapng"))
    for name in (*comparison.SECTIONS, "matches"):
        yield f"diff: {name}", getattr(diff, name)()
    figures = sk.open(loss / "near.pcapng").stats
    for name in stats.SECTIONS:
        ported = {"layer": "tcp"} if name in ("conversations", "endpoints") else {}
        yield f"stats: {name}", getattr(figures, name)(**ported)


def test_the_page_of_tables_made_of_others_has_their_columns() -> None:
    kinds = {
        "string": "text",
        "double": "float64",
        "list<item: string>": "list of text",
        "timestamp[ns, tz=UTC]": "timestamp[ns, UTC]",
    }
    kinds |= {"list<item: uint16>": "list of uint16"}
    found: dict[str, list[tuple[str, str]]] = {}
    for line in (ROOT / "docs" / "derived.md").read_text().splitlines():
        if line.startswith("## "):
            found[line.removeprefix("## ")] = rows = []
        elif line.startswith("| `"):
            name, kind, meaning = (part.strip() for part in line.strip("|").split("|"))
            assert meaning.endswith("."), line
            rows.append((name.strip("`"), kind))
    made = {}
    for title, table in made_of_others():
        fields = [(field.name, str(field.type)) for field in table.to_arrow().schema]
        made[title] = [(n, "text (dictionary)" if k.startswith("dictionary") else kinds.get(k, k)) for n, k in fields]
    assert found == made


def test_the_kept_seeds_are_the_scripts(tmp_path: Path) -> None:
    seeds = script("capture_seeds")
    for target, made in (("pcap", seeds.pcap_seeds()), ("pcapng", seeds.pcapng_seeds())):
        folder = seeds.FOLDER / target
        # Inputs that fuzzing added are named by their hash. zlib's versions do not compress alike.
        kept = {path.name: plain(path.read_bytes()) for path in folder.iterdir() if len(path.name) < 40}
        assert kept == {name: plain(data) for name, data in made.items()}


def plain(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
