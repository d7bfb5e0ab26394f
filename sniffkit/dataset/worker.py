"""`python -m sniffkit.dataset.worker`: works on one share of a job; both come by standard input, as JSON.

It tells how far it is, and what became of it, a JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from sniffkit.dataset.work import run_share
from sniffkit.errors import SniffkitError

TELL_EVERY = 0.2  # seconds


def main() -> None:
    """Work until the share is done or its parent has gone."""
    try:
        job, share = json.load(sys.stdin)
    except ValueError:  # cut off: it has gone already
        sys.exit(1)
    parent = os.getppid()
    last = 0.0

    def progress(frames: int) -> None:
        nonlocal last
        if os.getppid() != parent:
            sys.exit(1)
        if time.monotonic() - last > TELL_EVERY:
            last = time.monotonic()
            tell(frames=frames)

    try:
        tell(line=run_share(job, share, progress))
    except SniffkitError as error:
        tell(error=str(error), exit_code=error.exit_code)
    except BrokenPipeError:
        sys.exit(1)


def tell(**what: Any) -> None:
    """A line for the parent."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
