"""SQL conditions over tables, by DuckDB, shut off from files and network."""

from __future__ import annotations

import json
import re
from typing import Any

from sniffkit.errors import SniffkitError
from sniffkit.interruptible import connected, interruptible
from sniffkit.sql import SHUT_OFF
from sniffkit.sqldepth import refuse_nesting
from sniffkit.sqltypes import explained, quoted, refuse_zones
from sniffkit.tables import unknown_column

ROW = "sniffkit_row"  # the column that numbers the rows


def select(
    data: Any, columns: list[str] | None, where: str | None = None, sort: str | None = None, limit: int | None = None
) -> Any:
    """Rows of `data` (pyarrow.Table) as another pyarrow.Table: SQL's SELECT columns WHERE … ORDER BY … LIMIT.

    Raises SniffkitError with DuckDB's words and the position for an expression that is wrong.
    """
    import pyarrow as pa

    for name in columns or []:
        if name not in data.column_names:
            raise unknown_column("--columns", name, data.column_names)
    picked = data.take(pa.array(matching(data, where, sort, limit, columns), pa.int64()))
    return picked.select(columns) if columns else picked


def matching(
    data: Any,
    where: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
    columns: list[str] | None = None,
    patience: float | None = None,
) -> Any:
    """The numbers of the rows that `select` takes, in its order: numpy.ndarray of shape (rows,), int64.

    DuckDB only says which rows; those taken keep their types and metadata. columns: what a number in `sort` counts.
    patience: s after which it is given up, with a SniffkitError.
    """
    import numpy as np
    import pyarrow as pa

    for option, text in (("--where", where), ("--sort", sort)):
        if text is not None and not text.strip():
            raise SniffkitError(f"{option} is empty")
        if text is not None and re.search(rf"\b{ROW}\b", text):
            raise unknown_column(option, ROW, data.column_names)
    numbered = data.append_column(ROW, pa.array(np.arange(data.num_rows)))
    kinds = [(one.name, "TIMESTAMP_NS" if pa.types.is_timestamp(one.type) else "") for one in data.schema]
    for at, kind in enumerate(numbered.schema.types):
        if pa.types.is_timestamp(kind):
            # UTC without a zone, as in `sql`: DuckDB's functions on nanoseconds know only those.
            numbered = numbered.set_column(at, numbered.column_names[at], numbered.column(at).cast(pa.timestamp("ns")))
    shown = ", ".join(map(quoted, columns or data.column_names))
    text = f"SELECT {ROW} FROM (SELECT {shown}, {ROW} FROM data"
    # part of the statement that the user wrote -> where it begins
    parts: dict[str, tuple[int, str]] = {}
    if where is not None:
        parts["--where"] = (len(text) + len(" WHERE ("), where)
        text += f" WHERE ({where}\n)"
    if sort is not None:
        parts["--sort"] = (len(text) + len(" ORDER BY "), sort)
    # Rows that are alike there stay in the order of the capture.
    text += f" ORDER BY {ROW}" if sort is None else f" ORDER BY {sort}\n, {ROW}"
    text += f"\nLIMIT {limit})" if limit is not None else ")"
    connection = connected()

    def numbers() -> Any:
        import duckdb

        with connection:
            connection.execute("SET errors_as_json=true")
            connection.register("data", numbered)
            connection.execute(f"{SHUT_OFF}; SET lock_configuration=true")
            try:
                for option, (_, given) in parts.items():
                    alone(connection, option, given)
                statements = connection.extract_statements(text)
                if len(statements) != 1:
                    raise SniffkitError(f"{' '.join(parts)}: one expression, not several statements")
                refuse_zones(connection, text, kinds)
                return connection.execute(statements[0]).fetchnumpy()[ROW]
            except duckdb.Error as error:
                raise SniffkitError(explain(str(error), parts)) from None

    try:
        return interruptible(numbers, connection.interrupt, patience)
    except TimeoutError:
        raise SniffkitError(f"{' '.join(parts)}: more than {patience:.0f} s: given up") from None


# What stands around an expression, to see whether it is one: text may mean something in one of these alone, as
# `true) UNION (SELECT 1` and `ts LIMIT 1` do.
ALONE = {
    "--where": (("SELECT count(*) FILTER (WHERE ", "\n)"), ("SELECT 1 WHERE ", "\n")),
    "--sort": (("SELECT list(1 ORDER BY ", "\n)"), ("SELECT 1 ORDER BY ", "\n")),
}


def alone(connection: Any, option: str, text: str) -> None:
    """Raises SniffkitError for text that is no expression by itself."""
    import duckdb

    refuse_nesting(text, option)
    for before, behind in ALONE[option]:
        try:
            connection.extract_statements(f"{before}{text}{behind}")
        except duckdb.Error as error:
            raise SniffkitError(explain(str(error), {option: (len(before), text)})) from None


def explain(error: str, parts: dict[str, tuple[int, str]]) -> str:
    """DuckDB's error about a statement as one line about the option that it is in, with the column there."""
    try:
        found = json.loads(error[error.index("{") :])
        message, position = str(found["exception_message"]), int(found.get("position", -1))
    except (ValueError, KeyError):
        message, position = error, -1
    message = " ".join(message.partition("\n\nLINE ")[0].split())
    message = re.sub(r"(unterminated .*) at or near .*", r"\1", message)
    message = message.replace(f'"{ROW}", ', "").replace(f', "{ROW}"', "")
    message = explained(message).replace("FROM clause! Candidate bindings:", "the table; perhaps:")
    table = re.match(r"(?:\w+ Error: )?Table with name (\w+) does not exist", message)
    if table:  # what DuckDB thinks was meant is a table of its own
        message = f"no table {table[1]!r} here: `sniffkit sql` is for queries over several tables"
    for option, (start, text) in parts.items():
        if start <= position <= start + len(text):
            column = position - start + 1
            return f"{option} {text!r}: at column {column}: {message}"
    before = [option for option, (start, _) in parts.items() if start < position]
    if before and message.startswith("syntax error"):
        # What stands there is a word of the statement around them.
        text = parts[before[-1]][1]
        return f"{before[-1]} {text!r}: at column {len(text) + 1}: syntax error: it ends too early"
    given = " ".join(f"{option} {text!r}" for option, (_, text) in parts.items())
    return f"{given}: {message}"
