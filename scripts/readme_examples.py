#!/usr/bin/env python3
"""Run the examples of PAGES and compare what they print with what they say; `--write` puts the new output there.

A ```console block holds commands behind "$ " and their output at a terminal of WIDTH columns, UTC, styles left out;
a ```pycon block holds a Python session. Both run in the project's directory with .venv/bin first on PATH.
"""

from __future__ import annotations

import difflib
import doctest
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from on_terminal import on_terminal

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in ("comparing.md", "frames.md", "leases.md"))]
WIDTH = 120
BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENVIRONMENT = {**os.environ, "TZ": "UTC", "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ.get('PATH', os.defpath)}"}


def console(text: str, _: dict[str, object]) -> str:
    """The block with the output that its commands have now; one that fails says so."""
    pieces = []
    for line in text.splitlines():
        if line.startswith("$ "):
            code, output = on_terminal(["sh", "-c", line[2:]], WIDTH, ROOT, ENVIRONMENT)
            pieces += [line, *output.strip("\n").splitlines(), *([f"(exit {code})"] if code else [])]
    return "\n".join(pieces) + "\n"


def pycon(text: str, values: dict[str, object]) -> str:
    """The session with the values that its expressions have now; names stay from one session of a page to the next."""
    got: dict[int, str] = {}

    class Runner(doctest.DocTestRunner):
        def report_success(self, out: object, test: object, example: doctest.Example, value: str) -> None:
            got[example.lineno] = value

        def report_failure(self, out: object, test: object, example: doctest.Example, value: str) -> None:
            got[example.lineno] = value

        def report_unexpected_exception(
            self, out: object, test: object, example: doctest.Example, info: object
        ) -> None:
            raise RuntimeError(f"{example.source.strip()}: {info[1]!r}")  # type: ignore[index]

    test = doctest.DocTestParser().get_doctest(text, values, "session", "session", 0)
    Runner(verbose=False).run(test, out=lambda _: None, clear_globs=False)
    values.update(test.globs)
    lines = text.splitlines()
    pieces = []
    for example in test.examples:
        last = example.lineno + example.source.count("\n")
        pieces += lines[example.lineno : last] + got[example.lineno].rstrip("\n").splitlines()
    return "\n".join(pieces) + "\n"


RUN: dict[str, Callable[[str, dict[str, object]], str]] = {"console": console, "pycon": pycon}


def rerun(text: str) -> str:
    """A page's text with the output of every example as it is now."""
    values: dict[str, object] = {}
    return BLOCK.sub(lambda block: f"```{block[1]}\n{RUN[block[1]](block[2], values)}```", text)


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    differ = False
    for page in PAGES:
        said = page.read_text()
        now = rerun(said)
        differ |= said != now
        if arguments == ["--write"]:
            page.write_text(now)
            continue
        for line in difflib.unified_diff(said.splitlines(), now.splitlines(), page.name, "printed now", "", "", 1):
            print(line)
    return 1 if differ and arguments != ["--write"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
