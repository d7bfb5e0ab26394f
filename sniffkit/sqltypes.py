"""Types within SQL and in its answers. Times have no zone within, since DuckDB's functions on nanoseconds know only
those, and are UTC; answers say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from sniffkit.errors import SniffkitError

# Types of times without a zone, and those that say UTC with the same digits.
ZONED = {
    "TIMESTAMP_NS": "TIMESTAMPTZ_NS",
    "TIMESTAMP": "TIMESTAMPTZ",
    "TIMESTAMP_S": "TIMESTAMPTZ",
    "TIMESTAMP_MS": "TIMESTAMPTZ",
}
# Types that Arrow has none for, or that lose something there: bits, digits, the zone.
TEXTS = {"BIT": "VARCHAR", "BIGNUM": "VARCHAR", "TIME WITH TIME ZONE": "VARCHAR"}
# Integers of 128 bits, and what they are in answers where all values fit; Arrow's decimals of 128 bits have 38 digits.
WIDE = ("HUGEINT", "UHUGEINT")
NARROWER = ("BIGINT", "DECIMAL(38,0)")
# Types of times that have infinity, in Arrow a date in the far future. Of nanoseconds the last is a time of tables.
INFINITE = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE", "DATE"}
# A time with a zone behind it, as DuckDB reads one.
WITH_ZONE = re.compile(
    r"\s*\d+-\d+-\d+[ T]+\d+:\d+[\d:.]*\s*((?P<offset>[+-]\d\d?(:?\d\d){0,2})|(?P<name>[A-Za-z][\w/+-]*))\s*"
)
# Functions whose times are of the type of those that they take.
KEEPING = {"date_trunc", "min", "max", "+", "-"}
HINT = "times are UTC without a zone"


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def as_tables_are(answer: Any, times: bool) -> Any:
    """An answer (`duckdb.DuckDBPyRelation`) with the types that tables have: times in UTC (if `times`), integers of 128
    bits as int64 where all fit. What Arrow has no type for is text, as DuckDB writes it; infinite times are null.
    """
    before = [with_types(kind, {}) for kind in answer.types]
    leaves = TEXTS | (ZONED if times else {})
    after = [with_types(kind, leaves) for kind in answer.types]
    wide = [at for at, kind in enumerate(before) if "HUGEINT" in kind]
    for narrow in NARROWER if wide else ():
        tried = [with_types(answer.types[at], dict.fromkeys(WIDE, narrow)) for at in wide]
        asked = (
            f"bool_and(TRY_CAST(#{at + 1} AS {kind})::{before[at]} IS NOT DISTINCT FROM #{at + 1})"
            for at, kind in zip(wide, tried, strict=True)
        )
        (fit,) = answer.aggregate(", ".join(asked)).fetchall()
        for at in wide:
            after[at] = with_types(answer.types[at], leaves | dict.fromkeys(WIDE, narrow))
        wide = [at for at, fits in zip(wide, fit, strict=True) if fits is False]  # None: no rows
        if not wide:
            break
    for at in wide:
        after[at] = with_types(answer.types[at], leaves | dict.fromkeys(WIDE, "VARCHAR"))
    if before == after and not INFINITE & set(before):
        return answer
    taken = (
        (f"CASE WHEN isfinite(#{at}) THEN #{at} END" if was in INFINITE else f"#{at}")
        + (f"::{kind}" if kind != was else "")
        for at, (was, kind) in enumerate(zip(before, after, strict=True), 1)
    )
    return answer.project(", ".join(map(" AS ".join, zip(taken, map(quoted, answer.columns), strict=True))))


def with_types(kind: Any, leaves: dict[str, str]) -> str:
    """A DuckDB type (`duckdb.DuckDBPyType`), in which others stand for the types that are in `leaves`."""
    if kind.id == "list":
        return f"{with_types(kind.children[0][1], leaves)}[]"
    if kind.id == "array":
        return f"{with_types(kind.children[0][1], leaves)}[{kind.children[1][1]}]"
    if kind.id == "map":
        return f"MAP({', '.join(with_types(one, leaves) for _, one in kind.children)})"
    if kind.id == "struct":
        return f"STRUCT({_fields(kind.children, leaves)})"
    if kind.id == "tuple":  # row(…): its fields have these names in an answer
        named = [(f"element{at}", one) for at, (_, one) in enumerate(kind.children, 1)]
        return f"STRUCT({_fields(named, leaves)})"
    if kind.id == "union":  # the first is which of the others it is
        return f"UNION({_fields(kind.children[1:], leaves)})"
    return leaves.get(str(kind), str(kind))


def _fields(fields: Iterable[tuple[str, Any]], leaves: dict[str, str]) -> str:
    return ", ".join(f"{quoted(name)} {with_types(kind, leaves)}" for name, kind in fields)


def zone_made(text: str) -> bool:
    """Whether a query may make times of another zone, as wall clocks there have them: they say no zone either."""
    return bool(re.search(r"\b(timezone|at\s+time\s+zone)\b", text, re.IGNORECASE))


def refuse_zones(connection: Any, text: str, columns: Iterable[tuple[str, str]]) -> None:
    """Raises SniffkitError for a text that DuckDB takes for a time without a zone, passing over that it is one of
    another zone than UTC. columns: all that there are, with DuckDB's types. What cannot be told is let pass.
    """
    if not re.search(r"\d:\d[\d:.]*\s*[+\-A-Za-z]", text):
        return
    (tree,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    found = list(objects(json.loads(tree)))
    kinds: dict[str, set[str]] = {}
    for name, kind in columns:
        kinds.setdefault(name.lower(), set()).add(kind)
    # A name that the query gives may stand for anything.
    naming = [one.get(key) for one in found for key in ("alias", "aliases", "column_name_alias", "key", "value")]
    given = {str(name).lower() for names in naming for name in (names if isinstance(names, list) else [names])}
    times = {name for name, those in kinds.items() if those <= set(ZONED)} - given
    # A field may have the name of a column, and a zone.
    if any(re.search("STRUCT|TIME ZONE", kind) for those in kinds.values() for kind in those):
        times.clear()
    for one in found:
        for literal in taken_for_times(one, times):
            if in_zone(literal):
                raise SniffkitError(f"'{literal}': {HINT}: '{literal}'::timestamptz::timestamp")


def objects(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects in a parsed statement."""
    todo = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield one
        if isinstance(one, (dict, list)):
            todo.extend(one.values() if isinstance(one, dict) else one)


