"""Arrow IPC file format (Feather v2)."""

from typing import IO, Any

from sniffkit.sinks import batches


def write(data: Any, out: IO[bytes], suffix: str, limit: int | None = None) -> int:
    """Write `data`, anything with `__arrow_c_stream__`, as an Arrow IPC file; all rows are in memory meanwhile."""
    import pyarrow as pa

    # The file format allows one dictionary a column.
    table = batches(data, limit).read_all().unify_dictionaries()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return int(table.num_rows)
