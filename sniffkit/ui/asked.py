"""`python -m sniffkit.ui.asked FILE…`: answers the query on its standard input as `sniffkit sql --json` does.

What looks like a file is a query all the same, and no name stands for other files than the page's. Before the rows
comes a line with the answer's `columns` and the `damage` of the files.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from sniffkit.api import Capture
from sniffkit.cli import say
from sniffkit.dataset.job import source
from sniffkit.errors import SniffkitError
from sniffkit.sinks import core
from sniffkit.sql import Database
from sniffkit.ui.damage import damage_caught


def end_without(parent: int) -> None:
    """End this process when the page's has ended, whatever the query does."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> int:
    """Answer the query of this process; its exit code, 1 where the last line on stderr says why there is no answer."""
    threading.Thread(target=end_without, args=(os.getppid(),), daemon=True).start()
    query = sys.stdin.buffer.read().decode(errors="replace")
    try:
        with (
            damage_caught() as damage,
            Database(Capture([source(name) for name in sys.argv[1:]])).answer(query) as rows,
        ):
            head = json.dumps({"columns": rows.columns, "damage": damage()})
            sys.stdout.buffer.write(head.encode() + b"\n")
            core.write(rows, sys.stdout.buffer, ".jsonl")
            sys.stdout.flush()
    except SniffkitError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
