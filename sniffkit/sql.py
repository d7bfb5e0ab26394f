"""SQL over the tables of captures, by DuckDB: only the tables and columns that a query names are decoded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sniffkit.errors import CaptureFileError, SniffkitError
from sniffkit.pushdown import Test, tests_of
from sniffkit.tables import Result, Telling

if TYPE_CHECKING:
    from sniffkit._core import TableStream
    from sniffkit.api import Capture

# How DuckDB names the Arrow types of our columns. Times are UTC without a zone: DuckDB's functions on nanoseconds know
# only those, and no digit is lost.
TYPES = {
    "Boolean": "BOOLEAN",
    "UInt8": "UTINYINT",
    "UInt16": "USMALLINT",
    "UInt32": "UINTEGER",
    "UInt64": "UBIGINT",
    "Int64": "BIGINT",
    "Float64": "DOUBLE",
    "Utf8": "VARCHAR",
}


# Tables whose rows the core judges before it makes them.
JUDGED = ("packets", "flows")


def duckdb_type(arrow: str) -> str:
    """The DuckDB type of a column, from its Arrow type as the core has it: `List(UInt16)`, `Timestamp(ns, "UTC")`."""
    if arrow in TYPES:
        return TYPES[arrow]
    if arrow.startswith("Dictionary"):
        return "VARCHAR"
    if arrow.startswith("Timestamp"):
        return "TIMESTAMP_NS"
    if arrow.startswith("List"):
        inner = re.search(r"U?Int\d+|Utf8|Float64", arrow)
        return f"{TYPES[inner.group()] if inner else 'VARCHAR'}[]"
    raise AssertionError(f"a column of type {arrow}")


@dataclass
class Needs:
    """What a query reads of one table: columns, how many times it scans it, and what rows must be to count."""

    columns: list[str] = field(default_factory=list)
    scans: int = 0
    tests: list[Test] = field(default_factory=list)


class Database:
    """The tables of a capture (and of Parquet files) as a database that can be asked, and nothing else.

    Tables of the capture are decoded anew for each query, with the columns that it names. A Parquet file that sniffkit
    wrote adds its rows to the table it holds; any other is a table named after its file.
    """

    def __init__(self, capture: Capture | None, parquet: Sequence[str] = ()) -> None:
        from sniffkit import _core
        from sniffkit.api import TABLES

        self._capture = capture
        self._parquet: dict[str, list[str]] = {}
        self.tables: dict[str, dict[str, str]] = {}
        self._decoded = () if capture is None else TABLES
        for name in self._decoded:
            self.tables[name] = {column: duckdb_type(kind) for column, kind, _ in _core.table_columns(name)}
        for path in parquet:
            self._add_parquet(path)

    def _add_parquet(self, path: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise CaptureFileError(f"{path}: {getattr(error, 'strerror', None) or 'not a Parquet file'}") from None
        held = (schema.metadata or {}).get(b"sniffkit.table", b"").decode()
        name = held or re.sub(r"\W", "_", os.path.basename(path).split(".")[0])
        if not held and name in self._decoded:
            raise CaptureFileError(f"{path}: named like the table {name} of captures, which it is none of: rename it")
        self._parquet.setdefault(name, []).append(path)
        if name not in self.tables:
            self.tables[name] = {}
        for column in schema:
            self.tables[name].setdefault(column.name, arrow_to_duckdb(column.type))

    def query(self, text: str) -> Result:
        """The answer to one SELECT. Raises SniffkitError with the position for one that is wrong."""
        with self.answer(text) as answer:
            return Result("sql", answer.to_arrow_table())

    @contextmanager
    def answer(self, text: str) -> Iterator[Any]:
        """The same as a `duckdb.DuckDBPyRelation`, to be taken once and within: without pyarrow, whose import takes a
        third of the time of a short query.
        """
        connection, needs = self._plan(text)
        telling = Telling()
        relations = {name: self._relation(name, need, telling) for name, need in needs.items()}
        import duckdb

        with connection:
            for name, relation in relations.items():
                connection.execute(f"DROP TABLE {quoted(name)}").fetchall()
                connection.register(f"{name}__source", relation)
                body = ", ".join(self._in_view(name, column, needs[name]) for column in self.tables[name])
                source = quoted(f"{name}__source")
                connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT {body} FROM {source}").fetchall()
            connection.execute("SET enable_external_access=false; SET lock_configuration=true").fetchall()
            try:
                # Run here, where its errors are DuckDB's, and not by whoever reads the rows.
                answer = connection.sql(text).materialize()
            except duckdb.Error as error:
                raise self._explained(text, error) from None
            yield answer

    def needs(self, text: str) -> dict[str, Needs]:
        """What a query would read. Raises SniffkitError as `query` does."""
        connection, needs = self._plan(text)
        connection.close()
        return needs

    def _plan(self, text: str) -> tuple[Any, dict[str, Needs]]:
        """A connection with every table empty, and what the query would read: DuckDB's own plan tells."""
        import duckdb

        connection = duckdb.connect()
        connection.execute("SET TimeZone='UTC'; SET enable_external_access=false").fetchall()
        # Empty tables would be planned away.
        connection.execute("SET disabled_optimizers='statistics_propagation,empty_result_pullup'").fetchall()
        script = []
        for name, columns in self.tables.items():
            body = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
            script.append(f"CREATE TABLE {quoted(name)} ({body});")
        connection.execute("".join(script)).fetchall()
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error as error:
            connection.close()
            raise self._explained(text, error) from None
        try:
            if len(statements) != 1:
                raise SniffkitError(f"one query, not {len(statements) or 'nothing'}")
            if statements[0].type != duckdb.StatementType.SELECT:
                raise SniffkitError("only a query: SELECT …, WITH …, FROM …, DESCRIBE, SUMMARIZE")
        except SniffkitError:
            connection.close()
            raise
        explain = f"EXPLAIN (FORMAT JSON)\n{text}"
        try:
            rows = connection.execute(explain).fetchall()
        except duckdb.Error as error:
            connection.close()
            raise self._explained(explain, error, lines_before=1) from None
        needs: dict[str, Needs] = {}
        for node in nodes(json.loads(rows[0][1])):
            info = node.get("extra_info", {})
            table = str(info.get("Table", "")).rpartition(".")[2]
            if node["name"].strip() != "SEQ_SCAN" or table not in self.tables:
                continue
            need = needs.setdefault(table, Needs())
            need.scans += 1
            # Each scan has conditions of its own; rows for several are made once for all.
            judged = table in JUDGED and need.scans == 1
            need.tests = tests_of(info.get("Filters"), self.tables[table]) if judged else []
            named = [text for part in ("Projections", "Filters") for text in listed(info.get(part))]
            words = {*named, *re.findall(r"\w+", " ".join(named))}
            spoken = " ".join(named)  # a name that is no word may stand anywhere in a condition
            need.columns = [
                column
                for column in self.tables[table]
                if column in words or column in need.columns or (not column.isidentifier() and column in spoken)
            ]
        connection.execute("RESET disabled_optimizers").fetchall()
        return connection, needs

    def _in_view(self, table: str, column: str, need: Needs) -> str:
        """A column of the view over what was decoded. One that the answer does not depend on is there, but null."""
        kind = self.tables[table][column]
        if column not in need.columns:
            return f"NULL::{kind} AS {quoted(column)}"
        return f"{quoted(column)}::{kind} AS {quoted(column)}" if kind == "TIMESTAMP_NS" else quoted(column)

    def _relation(self, name: str, need: Needs, telling: Telling) -> Any:
        """The rows of a table, as DuckDB reads them."""
        # count(*) names no column; the cheapest one still has the rows.
        columns = need.columns or list(self.tables[name])[:1]
        need.columns = columns
        if name not in self._parquet:
            assert self._capture is not None
            table = self._capture.named(name, columns, keep=need.tests)
            table.on_end = telling
            return table.to_arrow() if need.scans > 1 else Relation(table.stream(), telling)
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [pq.read_table(path, columns=columns, partitioning=None) for path in self._parquet[name]]
        if name in self._decoded:
            assert self._capture is not None
            table = self._capture.named(name, columns)
            table.on_end = telling
            parts.append(table.to_arrow())
        try:
            return pa.concat_tables(parts, promote_options="permissive").select(columns)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SniffkitError(f"{', '.join(self._parquet[name])}: not one table: {error}") from None

    def _explained(self, text: str, error: Exception, lines_before: int = 0) -> SniffkitError:
        """DuckDB's error as one line: what is wrong, where, and what there is instead."""
        return SniffkitError(one_line(text, str(error), self.tables, lines_before))


