"""`sniffkit flows`, `packets`, `http` …: a table of captures, to the terminal, a pipe or a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import damage_as_lines
from sniffkit.cli.inputs import files as inputs_of
from sniffkit.cli.live import live_options_as, refuse_live_options, show_live
from sniffkit.cli.progress import counter
from sniffkit.cli.rows import about, is_directory, run, split
from sniffkit.cli.rules import rule_options, rules_of
from sniffkit.errors import SniffkitError

# Tables whose rows can be printed as they end.
LIVE = ("http", "dns", "tls", "dhcp")
# Tables that follow flows by rules.
RULED = ("flows", "packets")
MOST_ROWS = 2**63 - 1  # as SQL and Arrow count them


def make_dataset(name: str, given: tuple[str, ...], **options: Any) -> int:
    """Make the data set of a table; 1 if it is empty or a file was passed over."""
    from sniffkit.api import open as open_capture

    for option in ("where", "sort", "limit", "json"):
        if options[option] not in (None, False):
            raise SniffkitError(
                f"--{option} is for one table, {options['out']} is a directory: ask it with sniffkit sql"
            )
    capture = open_capture(inputs_of(given))
    with damage_as_lines(), counter("frames", sys.stderr) as progress:
        try:
            made = capture.to_dataset(
                options["out"],
                name,
                columns=split(options["columns"]),
                filter=options["filter"],
                engine=options["engine"],
                workers=options["workers"],
                progress=progress,
                **rules_of(options),
            )
        except KeyboardInterrupt:
            say("sniffkit: interrupted: the same command again goes on where it stopped")
            raise
    done = "complete already" if made.already_complete else "gone on with and complete" if made.resumed else "complete"
    said = f"{options['out']}: {done}: {made.rows:,} rows of {made.frames:,} frames in {made.files:,} files"
    say(f"sniffkit: {said}")
    return 1 if made.skipped or made.rows == 0 else 0


# Which rows and columns of a table, and where they go: what every command that gives a table takes.
ROW_OPTIONS = (
    click.option("--columns", metavar="A,B,…", help="Only these columns, in this order."),
    click.option("--where", metavar="SQL", help="Only rows for which this SQL expression is true."),
    click.option("--sort", metavar="SQL", help="Order by this, as SQL's ORDER BY: 'A desc, B'."),
    click.option("--limit", type=click.IntRange(0, MOST_ROWS), metavar="N", help="At most so many rows."),
    click.option("--filter", "-f", metavar="EXPR", help="Only frames that match this capture filter (tcpdump's)."),
    click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout."),
    click.option("--json", is_flag=True, help="One JSON object a line."),
)


def dataset_options(command: click.Command) -> click.Command:
    """Give a command the options of data sets."""
    for option in command.params:
        if isinstance(option, click.Option) and option.name == "out":
            option.help = f"{str(option.help).removesuffix('.')}; DIR/: Parquet by hour."
    workers = click.IntRange(min=1)
    command = click.option("--workers", type=workers, metavar="N", help="For DIR/: share flows among so many.")(command)
    return click.option("--engine", metavar="ENGINE", help="For DIR/: local, or dask://HOST:PORT.")(command)


def row_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ROW_OPTIONS, in their order."""
    for option in reversed(ROW_OPTIONS):
        command = option(command)
    return command


def __getattr__(name: str) -> click.Command:
    """The command of a table, by the table's name: every name that the API has a table of."""
    from sniffkit.api import DATASETS, TABLES

    if name not in TABLES:
        raise AttributeError(f"no table {name!r}")
    lines = "\n".join(f"  {line}" for line in about(name).examples)
    summary = f"{about(name).summary} Without FILE: the newest capture."
    ruled = rule_options("never") if name in RULED else lambda command: command

    @click.command(name, help=f"{summary}\n\n\b\nExamples:\n{lines}")
    @click.argument("file", nargs=-1)
    @row_options
    @ruled
    @click.pass_context
    def table_command(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
        if name in DATASETS and is_directory(options["out"]):
            if options.get("live"):
                raise SniffkitError(f"{options['out']}: a data set is made of files, not with --live")
            ctx.exit(make_dataset(name, file, **options))
        for option in ("engine", "workers"):
            if options.pop(option, None) is not None:
                raise SniffkitError(f"--{option} is for a data set: -o DIRECTORY/")
        if options.get("live"):
            ctx.exit(show_live(name, file, options))
        if name in LIVE:
            refuse_live_options(options)
        ctx.exit(run(name, file, **options))

    if name in LIVE:
        table_command = live_options_as(
            "Capture and print a line each as it happens, with --json an object; arguments are the filter. With -o, "
            "--sort, or --where, --limit or --columns without --json: the table, at ^C.",
            "With --live: where to capture.",
        )(table_command)
    if name in DATASETS:
        table_command = dataset_options(table_command)

    return table_command
