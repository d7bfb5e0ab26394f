"""Tab-separated text: null is empty, times in ISO 8601, lists joined by spaces."""

from typing import IO, Any

from sniffkit.sinks.flat import flatten


def write(table: Any, out: IO[bytes]) -> None:
    """Write `table` (pyarrow.Table) as tab-separated text with a header line."""
    import pyarrow.csv

    header = "\t".join(table.column_names) + "\n"
    out.write(header.encode())
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="needed")
    pyarrow.csv.write_csv(flatten(table), out, options)
