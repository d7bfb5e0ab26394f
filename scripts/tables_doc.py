"""Write docs/tables.md: every table's columns, types and meanings, as the Rust core declares them.

scripts/tables_doc.py        writes it; `make golden` does too
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tables.md"

HEAD = """# Tables

Made from the core's schema by `scripts/tables_doc.py`; do not edit.

Arrow, Parquet, pandas and polars alike; rows in capture order. Times are `timestamp[ns, UTC]`, durations nanoseconds in
`int64`, counts unsigned, lengths those of the wire. Null means "not there" or "cannot be known". Key, timeouts and
counters of a flow table are in its schema metadata (`sniffkit.*`). What `trace`, `diff` and `stats` give:
[derived.md](derived.md).
"""

# What else is to be said of a table.
NOTES = {
    "hosts": "What a scan adds that is merged in (`--scan`) has `nmap` in `source`, `hostname_source`, `mac_source`,\n"
    "`os_source` and `ports_source`.\n\n",
}

# Arrow's type as the core says it -> as people write it
TYPES = {"Boolean": "bool", "Utf8": "text", "Float64": "float64", 'Timestamp(ns, "UTC")': "timestamp[ns, UTC]"}


def type_name(arrow: str) -> str:
    """A column's type for people: `uint16`, `text`, `list of text`."""
    if arrow.startswith("Dictionary"):
        return "text (dictionary)"
    if arrow.startswith("List"):
        return "list of " + ("text" if "Utf8" in arrow else arrow[5:].strip("()").split(",")[0].lower())
    return TYPES.get(arrow, arrow.lower())


def page() -> str:
    """The whole page."""
    from sniffkit import _core
    from sniffkit.api import TABLES

    parts = [HEAD]
    for table in TABLES:
        rows = [
            f"| `{name}` | {type_name(kind)} | {doc.replace('|', '&#124;')} |"
            for name, kind, doc in _core.table_columns(table)
        ]
        note = NOTES.get(table, "")
        parts.append("\n".join([f"## {table}\n", f"{note}| column | type | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{len(page().splitlines())} lines in {PAGE}")
