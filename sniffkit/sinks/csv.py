"""Comma-separated values (RFC 4180): null is empty, times in ISO 8601, lists joined by spaces."""

from typing import IO, Any

from sniffkit.sinks.flat import flatten


def write(table: Any, out: IO[bytes]) -> None:
    """Write `table` (pyarrow.Table) as CSV with a header line."""
    import pyarrow.csv

    pyarrow.csv.write_csv(flatten(table), out, pyarrow.csv.WriteOptions(quoting_style="needed"))
