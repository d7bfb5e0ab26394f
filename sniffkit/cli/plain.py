"""The plain form of a table's command: `sniffkit TABLE FILE… [--columns A,B] [-o FILE] [--json]`.

Importing click and what it needs takes longer than making the table of a small capture. Whatever is not of this form,
wrong requests above all, is left to click (`sniffkit.cli.table`), which knows every option; both call `rows.run`.
"""

from __future__ import annotations

import os

from sniffkit.cli import COMMANDS

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from typing import Any

# option -> its name, of those that take a text
TEXTS = {"--columns": "columns", "-o": "out", "--out": "out"}
# what `rows.run` takes beside `json`
OPTIONS = ("columns", "where", "sort", "limit", "filter", "out")


def parse(arguments: list[str]) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
    """Table, files and options, as click would give them; None if the request is not of the plain form."""
    if (
        not arguments
        or COMMANDS.get(arguments[0], ("",))[0] != "sniffkit.cli.table"
        or "_SNIFFKIT_COMPLETE" in os.environ
    ):
        return None
    files: list[str] = []
    given: dict[str, Any] = {}
    words = iter(arguments[1:])
    for word in words:
        name, value = TEXTS.get(word), None
        if name is not None:
            value = next(words, None)
            if value is None or name in given or (value.startswith("-") and value != "-"):
                return None
            given[name] = value
        elif word == "--json":
            given["json"] = True
        elif word.startswith("-") and word != "-":
            return None
        else:
            files.append(word)
    options = dict.fromkeys(OPTIONS) | {"json": False} | given
    from sniffkit.cli.rows import is_directory

    return None if is_directory(options["out"]) else (arguments[0], tuple(files), options)
