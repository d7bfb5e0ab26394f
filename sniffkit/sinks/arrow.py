"""Arrow IPC file format (Feather v2)."""

from typing import IO, Any


def write(table: Any, out: IO[bytes]) -> None:
    """Write `table` (pyarrow.Table) as an Arrow IPC file."""
    import pyarrow as pa

    table = table.unify_dictionaries()  # the file format allows one dictionary a column
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