def in_zone(literal: str) -> bool:
    """Whether a text is a time in another zone than UTC."""
    found = WITH_ZONE.fullmatch(literal)
    if found is None:
        return False
    if found["offset"]:
        return bool(re.search("[1-9]", found["offset"]))
    from zoneinfo import available_timezones

    name = found["name"].lower()
    utc = r"(etc/)?(utc|uct|gmt[+-]?0?|universal|zulu|greenwich)"
    return not re.fullmatch(utc, name) and name in map(str.lower, available_timezones())


def taken_for_times(node: dict[str, Any], times: set[str]) -> list[str]:
    """The texts that an expression casts to times without a zone, or compares with such alone."""
    if node.get("class") == "CAST":
        sides = [node["child"]] if is_zoneless(node, times) else []
    elif node.get("class") == "COMPARISON":
        sides = [node["left"], node["right"]]
    elif node.get("class") == "BETWEEN":
        sides = [node["input"], node["lower"], node["upper"]]
    else:
        sides = node["children"] if node.get("type") in ("COMPARE_IN", "COMPARE_NOT_IN") else []
    literals = [str(one["literal"]["text"]) for one in sides if one.get("literal", {}).get("kind") == "STRING"]
    others = [one for one in sides if one.get("class") != "CONSTANT"]
    alike = node.get("class") == "CAST" or (others and all(is_zoneless(one, times) for one in others))
    return literals if alike else []


def is_zoneless(node: dict[str, Any], times: set[str]) -> bool:
    """Whether an expression surely is a time without a zone. times: the columns that are."""
    if node.get("class") == "CAST":
        return str(node["type_expr"].get("type_name")).upper() in ZONED
    if node.get("class") == "FUNCTION" and node["function_name"] in KEEPING:
        return any(is_zoneless(one["expression"], times) for one in node["arguments"])
    return node.get("class") == "COLUMN_REF" and str(node["column_names"][-1]).lower() in times


def explained(message: str) -> str:
    """DuckDB's message, with what it does not know: how times are here."""
    if "TIMESTAMP_NS" in message and "TIMESTAMP WITH TIME ZONE" in message:
        return f"{message}; {HINT}: …::timestamp"
    # Where to get what is never loaded here says nothing.
    return re.sub(r" is not in the catalog, but it exists in the \w+ extension\..*", " does not exist", message)
