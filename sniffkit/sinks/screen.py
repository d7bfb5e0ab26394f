"""A table for a person at a terminal."""

from __future__ import annotations

from typing import Any

# More rows scroll by unread; the whole table goes to a file or a pipe.
MAX_ROWS = 200


def write(table: Any) -> int:
    """Show `table` (pyarrow.Table), at most MAX_ROWS rows, columns without any value left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    kept = [name for name in table.column_names if table.column(name).null_count < table.num_rows or not table.num_rows]
    rows = table.select(kept).slice(0, MAX_ROWS)
    grid = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in kept:
        numeric = str(rows.schema.field(name).type).startswith(("uint", "int", "double"))
        grid.add_column(name, justify="right" if numeric else "left", no_wrap=True, overflow="fold")
    for row in zip(*(cells(rows.column(name), name) for name in kept), strict=True):
        grid.add_row(*row)
    console = Console()
    # Wider than the terminal is better than cut: nobody can read half an address.
    width = max(console.width, console.measure(grid).maximum)
    Console(width=width).print(grid)
    if table.num_rows > MAX_ROWS:
        console.print(f"… {table.num_rows - MAX_ROWS} more rows; -o FILE or a pipe gives all")
    return int(table.num_rows)


def cells(column: Any, name: str) -> list[str]:
    """The texts of a column: clock times, durations in seconds, lists joined."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        stamps = column.cast(pa.int64()).to_pylist()
        return [clock(value) for value in stamps]
    values = column.to_pylist()
    if name == "duration" or name.endswith("_rtt"):
        return ["" if value is None else f"{value / 1e9:.6f}" for value in values]
    if pa.types.is_list(kind):
        return [" ".join(map(str, value or [])) for value in values]
    return ["" if value is None else str(value) for value in values]


def clock(value: int | None) -> str:
    """Nanoseconds since 1970 as UTC clock time with microseconds."""
    from datetime import UTC, datetime

    if value is None:
        return ""
    seconds, rest = divmod(value, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S") + f".{rest // 1000:06d}"
