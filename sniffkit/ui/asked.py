"""`python -m sniffkit.ui.asked QUERY FILE…`: answers as `sniffkit sql --json` does, but takes no word for another.

What looks like a file is a query all the same, and no name stands for other files than the page's.
"""

from __future__ import annotations

import sys

from sniffkit.api import Capture
from sniffkit.cli import say
from sniffkit.cli.sql import ask
from sniffkit.dataset.job import source
from sniffkit.errors import SniffkitError
from sniffkit.sinks import Output
from sniffkit.sql import Database


def main() -> None:
    """Answer the query of this process."""
    query, *names = sys.argv[1:]
    try:
        ask(Database(Capture([source(name) for name in names])), query, Output(None, True, False))
    except SniffkitError as error:
        say(f"sniffkit: {error}")


if __name__ == "__main__":
    main()