def for_rows(
    capture: Capture, name: str, columns: Sequence[str] | None, where: str | None, sort: str | None
) -> tuple[list[str] | None, list[Test]]:
    """What `--where` and `--sort` need of a table: its columns (those shown among them), and what rows must be.

    All columns and nothing for expressions that are wrong: who evaluates them says so.
    """
    shown = "*" if columns is None else ", ".join(f'"{column}"' for column in columns)
    text = f"SELECT {shown} FROM {name}" + (f" WHERE ({where}\n)" if where is not None else "")
    text += f" ORDER BY {sort}" if sort is not None else ""
    try:
        need = Database(capture).needs(text).get(name)
    except SniffkitError:
        return None, []
    if need is None:
        return None, []
    return (None if columns is None else need.columns), need.tests


def one_line(text: str, message: str, tables: dict[str, dict[str, str]], lines_before: int = 0) -> str:
    """DuckDB's message with its position in the query as `column N`, and the names that exist."""
    lines = [line.rstrip() for line in message.splitlines()]
    what = lines[0].partition(": ")[2] or lines[0]
    place = ""
    for number, line in enumerate(lines[:-1]):
        shown = re.match(r"LINE (\d+): ", line)
        caret = lines[number + 1].find("^")
        if shown and caret >= 0:
            excerpt = line[shown.end() :].strip(".")
            query_line = text.splitlines()[int(shown.group(1)) - 1]
            start = max(query_line.find(excerpt[:20]), 0)
            dots = 3 if line[shown.end() :].startswith("...") else 0
            column = start + caret - shown.end() - dots + 1
            place = f" (line {int(shown.group(1)) - lines_before}, column {column})"
    unknown = re.search(r"[Tt]able with name (\w+) does not exist", message)
    if unknown:
        return f"no table {unknown.group(1)!r}{place}; there are: {' '.join(tables)}"
    column_name = re.search(r'[Cc]olumn "(\w+)" not found|column named "(\w+)"', message)
    if column_name:
        name = column_name.group(1) or column_name.group(2)
        used = [table for table in tables if re.search(rf"\b{table}\b", text)]
        known = "; ".join(f"{table} has: {' '.join(tables[table])}" for table in used or tables)
        return f"no column {name!r}{place}; {known}"
    return f"{what}{place}"


