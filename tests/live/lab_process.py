"""Run a lab's checks and print what came of it as JSON, for a test on another kernel: `python lab_process.py FILE…`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sniffkit.lab.ops import Op
    from sniffkit.lab.running import Lab
    from sniffkit.lab.state import Journal

# kind → kernel → the examples that used it there
RAN: dict[str, dict[str, list[str]]] = {}

# In the guest nothing can be written beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))


# What from-host cannot know: programs, files that only they see, keys.
UNKNOWN = ("service", "file")
LEFT_OUT = ("the process", "keys cannot be read back", "for a time", "the spanning tree's root")
KEYS = ["ip", "macsec"]
STATIC = ["route", "show", "table", "all", "proto", "static"]


def check(path: str) -> dict[str, object]:
    """The outcome of one lab: its failures, empty when all expectations were met.

    And of the lab that from-host made of it: what differs between the two. And what its dry run does not make.
    """
    from sniffkit.errors import SniffkitError
    from sniffkit.lab import lab, state
    from sniffkit.lab.check import check_file

    again: list[str] = []
    typed: list[str] = []
    try:
        with lab(path) as made:
            failed = [f"taken for changed though it was just made: {op.line}" for op in made.drift()]
            build, words = rebuild(made), told(made)
            shown = (state.stored(made.name) or {})["shown"]
            failed += repaired(made)
            failed += [
                f"{one.expectation}: {one.found}\n  " + "\n  ".join(one.seen) for one in check_file(path) if not one.ok
            ]
        again = build()
        typed = type_in(made, shown, words)
    except SniffkitError as error:
        failed = [str(error)]
    except Exception:
        failed = [traceback.format_exc()]
    failed += [f"{name} stayed behind" for name in os.listdir("/run/netns")]
    return {"file": path, "kernel": f"Linux {os.uname().release}", "failed": failed, "again": again, "typed": typed}


def repaired(lab: Lab) -> list[str]:
    """Takes a port of each bridge out and, of the last one, the bridge away: what `up` does not put right."""
    ports = {op.args["master"]: op for op in lab.plan() if op.do == "port"}
    out = []
    for op in ports.values():
        subprocess.run(["ip", "-n", op.node, "link", "set", "dev", op.args["dev"], "nomaster"], check=True)
        lab.up()
        out += [f"not put right once its port had left its bridge: {one.line}" for one in lab.drift()]
    for op in list(ports.values())[-1:]:
        subprocess.run(["ip", "-n", op.node, "link", "del", "dev", op.args["master"]], check=True)
        lab.up()
        out += [f"not put right once the bridge was gone: {one.line}" for one in lab.drift()]
    return out


def lacks(journal: Journal, plan: list[Op], shown: dict[str, str]) -> list[str]:
    """What of a plan is not there, but for what from-host cannot know."""
    from sniffkit.lab.drift import gone
    from sniffkit.lab.engine import Engine, run

    def look(stop: threading.Event) -> set[str]:
        with Engine(journal, stop) as engine:
            return gone(engine, plan, shown)

    lost = run(look)
    return [op.line for op in plan if op.id in lost and op.do not in UNKNOWN and op.args.get("argv", [])[:2] != KEYS]


def told(lab: Lab) -> set[str]:
    """What ip(8) says of a lab's addresses and routes: broadcast addresses and protocols too."""
    given = {(op.node, op.args["dev"], op.args["address"]) for op in lab.plan() if op.do == "address"}
    out = set()
    for node in lab:
        for words in (["-4", "address"], ["-4", *STATIC], ["-6", *STATIC]):
            command = ["ip", "-o", "-n", node, *words]
            for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
                line = re.sub(r"\b(linkdown|dead)\b|^\d+: ", "", line)
                if words[1:] == STATIC or (node, line.split()[0], line.split()[2]) in given:
                    out.add(f"{node}: {' '.join(line.split())}")
    return out


def type_in(lab: Lab, shown: dict[str, str], words: set[str]) -> list[str]:
    """Gives the lines of a dry run to a shell: what that says, and what is not there then. shown, words: as with the
    lab."""
    from sniffkit.lab import state
    from sniffkit.lab.engine import tear_down

    plan = [op for op in lab.plan() if op.do not in UNKNOWN]
    lines = "\n".join(op.line for op in plan)
    journal = state.create(lab.name)
    journal.add(**{"is": "lab", "file": None, "token": "typed"})
    try:
        done = subprocess.run(["sh"], input=lines, capture_output=True, text=True, check=False)
        for node in lab:
            inode = os.stat(f"/run/netns/{node}").st_ino
            journal.add(**{"is": "netns", "node": node, "inode": inode})
        return [*done.stderr.splitlines(), *lacks(journal, plan, shown), *sorted(words - told(lab))]
    finally:
        tear_down(journal)


def rebuild(first: Lab) -> Callable[[], list[str]]:
    """Writes what from-host finds of a lab that is up. Call what it returns once that is down: it builds a lab of the
    file, and says what of either is not in the other."""
    from sniffkit.lab import state
    from sniffkit.lab.drift import shown_now
    from sniffkit.lab.host import from_host
    from sniffkit.lab.running import Lab
    from sniffkit.lab.spec import build
    from sniffkit.lab.yamlfile import parse

    def compared(there: Lab, plan: list[Op], shown: dict[str, str]) -> list[str]:
        journal = state.Journal(there.directory)
        try:
            return lacks(journal, plan, shown)
        finally:
            journal.close()

    text = from_host(list(first))
    second = Lab(build(*parse(text, "found.yaml"), None))
    shown = shown_now(second.plan())
    out = [f"made up: {line}" for line in compared(first, second.plan(), shown)]
    left = [line for line in text.splitlines() if line.startswith("#   ")]
    out += [f"left out: {line[4:]}" for line in left if not any(word in line for word in LEFT_OUT)]
    recorded = state.stored(first.name)
    assert recorded is not None

    def compare() -> list[str]:
        with second:
            made = state.stored(second.name)
            assert made is not None
            missing = compared(second, first.plan(), recorded["shown"])
            missing += [f"shows something else: {key}" for key, said in shown.items() if made["shown"].get(key) != said]
        return [
            *out,
            *(f"missing: {line}" for line in missing),
            *([text] if out or missing or os.environ.get("SHOW") else []),
        ]

    return compare


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(check(name)), flush=True)
