"""`sniffkit sql`: a query over the tables of captures."""

from __future__ import annotations

import os
import re
import sys
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import damage_as_lines, files, is_standard_input, rereadable
from sniffkit.errors import CaptureFileError, SniffkitError
from sniffkit.interrupts import end_as_on_interrupt
from sniffkit.tables import check_output

if TYPE_CHECKING:
    from sniffkit.sinks import Output
    from sniffkit.sql import Database

PROMPT, MORE = "sniffkit> ", "     ...> "


@click.command()
@click.argument("arguments", nargs=-1, metavar="['SELECT …'] [FILE…]")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def sql(ctx: click.Context, /, arguments: tuple[str, ...], out: str | None, json: bool) -> None:
    """Ask the tables of captures (packets, flows, …) and Parquet files in SQL. Without a query: a prompt.

    Only the tables and columns that the query names are decoded; nothing but the files given is read. Times are UTC
    with nanoseconds. A Parquet file that sniffkit wrote is the table it holds, any other is named after its file.

    \b
    Examples:
      sniffkit sql 'select orig_h, sum(orig_bytes) b from flows group by 1 order by b desc' lab.pcapng
      sniffkit sql 'select protocols, count(*) from packets group by all' a.pcap b.pcap
      sniffkit sql 'from flows where service = $$dns$$' flows.parquet -o dns.csv
      sniffkit sql 'select count(*) from flows' flows/
      sniffkit sql lab.pcapng
    """
    from sniffkit.sinks import Output

    query = arguments[0] if arguments and is_query(arguments[0]) else None
    names = files(arguments if query is None else arguments[1:])
    if query is None and any(map(is_standard_input, names)):
        raise SniffkitError("standard input cannot be the capture and the prompt: give the query, too")
    target = Output(out, json, sys.stdout.isatty())
    if target.is_file:
        end_as_on_interrupt()
    tables = database(names, query)
    check_output(target.path or "-", tables.inputs)
    if query is None:
        ctx.exit(prompt(tables, target))
    ctx.exit(0 if ask(tables, query, target) else 1)


def is_query(word: str) -> bool:
    """Whether an argument is no file: what is there, also by a glob, is one, and what cannot be SQL would be."""
    if not word.strip():
        raise SniffkitError("the query is empty")
    is_name = re.match(r"\w+://", word) or not re.search(r"[\s('\"]", word)
    return not (is_name or os.path.exists(word) or glob(word))


def database(names: list[str], query: str | None) -> Database:
    """The captures and Parquet files as one database, for this query or for any."""
    from sniffkit.api import TABLES
    from sniffkit.api import open as open_capture
    from sniffkit.sql import Database

    captures: list[str] = []
    parquet: list[str] = []
    for part in (part for name in names for part in parts_of(name)):
        (parquet if is_parquet(part) else captures).append(part)
    # A pipe that is read once needs no room.
    once = query is not None and len(re.findall(rf"(?i)\b(?:{'|'.join(TABLES)})\b", query)) < 2
    sources = captures if once else rereadable(captures)
    return Database(open_capture(sources) if captures else None, parquet)


def is_parquet(name: str) -> bool:
    """Whether a file is of Parquet: by its name, or its first bytes."""
    if re.search(r"\.parquet\.(gz|zst|bz2|xz|zip)$", name, re.IGNORECASE):
        raise CaptureFileError(f"{name}: a compressed Parquet file: unpack it first")
    if name.lower().endswith(".parquet"):
        return True
    if not os.path.isfile(name):
        return False
    try:
        with open(name, "rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:  # who reads it says so
        return False


def parts_of(name: str) -> list[str]:
    """The files that a name stands for: those that a glob matches, the Parquet files of a data set's directory."""
    if not os.path.exists(name):
        matches = sorted(one for one in glob(name, recursive=True) if is_meant(name, one))
        # `**` matches a data set, its folders and its files.
        return list(dict.fromkeys(part for one in matches for part in parts_of(one))) or [name]
    if not os.path.isdir(name):
        return [name]
    under = (path for path in Path(name).rglob("*") if path.suffix.lower() == ".parquet")
    found = sorted(str(path) for path in under if not path.name.startswith((".", "_")))
    if not found:
        raise nothing_in(name)
    return found


def is_meant(pattern: str, match: str) -> bool:
    """Whether a glob means what it matches: names that begin with `_` or `.` are of what writes data sets, unless it
    says them.
    """
    asked, found = Path(pattern).parts, Path(match).parts
    root = next(at for at, part in enumerate(asked) if has_magic(part))
    below = found[root:] if not asked[-1].strip("*") else found[root:-1]
    return any(part.startswith(("_", ".")) for part in asked[root:]) or not any(
        part.startswith(("_", ".")) for part in below
    )


def nothing_in(directory: str) -> CaptureFileError:
    """The error for a directory that holds no table; a data set may have no rows, or none yet."""
    from sniffkit.dataset.job import OWN, lacking

    if not os.path.isdir(os.path.join(directory, OWN)):
        return CaptureFileError(f"{directory}: a directory without Parquet files")
    return CaptureFileError("; ".join(lacking(directory)) or f"{directory}: a data set without rows", exit_code=1)


def ask(tables: Database, query: str, target: Output) -> bool:
    """Answer one query; whether there were rows and no damage."""
    from sniffkit.sinks import put

    with damage_as_lines() as damage, tables.answer(query) as answer:
        rows = put(answer, target)
    return rows > 0 and not damage


def prompt(tables: Database, target: Output) -> int:
    """Read queries, each ended by a semicolon or an empty line, until the end of the input."""
    interactive = sys.stdin.isatty()
    if interactive:
        import readline  # noqa: F401 - gives input() its history and editing

        print("Tables: packets, flows, …; DESCRIBE flows; shows columns. End a query with ; and the prompt with ^D.")
    lines: list[str] = []
    failed = False
    while True:
        try:
            line = input((MORE if lines else PROMPT) if interactive else "")
        except EOFError:
            break
        except KeyboardInterrupt:
            print()
            lines.clear()
            continue
        lines.append(line)
        text = "\n".join(lines).strip()
        if text.endswith(";") or not line.strip():
            lines.clear()
            failed |= bool(text) and not answered(tables, text.rstrip(";"), target)
    text = "\n".join(lines).strip()
    failed |= bool(text) and not answered(tables, text, target)
    return 1 if failed and not interactive else 0


def answered(tables: Database, text: str, target: Output) -> bool:
    """Answer a query of the prompt; a wrong one is told and the prompt goes on."""
    try:
        return ask(tables, text, target)
    except SniffkitError as error:
        say(f"sniffkit: {error}")
        return False
