"""Run a lab's checks and print what came of it as JSON, for a test on another kernel: `python lab_process.py FILE…`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

# kind → kernel → the examples that used it there
RAN: dict[str, dict[str, list[str]]] = {}

# In the guest nothing can be written beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))


def check(path: str) -> dict[str, object]:
    """The outcome of one lab: its failures, empty when all expectations were met."""
    from sniffkit.errors import SniffkitError
    from sniffkit.lab import lab
    from sniffkit.lab.check import check_file

    try:
        with lab(path) as made:
            failed = [f"taken for changed though it was just made: {op.line}" for op in made.drift()]
            failed += [
                f"{one.expectation}: {one.found}\n  " + "\n  ".join(one.seen) for one in check_file(path) if not one.ok
            ]
    except SniffkitError as error:
        failed = [str(error)]
    except Exception:
        failed = [traceback.format_exc()]
    failed += [f"{name} stayed behind" for name in os.listdir("/run/netns")]
    return {"file": path, "kernel": f"Linux {os.uname().release}", "failed": failed}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(check(name)), flush=True)
