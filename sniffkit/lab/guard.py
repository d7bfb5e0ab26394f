"""Takes a lab away when the process that was making it dies: `python -m sniffkit.lab.guard LAB`.

A lab that was up before and was being changed becomes what it was: `… LAB back`.
"""

from __future__ import annotations

import subprocess
import sys

# Waits for a line from the process that makes the lab. End of file without it means that process is gone.
SCRIPT = 'read -r word; [ "$word" = done ] || exec "$@"'


def watch(name: str, *how: str) -> subprocess.Popen[bytes]:
    """A shell that costs a millisecond, and becomes this module only when it is needed. `release` lets it go."""
    argv = ["/bin/sh", "-c", SCRIPT, "sh", sys.executable, "-m", "sniffkit.lab.guard", name, *how]
    null = subprocess.DEVNULL
    # A session of its own: a ^C of the terminal is not for it.
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=null, stderr=null, cwd="/", start_new_session=True)


def release(guard: subprocess.Popen[bytes], done: bool = True) -> None:
    """All is well: the lab stays, or is gone already. Where it is not `done`, the guard has its turn first."""
    if guard.stdin is not None and guard.poll() is None:
        if done:
            guard.stdin.write(b"done\n")
        guard.stdin.close()
    guard.wait()


def main(name: str, how: str = "") -> None:
    """Tear down a lab that was left half made, or take back a change that was left half done."""
    from sniffkit.lab.engine import tear_down
    from sniffkit.lab.running import take_back
    from sniffkit.lab.state import ROOT, Journal

    if (ROOT / name).is_dir():
        # The process that died may have had another guard, which wakes with this one.
        journal = Journal(ROOT / name, wait=True)
        if how != "back":
            tear_down(journal)
        else:
            take_back(journal)
            journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
