"""Several tables in one output, as JSON lines that say which they are of: `stats --json`, `diff --json`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sniffkit.sinks import Output

JSON_HELP = "One JSON object a line; `section` tells them apart without --only."


def takes_all(target: Output) -> bool:
    """Whether all sections go into one output. Raises SniffkitError for a format that holds one table alone."""
    if target.path is not None and target.suffix != ".jsonl":
        raise SniffkitError(f"{target.path} holds one table: --only SECTION says which; .jsonl takes all")
    return target.suffix == ".jsonl"


def put_all(sections: Iterable[tuple[str, Any]], target: Output) -> None:
    """Write sections, as (name, pyarrow.Table), one after the other as they are made."""
    import pyarrow as pa

    from sniffkit.sinks import core
    from sniffkit.sinks.file import NewFile

    with NewFile(str(target.path)) if target.is_file else contextlib.nullcontext(sys.stdout.buffer) as out:
        for name, table in sections:
            named = table.add_column(0, "section", pa.array([name] * table.num_rows, pa.string()))
            core.write(named, out, ".jsonl")
        out.flush()
