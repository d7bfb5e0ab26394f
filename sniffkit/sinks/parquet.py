"""Parquet."""

from typing import IO, Any


def write(table: Any, out: IO[bytes]) -> None:
    """Write `table` (pyarrow.Table) as a Parquet file."""
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, out)
