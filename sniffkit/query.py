"""SQL conditions over tables, by DuckDB, shut off from files and network."""

from __future__ import annotations

from typing import Any

from sniffkit.errors import SniffkitError


def select(
    data: Any, columns: list[str] | None, where: str | None = None, sort: str | None = None, limit: int | None = None
) -> Any:
    """Rows of `data` (pyarrow.Table) as another pyarrow.Table: SQL's SELECT columns WHERE … ORDER BY … LIMIT.

    Raises SniffkitError with DuckDB's words and the position for an expression that is wrong.
    """
    import duckdb
    import pyarrow as pa

    for name in columns or []:
        if name not in data.column_names:
            raise SniffkitError(f"no column {name!r}; there are: {' '.join(data.column_names)}")
    # DuckDB only says which rows: its timestamps with a zone end at microseconds, ours are nanoseconds.
    row = "sniffkit_row"
    numbered = data.append_column(row, pa.array(range(data.num_rows), pa.int64()))
    text = f"SELECT {row} FROM data"
    text += f" WHERE ({where}\n)" if where is not None else ""
    text += f" ORDER BY {sort}" if sort is not None else f" ORDER BY {row}"
    text += f" LIMIT {limit}" if limit is not None else ""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.register("data", numbered)
        connection.execute("SET enable_external_access=false; SET lock_configuration=true")
        try:
            statements = connection.extract_statements(text)
            if len(statements) != 1:
                raise SniffkitError("one expression, not several statements")
            rows = connection.execute(statements[0]).fetchnumpy()[row]
        except duckdb.Error as error:
            lines = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
            raise SniffkitError(f"{where or sort}: {lines.replace(text, where or sort or '')}") from None
    picked = data.take(pa.array(rows, pa.int64()))
    return picked.select(columns) if columns else picked
