"""Types within SQL and in its answers. Times have no zone within, since DuckDB's functions on nanoseconds know only
those, and are UTC; answers say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sniffkit.errors import SniffkitError

# Types of times without a zone, and those that say UTC with the same digits.
ZONED = {
    "TIMESTAMP_NS": "TIMESTAMPTZ_NS",
    "TIMESTAMP": "TIMESTAMPTZ",
    "TIMESTAMP_S": "TIMESTAMPTZ",
    "TIMESTAMP_MS": "TIMESTAMPTZ",
}
# A time with a zone behind it, as DuckDB reads one.
WITH_ZONE = re.compile(r"\s*\d+-\d+-\d+[ T]+\d+:\d+[\d:.]*\s*(?P<zone>[+-]\d[\d:]*|[A-Za-z][\w/+-]*)\s*")
UTC = re.compile(r"Z|UTC|GMT|[+-]00(:?00)*", re.IGNORECASE)
# Functions that take a zone in a text for one.
ZONE_READERS = ("strptime", "try_strptime")
HINT = "times are UTC without a zone"


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def as_tables_are(answer: Any, times: bool) -> Any:
    """An answer (`duckdb.DuckDBPyRelation`) with the types that tables have: times in UTC (if `times`), and sums of
    integers as int64 where all fit.
    """
    found = list(enumerate(answer.types, 1))
    kinds = {
        at: said for at, kind in found if times and "TIMESTAMP" in str(kind) and (said := in_utc(kind)) != str(kind)
    }
    wide = [at for at, kind in found if str(kind) == "HUGEINT"]
    if wide:
        asked = ", ".join(f"count(#{at}) = count(TRY_CAST(#{at} AS BIGINT))" for at in wide)
        (fit,) = answer.aggregate(asked).fetchall()
        kinds.update((at, "BIGINT") for at, fits in zip(wide, fit, strict=True) if fits)
    if not kinds:
        return answer
    taken = (f"#{at}::{kinds[at]}" if at in kinds else f"#{at}" for at in range(1, len(found) + 1))
    return answer.project(", ".join(map(" AS ".join, zip(taken, map(quoted, answer.columns), strict=True))))


def in_utc(kind: Any) -> str:
    """The DuckDB type of an answer's column whose times say that they are UTC, from a `duckdb.DuckDBPyType`."""
    if kind.id == "list":
        return f"{in_utc(kind.children[0][1])}[]"
    if kind.id == "array":
        return f"{in_utc(kind.children[0][1])}[{kind.children[1][1]}]"
    if kind.id == "map":
        return f"MAP({', '.join(in_utc(one) for _, one in kind.children)})"
    if kind.id == "struct":
        return f"STRUCT({', '.join(f'{quoted(name)} {in_utc(one)}' for name, one in kind.children)})"
    return ZONED.get(str(kind), str(kind))


def refuse_zones(connection: Any, text: str) -> None:
    """Raises SniffkitError for a text that stands for a time in another zone than UTC: DuckDB would pass that over."""
    if not re.search(r"\d:\d[\d:.]*\s*[+\-A-Za-z]", text):
        return
    (tree,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    for literal in texts(json.loads(tree)):
        found = WITH_ZONE.fullmatch(literal)
        if found and not UTC.fullmatch(found["zone"]):
            raise SniffkitError(f"'{literal}': {HINT}: '{literal}'::timestamptz::timestamp")


def texts(tree: Any) -> Iterator[str]:
    """The texts in a parsed statement that may become times without a zone."""
    todo = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo.extend(one)
        elif isinstance(one, dict) and not knows_zones(one):
            if one.get("kind") == "STRING":
                yield str(one["text"])
            todo.extend(one.values())


def knows_zones(node: dict[str, Any]) -> bool:
    """Whether what is below makes no time without a zone of a text."""
    if node.get("class") == "CAST":
        return str(node["type_expr"].get("type_name")).upper() not in ZONED
    return node.get("class") == "FUNCTION" and node.get("function_name") in ZONE_READERS


def explained(message: str) -> str:
    """DuckDB's message, with what it does not know: how times are here."""
    if "TIMESTAMP_NS" in message and "TIMESTAMP WITH TIME ZONE" in message:
        return f"{message}; {HINT}: …::timestamp"
    # Where to get what is never loaded here says nothing.
    return re.sub(r" is not in the catalog, but it exists in the \w+ extension\..*", " does not exist", message)
