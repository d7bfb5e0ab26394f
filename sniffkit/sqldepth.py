"""How deep SQL nests, before DuckDB's parser sees it: of thousands of brackets it takes seconds and gigabytes."""

from __future__ import annotations

from sniffkit.errors import SniffkitError

MOST = 200  # brackets, braces and parentheses that stand in one another


def refuse_nesting(text: str, what: str) -> None:
    """Raises SniffkitError for a query or expression with more than MOST brackets open; what: how it is named there.

    Those in texts, names and comments do not count: DuckDB itself says which those are. Imports duckdb.
    """
    import duckdb

    from sniffkit.points import utf8

    utf8(text)
    if sum(map(text.count, "([{")) <= MOST:
        return
    code, depth = text.encode(), 0
    for at, kind in duckdb.tokenize(text):
        if kind != duckdb.token_type.operator:
            continue
        sign = code[at : at + 1]
        depth += (sign in (b"(", b"[", b"{")) - (sign in (b")", b"]", b"}"))
        if depth > MOST:
            place = len(code[:at].decode()) + 1
            raise SniffkitError(f"{what}: nested deeper than {MOST} brackets at character {place}")
