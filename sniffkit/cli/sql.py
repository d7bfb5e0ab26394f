"""`sniffkit sql`: a query over the tables of captures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.errors import CaptureFileError, SniffkitError
from sniffkit.interrupts import end_as_on_interrupt
from sniffkit.points import utf8

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

    query = arguments[0] if arguments and not os.path.exists(arguments[0]) and " " in arguments[0] else None
    names = files(arguments if query is None else arguments[1:])
    target = Output(out, json, sys.stdout.isatty())
    if target.is_file:
        end_as_on_interrupt()
    if query is None:
        ctx.exit(prompt(names, target))
    ctx.exit(0 if ask(names, query, target) else 1)


def database(names: list[str]) -> Database:
    """The captures and Parquet files as one database."""
    from sniffkit.api import open as open_capture
    from sniffkit.sql import Database

    names = [part for name in names for part in (parts_of(name) if os.path.isdir(name) else [name])]
    captures = [name for name in names if not name.endswith(".parquet")]
    parquet = [name for name in names if name.endswith(".parquet")]
    return Database(open_capture(captures) if captures else None, parquet)


def parts_of(directory: str) -> list[str]:
    """The Parquet files of a data set's directory."""
    found = sorted(str(path) for path in Path(directory).rglob("*.parquet") if not path.name.startswith((".", "_")))
    if not found:
        raise CaptureFileError(f"{directory}: a directory without Parquet files")
    return found


def ask(names: list[str], query: str, target: Output) -> bool:
    """Answer one query; whether there were rows and no damage."""
    from sniffkit.sinks import put

    utf8(query)
    with damage_as_lines() as damage, database(names).answer(query) as answer:
        rows = put(answer, target)
    return rows > 0 and not damage


def prompt(names: list[str], target: Output) -> int:
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
            failed |= bool(text) and not answered(names, text.rstrip(";"), target)
    text = "\n".join(lines).strip()
    failed |= bool(text) and not answered(names, text, target)
    return 1 if failed and not interactive else 0


def answered(names: list[str], text: str, target: Output) -> bool:
    """Answer a query of the prompt; a wrong one is told and the prompt goes on."""
    try:
        return ask(names, text, target)
    except SniffkitError as error:
        say(f"sniffkit: {error}")
        return False
