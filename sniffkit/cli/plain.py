"""Plain forms of commands: `sniffkit TABLE FILE… [--columns A,B] [-o FILE] [--json]` and
`sniffkit capture [--netns NS] -i IF… [-w FILE] [--flows FILE] [-c N] [FILTER]`.

Importing click and what it needs takes longer than making the table of a small capture. Whatever is not of these forms,
wrong requests above all, is left to click (`sniffkit.cli.table`, `sniffkit.cli.capture`), which knows every option.
"""

from __future__ import annotations

import os

from sniffkit.cli import COMMANDS
from sniffkit.cli.rules import RULES

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Run = Callable[[str, tuple[str, ...], dict[str, Any]], int]


class Form:
    """What a plain request may have beside words: options, and the names that click gives their values.

    runner: imports what does it; texts: options that take a text, once; lists: those that may be repeated; counts:
    those that take a number from 1; others: what click gives for the options that a plain request does not have.
    """

    def __init__(
        self,
        runner: Callable[[], Run],
        *,
        texts: dict[str, str],
        lists: dict[str, str] | None = None,
        counts: dict[str, str] | None = None,
        flags: dict[str, str] | None = None,
        others: dict[str, Any],
    ) -> None:
        self.runner, self.texts, self.lists, self.counts = runner, texts, lists or {}, counts or {}
        self.flags, self.others = flags or {}, others

    def defaults(self) -> dict[str, Any]:
        """The value of each option that is not given."""
        lists, flags = dict.fromkeys(self.lists.values(), ()), dict.fromkeys(self.flags.values(), False)
        return dict.fromkeys((*self.texts.values(), *self.counts.values())) | lists | flags | self.others


def of_tables() -> Run:
    from sniffkit.cli.rows import run_plain

    return run_plain


def of_captures() -> Run:
    from sniffkit.cli.session import run_plain

    return run_plain


# module of a command in COMMANDS -> its plain form
FORMS = {
    "sniffkit.cli.table": Form(
        of_tables,
        texts={"--columns": "columns", "-o": "out", "--out": "out"},
        flags={"--json": "json"},
        others={"where": None, "sort": None, "limit": None, "filter": None},
    ),
    "sniffkit.cli.capture": Form(
        of_captures,
        texts={"--netns": "netns", "-w": "write", "--flows": "flows"},
        lists={"-i": "interface", "--interface": "interface"},
        counts={"-c": "count"},
        flags={"--no-save": "no_save", "-n": "numeric", "-e": "link", "-p": "no_promiscuous"}
        | {"-l": "buffered", "-U": "by_packet", "-K": "unverified"},
        others=dict.fromkeys(("lab", "directory", "duration", "snap_len", "buffer", "user", "print_rows"))
        | dict.fromkeys(("megabytes", "seconds", "files", *RULES))
        | {
            "print_lines": False,
            "direction": "inout",
            "times": 0,
            "absolute": False,
            "x": 0,
            "upper_x": 0,
            "ascii": 0,
            "json": False,
        },
    ),
}


class Request:
    """A plain request: the command, its words, and its options as click would give them."""

    def __init__(self, command: str, words: tuple[str, ...], options: dict[str, Any]) -> None:
        self.command, self.words, self.options = command, words, options

    def runner(self) -> Run:
        """What does it and returns the exit code."""
        return FORMS[COMMANDS[self.command][0]].runner()


def parse(arguments: list[str]) -> Request | None:
    """What a command line asks for; None if it is not of a plain form."""
    form = FORMS.get(COMMANDS.get(arguments[0], ("",))[0]) if arguments else None
    if form is None or "_SNIFFKIT_COMPLETE" in os.environ:
        return None
    words: list[str] = []
    options = form.defaults()
    given: set[str] = set()
    rest = iter(arguments[1:])
    for word in rest:
        if word in form.flags:
            options[form.flags[word]] = True
        elif word in form.lists:
            value = next(rest, None)
            if value is None or value.startswith("-"):
                return None
            options[form.lists[word]] += (value,)
        elif word in form.texts or word in form.counts:
            name = form.texts.get(word) or form.counts[word]
            value = next(rest, None)
            if value is None or name in given or (value.startswith("-") and value != "-"):
                return None
            given.add(name)
            if word in form.texts:
                options[name] = value
            elif value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0:
                options[name] = int(value)
            else:
                return None
        elif word.startswith("-") and word != "-":
            return None
        else:
            words.append(word)
    if options.get("out") is not None:
        from sniffkit.cli.rows import is_directory

        if is_directory(options["out"]):
            return None
    return Request(arguments[0], tuple(words), options)
