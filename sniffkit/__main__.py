"""The process: `sniffkit`, `python -m sniffkit`."""

import gc
import os
import sys


def main() -> None:
    """Run the command line of this process; it does not return."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed (`>&-`): else the next file that is opened would be it
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (for as long as the process)
        elif mode == "w":
            # What the encoding of a terminal, or UTF-8, has no bytes for is told all the same.
            getattr(sys, name).reconfigure(errors="backslashreplace")
    # Imports make much and leave no garbage: looking for it meanwhile is a good part of a short command's time.
    gc.disable()
    from sniffkit.cli import main as run

    run()


if __name__ == "__main__":
    main()
