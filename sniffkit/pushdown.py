"""Conditions of a query that the core can judge before it makes a row.

They come from DuckDB's plan, as text at each scan of a table. What is not understood is left out: DuckDB judges every
row again, so that only time is lost.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

# What the core takes: column, kind of test, numbers, texts. See `open_table`.
Test = tuple[str, str, list[int], list[str]]

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?![\w.]))|(?P<name>\w+)|(?P<sign>::|[<>=!]+|[(),]))"
)
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?")
LEAST, MOST = -(2**65), 2**65  # beyond every column's values


class NotUnderstood(Exception):
    """A condition of a form that is left to DuckDB."""


def tests_of(filters: Any, types: dict[str, str]) -> list[Test]:
    """The tests that `Filters` of a scan in a plan imply; types: DuckDB's type of each column."""
    found: list[Test] = []
    for one in [filters] if isinstance(filters, str) else filters or []:
        try:
            found += Condition(one.removeprefix("optional: "), types).tests()
        except NotUnderstood:
            continue
    return found


class Condition:
    """One condition: comparisons of a column with literals, `IN`, `IS NOT NULL`, `contains`, joined by AND."""

    def __init__(self, text: str, types: dict[str, str]) -> None:
        self._types = types
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise NotUnderstood
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def tests(self) -> list[Test]:
        """Its tests; all of the text must be understood."""
        found = self._all()
        if self._tokens:
            raise NotUnderstood
        return found

    def _next(self, kind: str | None = None, word: str | None = None) -> str:
        if not self._tokens:
            raise NotUnderstood
        found, text = self._tokens.pop(0)
        if (kind is not None and found != kind) or (word is not None and text != word):
            raise NotUnderstood
        return text

    def _all(self) -> list[Test]:
        if self._tokens and self._tokens[0] == ("name", "contains"):
            return [self._contains()]
        self._next(word="(")
        if self._tokens and self._tokens[0][1] in ("(", "contains"):
            found = self._all()
            while (word := self._next()) == "AND":
                found += self._all()
            if word != ")":
                raise NotUnderstood
            return found
        test = self._comparison()
        self._next(word=")")
        return [test]

    def _column(self) -> str:
        name = self._next("name")
        if name not in self._types:
            raise NotUnderstood
        return name

    def _contains(self) -> Test:
        self._next()
        self._next(word="(")
        column = self._column()
        self._next(word=",")
        part = unquoted(self._next("text"))
        self._next(word=")")
        return self._of_text(column, "contains", [part])

    def _of_text(self, column: str, kind: str, texts: list[str]) -> Test:
        if self._types[column] != "VARCHAR":
            raise NotUnderstood
        return (column, kind, [], texts)

    def _comparison(self) -> Test:
        column, sign = self._column(), self._next()
        if sign == "IS":
            self._next(word="NOT")
            self._next(word="NULL")
            return (column, "present", [], [])
        if sign == "IN":
            self._next(word="(")
            values = [self._literal(column)]
            while (word := self._next()) == ",":
                values.append(self._literal(column))
            if word != ")":
                raise NotUnderstood
            return self._one_of(column, values)
        value = self._literal(column)
        if sign == "=":
            return self._one_of(column, [value])
        if not isinstance(value, int):
            raise NotUnderstood  # texts have an order too, but not one of addresses
        bounds = {"<": (LEAST, value - 1), "<=": (LEAST, value), ">": (value + 1, MOST), ">=": (value, MOST)}
        if sign not in bounds:
            raise NotUnderstood
        return (column, "between", list(bounds[sign]), [])

    def _one_of(self, column: str, values: list[int | str]) -> Test:
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            return self._of_text(column, "texts", texts)
        return (column, "numbers", [value for value in values if isinstance(value, int)], [])

    def _literal(self, column: str) -> int | str:
        kind = self._types[column]
        if "INT" in kind and not kind.endswith("[]"):
            return int(self._next("number"))
        text = unquoted(self._next("text"))
        if kind == "VARCHAR":
            return text
        if kind != "TIMESTAMP_NS":
            raise NotUnderstood
        self._next(word="::")
        self._next(word="TIMESTAMP_NS")
        return nanoseconds(text)


def unquoted(literal: str) -> str:
    """The text of an SQL literal."""
    return literal[1:-1].replace("''", "'")


def nanoseconds(text: str) -> int:
    """A time as DuckDB prints it, in ns since 1970."""
    found = TIME.fullmatch(text)
    if found is None:
        raise NotUnderstood
    seconds = datetime(*map(int, found.groups()[:6]), tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    return int(seconds) * 1_000_000_000 + int((found[7] or "").ljust(9, "0"))
