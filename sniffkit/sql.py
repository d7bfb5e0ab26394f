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
from sniffkit.interruptible import connected, interruptible
from sniffkit.parquetfiles import described, lacking_of, not_one_table, rows_of, schema_of
from sniffkit.pushdown import Test, tests_of
from sniffkit.sqldepth import refuse_nesting
from sniffkit.sqltypes import as_tables_are, explained, quoted, refuse_zones, zone_made
from sniffkit.tables import Result, Table, Telling, file_error, unknown_column

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.parquetfiles import ParquetFile

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
# The schema of the empty tables that queries are planned with; begins the names of what is read instead.
STAND_IN = "sniffkit_stand_in"
# Nothing but what was registered is read, nothing is installed, and no zone is assumed but UTC.
SHUT_OFF = (
    "SET TimeZone='UTC'; SET autoinstall_known_extensions=false; SET autoload_known_extensions=false; "
    "SET enable_external_access=false"
)


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
    wrote adds its rows to the table it holds; any other is a table named after its file. A column that some files of a
    table have not is null in their rows.
    """

    def __init__(self, capture: Capture | None, parquet: Sequence[str] = ()) -> None:
        from sniffkit import _core
        from sniffkit.api import TABLES

        self._capture = capture
        self.inputs = () if capture is None else capture.inputs  # captures, which an answer must not replace
        self._parquet: dict[str, list[ParquetFile]] = {}
        self.tables: dict[str, dict[str, str]] = {}
        self._decoded = () if capture is None else TABLES
        for name in self._decoded:
            self.tables[name] = {column: duckdb_type(kind) for column, kind, _ in _core.table_columns(name)}
        for path in parquet:
            self._add_parquet(path)
        # Of tables, what the data sets lack that they are read from.
        self._lacking = {name: lacking_of(files) for name, files in self._parquet.items()}
        for name, files in self._parquet.items():
            self.tables[name] = self.tables.get(name, {})
            for column, kind in described(files).items():
                self.tables[name].setdefault(column, kind)

    def _add_parquet(self, path: str) -> None:
        schema = schema_of(path)
        held = (schema.metadata or {}).get(b"sniffkit.table", b"").decode(errors="replace")
        named = held or re.sub(r"\W", "_", os.path.basename(path).lstrip(".").split(".")[0])
        # Names that differ in case alone are one to SQL.
        name = next((one for one in (*self.tables, *self._parquet) if one.lower() == named.lower()), named)
        if not held and name in self._decoded:
            raise CaptureFileError(f"{path}: named like the table {name} of captures, which it is none of: rename it")
        self._parquet.setdefault(name, []).append((path, schema))

    def query(self, text: str) -> Result:
        """The answer to one SELECT. Raises SniffkitError with the position for one that is wrong."""
        connection, answer = self._asked(text)
        with connection:
            return Result("sql", interruptible(answer.to_arrow_table, lambda: None), self.inputs)

    @contextmanager
    def answer(self, text: str) -> Iterator[Any]:
        """The same as a `duckdb.DuckDBPyRelation`, to be taken once and within: without pyarrow, whose import takes a
        third of the time of a short query.
        """
        connection, answer = self._asked(text)
        with connection:
            yield answer

    def _asked(self, text: str) -> tuple[Any, Any]:
        """A connection to be closed, and the answer in it. After ^C the connection is left to itself: closing one waits
        for its query.
        """
        connection = connected()
        needs = interruptible(lambda: self._plan(connection, text), connection.interrupt)
        telling = Telling()  # of a damage once, though several tables meet it
        relations = {name: self._relation(name, need, telling) for name, need in needs.items()}
        decoded = [relation for relation in relations.values() if isinstance(relation, Relation)]

        def stop() -> None:
            connection.interrupt()
            for relation in decoded:
                relation.stop()

        answer = interruptible(lambda: self._answered(connection, text, needs, relations), stop)
        for relation in decoded:
            telling(relation.damage)
        for line in (line for name in needs for line in self._lacking.get(name, ())):
            telling.say(line)
        return connection, answer

    def _answered(self, connection: Any, text: str, needs: dict[str, Needs], relations: dict[str, Any]) -> Any:
        """The rows of a query that was planned, all there."""
        import duckdb

        # A query that reads no table may ask what tables there are: the ones that it was planned with are none.
        for name in relations or self.tables:
            body = ", ".join(self._in_view(name, column, needs.get(name, Needs())) for column in self.tables[name])
            rows = "WHERE false"
            if name in relations:
                source = f"{STAND_IN}_{name}"
                connection.register(source, relations[name])
                rows = f"FROM {quoted(source)}"
            connection.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS SELECT {body} {rows}").fetchall()
        if not relations:
            connection.execute(f"DROP SCHEMA {STAND_IN} CASCADE").fetchall()
        connection.execute("SET enable_external_access=false; SET lock_configuration=true").fetchall()
        try:
            # Run here, where its errors are DuckDB's, and not by whoever reads the rows.
            answer = connection.sql(text).materialize()
            return as_tables_are(answer, times=not (zone_made(text) or self._reads_zoneless(needs)))
        except duckdb.Error as error:
            raise self._explained(text, error) from None

    def _reads_zoneless(self, needs: dict[str, Needs]) -> bool:
        """Whether a query reads times of Parquet files that say no zone: they may be of any."""
        return any(
            "timestamp[" in str(field.type) and "tz=" not in str(field.type)
            for name, need in needs.items()
            for _, schema in self._parquet.get(name, ())
            for field in schema
            if field.name in need.columns
        )

    def needs(self, text: str) -> dict[str, Needs]:
        """What a query would read. Raises SniffkitError as `query` does."""
        connection = connected()
        needs = interruptible(lambda: self._plan(connection, text), connection.interrupt)
        connection.close()
        return needs

    def _plan(self, connection: Any, text: str) -> dict[str, Needs]:
        """What the query would read: DuckDB's own plan tells, of tables that are empty. They stay in the connection."""
        import duckdb

        if not isinstance(text, str):
            raise SniffkitError(f"a query is a text, not {text!r}")
        refuse_nesting(text, "the query")
        connection.execute(SHUT_OFF).fetchall()
        # Empty tables would be planned away; and what is done of these with tables alone is not how they are read.
        unlike = "statistics_propagation,empty_result_pullup,late_materialization,common_subplan"
        connection.execute(f"SET disabled_optimizers='{unlike}'").fetchall()
        connection.execute("".join(self._script())).fetchall()
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error as error:
            raise self._explained(text, error) from None
        if len(statements) != 1:
            raise SniffkitError(f"one query, not {len(statements) or 'nothing'}")
        if statements[0].type != duckdb.StatementType.SELECT:
            raise SniffkitError("only a query: SELECT …, WITH …, FROM …, DESCRIBE, SUMMARIZE")
        refuse_zones(connection, text, (one for columns in self.tables.values() for one in columns.items()))
        explain = f"EXPLAIN (FORMAT JSON)\n{text}"
        try:
            rows = connection.execute(explain).fetchall()
        except duckdb.Error as error:
            raise self._explained(explain, error, lines_before=1) from None
        needs: dict[str, Needs] = {}
        for node in nodes(json.loads(rows[0][1])):
            if node["name"].strip() == "SEQ_SCAN":
                self._scan(node.get("extra_info", {}), needs)
        connection.execute("RESET disabled_optimizers").fetchall()
        return needs

    def _script(self) -> Iterator[str]:
        """Statements that make every table: a view of an empty one whose names need no quotation marks in a plan."""
        yield f"CREATE SCHEMA {STAND_IN};"
        for at, (name, columns) in enumerate(self.tables.items()):
            body = ", ".join(f"c{number} {kind}" for number, kind in enumerate(columns.values()))
            shown = ", ".join(f"c{number} AS {quoted(column)}" for number, column in enumerate(columns))
            yield f"CREATE TABLE {STAND_IN}.t{at} ({body});"
            yield f"CREATE VIEW {quoted(name)} AS SELECT {shown} FROM {STAND_IN}.t{at};"

    def _scan(self, info: dict[str, Any], needs: dict[str, Needs]) -> None:
        """Adds what a scan in a plan reads to the needs of its table."""
        found = re.fullmatch(rf"\w+\.{STAND_IN}\.t(\d+)", str(info.get("Table")))
        if found is None:
            raise SniffkitError(f"no table of a capture or file: {info.get('Table')}")
        table = list(self.tables)[int(found[1])]
        columns = list(self.tables[table])
        need = needs.setdefault(table, Needs())
        need.scans += 1
        # Each scan has conditions of its own; rows for several are made once for all.
        kinds = {f"c{number}": kind for number, kind in enumerate(self.tables[table].values())}
        tests = tests_of(info.get("Filters"), kinds) if table in JUDGED and need.scans == 1 else []
        need.tests = [(columns[int(column[1:])], *test) for column, *test in tests]  # type: ignore[misc]
        spoken = " ".join(text for part in ("Projections", "Filters") for text in listed(info.get(part)))
        words = set(re.findall(r"\w+", spoken))
        need.columns = [
            column for number, column in enumerate(columns) if f"c{number}" in words or column in need.columns
        ]

    def _in_view(self, table: str, column: str, need: Needs) -> str:
        """A column of the view over what was decoded. One that the answer does not depend on is there, but null."""
        kind = self.tables[table][column]
        if column not in need.columns:
            return f"NULL::{kind} AS {quoted(column)}"
        if table in self._parquet or kind == "TIMESTAMP_NS":
            return f"{quoted(column)}::{kind} AS {quoted(column)}"
        return quoted(column)

    def _relation(self, name: str, need: Needs, telling: Telling) -> Any:
        """The rows of a table, as DuckDB reads them."""
        # count(*) names no column; the cheapest one still has the rows.
        columns = need.columns or list(self.tables[name])[:1]
        need.columns = columns
        if name not in self._parquet:
            assert self._capture is not None
            table = self._capture.named(name, columns, keep=need.tests)
            table.on_end = telling
            return table.to_arrow() if need.scans > 1 else Relation(table)
        import pyarrow as pa

        from sniffkit import _core

        parts = [rows_of(path, [one for one in columns if one in schema.names]) for path, schema in self._parquet[name]]
        if name in self._decoded:
            assert self._capture is not None
            known = [column for column, _, _ in _core.table_columns(name)]
            table = self._capture.named(name, [one for one in columns if one in known] or known[:1])
            table.on_end = telling
            parts.append(table.to_arrow())
        try:
            return pa.concat_tables(parts, promote_options="permissive").select(columns)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise not_one_table(self._parquet[name], error) from None

    def _explained(self, text: str, error: Exception, lines_before: int = 0) -> SniffkitError:
        """DuckDB's error as one line: what is wrong, where, and what there is instead."""
        return SniffkitError(one_line(text, str(error), self.tables, lines_before))


