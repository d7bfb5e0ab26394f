"""A table for a person at a terminal."""

from __future__ import annotations

from typing import Any

# More rows scroll by unread; the whole table goes to a file or a pipe.
MAX_ROWS = 200
# Words in the names of columns whose numbers are quotients.
ROUNDED = {"mean", "std", "percent", "share", "loss"}


def write(table: Any, fit: bool = False, instead: str = "--columns, -o FILE") -> int:
    """Show `table` (pyarrow.Table), at most MAX_ROWS rows, columns without any value left out.

    fit: leave out the last columns that the terminal has no room for, and name them; else lines may be longer than it.
    instead: the options that show those.
    """
    from rich.console import Console

    kept = [name for name in table.column_names if table.column(name).null_count < table.num_rows or not table.num_rows]
    rows = table.select(kept).slice(0, MAX_ROWS)
    texts = {name: cells(rows.column(name), name) for name in kept}
    console = Console(markup=False)
    hidden: list[str] = []
    while (width := sum(widths(kept, texts)) + len(kept)) > console.width and fit and len(kept) > 1:
        hidden.insert(0, kept.pop())
    # Wider than the terminal is better than cut: nobody can read half an address.
    Console(width=max(console.width, width)).print(grid(rows, kept, texts))
    if hidden:
        console.print(f"no room for {', '.join(hidden)}: widen the terminal, or {instead}")
    if table.num_rows > MAX_ROWS:
        console.print(f"… {table.num_rows - MAX_ROWS} more rows; -o FILE or a pipe gives all")
    return int(table.num_rows)


def grid(rows: Any, names: list[str], texts: dict[str, list[str]]) -> Any:
    """The table as rich lays it out: one blank between columns, numbers to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    laid_out = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=0)
    for name, wide in zip(names, widths(names, texts), strict=True):
        numeric = str(rows.schema.field(name).type).startswith(("uint", "int", "double", "decimal"))
        head = Text(header(name, texts[name]))
        laid_out.add_column(
            head, justify="right" if numeric else "left", no_wrap=True, min_width=wide, vertical="bottom"
        )
    for row in zip(*(texts[name] for name in names), strict=True):
        laid_out.add_row(*map(Text, row))
    return laid_out


def header(name: str, texts: list[str]) -> str:
    """A column's name, in two lines where that makes a column of short values narrower."""
    from rich.cells import cell_len

    return "\n".join(name.split("_", 1)) if len(name) > max(map(cell_len, texts), default=0) else name


def widths(names: list[str], texts: dict[str, list[str]]) -> list[int]:
    """Cells of the terminal that each column needs: two for a character of many East Asian scripts."""
    from rich.cells import cell_len

    return [max(map(cell_len, [*header(name, texts[name]).split("\n"), *texts[name]])) for name in names]


def printable(text: str) -> str:
    """`text` with an escape, as in Python's repr, for each character that cannot be seen, but for ends of lines.

    What packets say is no command to a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def cells(column: Any, name: str) -> list[str]:
    """The texts of a column: clock times, durations in seconds, lists joined."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        a_unit = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[kind.unit]
        stamps = column.cast(pa.int64()).to_pylist()
        return [clock(None if value is None else value * a_unit) for value in stamps]
    values = column.to_pylist()
    if name in ("duration", "clock_offset", "elapsed") or {"rtt", "delay"} & set(name.split("_")):
        return ["" if value is None else f"{value / 1e9:.6f}" for value in values]
    if pa.types.is_floating(kind) and (name.endswith("_per_s") or ROUNDED & set(name.split("_"))):
        return ["" if value is None else rounded(value) for value in values]
    if pa.types.is_list(kind):
        return [printable(" ".join(map(str, value or []))) for value in values]
    return ["" if value is None else printable(str(value)) for value in values]


def rounded(value: float) -> str:
    """Six digits of a rate, a mean or a share, or all in front of its point."""
    return f"{value:.6g}" if not 1e5 <= abs(value) < 1e15 else f"{value:.0f}"


def clock(value: int | None) -> str:
    """Nanoseconds since 1970 as UTC clock time with microseconds."""
    if value is None:
        return ""
    seconds, rest = divmod(value, 1_000_000_000)
    hours, seconds = divmod(seconds % 86_400, 3_600)
    return f"{hours:02d}:{seconds // 60:02d}:{seconds % 60:02d}.{rest // 1000:06d}"