def listed(part: Any) -> list[str]:
    """What a plan says of a scan: nothing, one text or several."""
    return [part] if isinstance(part, str) else [str(one) for one in part or []]


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every operator of a plan."""
    todo = list(plan)
    while todo:
        node = todo.pop()
        yield node
        todo.extend(node.get("children", []))


def arrow_to_duckdb(kind: Any) -> str:
    """The DuckDB type of a Parquet column."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "VARCHAR"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP_NS"
    if pa.types.is_list(kind):
        return f"{arrow_to_duckdb(kind.value_type)}[]"
    numbers = {
        "bool": "BOOLEAN",
        "uint8": "UTINYINT",
        "uint16": "USMALLINT",
        "uint32": "UINTEGER",
        "uint64": "UBIGINT",
        "int8": "TINYINT",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float": "FLOAT",
        "double": "DOUBLE",
        "date32[day]": "DATE",
    }
    return numbers.get(str(kind), "VARCHAR")


class Relation:
    """A table that DuckDB reads once, batch by batch; a `Table` would be opened anew for every look at its schema."""

    def __init__(self, stream: TableStream, telling: Telling) -> None:
        self._stream = stream
        self._stream.on_end = telling

    def __arrow_c_schema__(self) -> Any:
        return self._stream.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._stream.__arrow_c_stream__(requested_schema)