def for_rows(
    capture: Capture, name: str, columns: Sequence[str] | None, where: str | None, sort: str | None
) -> tuple[list[str] | None, list[Test]]:
    """What `--where` and `--sort` need of a table: its columns (those shown among them), and what rows must be.

    All columns and nothing for expressions that are wrong: who evaluates them says so. Raises SniffkitError for columns
    to be shown that are not there.
    """
    database = Database(capture)
    known = database.tables[name]
    for column in columns or ():
        if column not in known:
            raise unknown_column(name, column, known)
    shown = "*" if columns is None else ", ".join(map(quoted, columns))
    text = f"SELECT {shown} FROM {name}" + (f" WHERE ({where}\n)" if where is not None else "")
    text += f" ORDER BY {sort}" if sort is not None else ""
    try:
        need = database.needs(text).get(name)
    except SniffkitError:
        return None, []
    if need is None:
        return None, []
    # A column that the answer does not depend on is named all the same, and must be there for that.
    named = set(re.findall(r"\w+", f"{where} {sort}".lower()))
    return (None if columns is None else [one for one in known if one in need.columns or one in named]), need.tests


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
    unknown = re.search(r"[Tt]able with name (.+?) does not exist", message)
    if unknown:
        return f"no table {unknown.group(1)!r}{place}; there are: {' '.join(tables)}"
    column_name = re.search(r'[Cc]olumn "([^"]+)" not found|column named "([^"]+)"', message)
    if column_name:
        name = column_name.group(1) or column_name.group(2)
        used = [table for table in tables if re.search(rf"\b{table}\b", text)]
        known = "; ".join(f"{table} has: {' '.join(tables[table])}" for table in used or tables)
        return f"no column {name!r}{place}; {known}"
    return f"{explained(what)}{place}"


def listed(part: Any) -> list[str]:
    """What a plan says of a scan: nothing, one text or several."""
    return [part] if isinstance(part, str) else [str(one) for one in part or []]


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every operator of a plan."""
    todo = list(plan)
    while todo:
        node = todo.pop()
        yield node
        todo.extend(node.get("children", []))


class Relation:
    """A table that DuckDB reads once, batch by batch; a `Table` would be opened anew for every look at its schema.

    Its first rows are made now: an input that cannot be read is an exception here. damage: warnings of the inputs.
    """

    def __init__(self, table: Table) -> None:
        self.damage: list[tuple[str, int | None, str]] = []
        self._stream = table.stream()
        self._stream.on_end = self.damage.extend
        try:
            self._stream.begin()
        except OSError as error:
            raise file_error(error) from None

    def stop(self) -> None:
        """Ends the table as its input would; from any thread."""
        self._stream.stop()

    def __arrow_c_schema__(self) -> Any:
        return self._stream.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._stream.__arrow_c_stream__(requested_schema)
