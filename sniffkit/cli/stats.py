"""`sniffkit stats`: what a capture holds, in figures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import click

from sniffkit.cli.sections import JSON_HELP, put_all, takes_all
from sniffkit.errors import SniffkitError
from sniffkit.stats import SECTIONS
from sniffkit.tables import check_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from sniffkit.api import Capture
    from sniffkit.sinks import Output
    from sniffkit.tables import Result

TOP = 10  # rows of a long section on a terminal or a pipe when all sections are shown
# Sections that have rows whatever the capture holds, and the column that says how much that is.
COUNTS = {"summary": "packets", "lengths": "frames", "health": "flows"}
# Options -> sections that take them.
TAKEN = {"layer": ("conversations", "endpoints"), "interval": ("io",)}


@click.command()
@click.argument("file", nargs=-1, type=click.Path())
@click.option("--only", metavar="SECTION", help=f"Only this one, whole: {' '.join(SECTIONS)}.")
@click.option(
    "--layer",
    metavar="LAYER",
    help="Of conversations and endpoints: ip (without it), eth ipv6 tcp udp sctp; in tunnels the innermost, of IP the "
    "outermost too.",
)
@click.option(
    "--interval", type=float, metavar="S", help="Of io, seconds (1; 10, 100, … where that gives over a million rows)."
)
@click.option("--plot", metavar="FILE", help="Draw frames and bytes over time to FILE: .png .svg .pdf.")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="Write the section to FILE: .parquet .csv .jsonl .arrow; all to .jsonl; - is stdout.",
)
@click.option("--json", is_flag=True, help=JSON_HELP)
@click.pass_context
def stats(ctx: click.Context, /, file: tuple[str, ...], **options: object) -> None:
    """Figures of captures: what capinfos and tshark -z say. Without FILE: the newest capture.

    \b
    Examples:
      sniffkit stats lab.pcapng
      sniffkit stats --only conversations --layer tcp lab.pcapng
      sniffkit stats --only io --interval 0.1 lab.pcapng -o io.csv
      sniffkit stats --plot io.png lab.pcapng
    """
    ctx.exit(run(file, **options))


def run(file: tuple[str, ...], **options: object) -> int:
    """Show one section or all; the exit code."""
    from sniffkit.api import open as open_capture
    from sniffkit.cli.inputs import damage_as_lines, files, rereadable
    from sniffkit.sinks import Output, put
    from sniffkit.stats import check_layer
    from sniffkit.stats.io import step_of

    only, out, json = options["only"], options["out"], bool(options["json"])
    if only is not None and only not in SECTIONS:
        raise SniffkitError(f"no section {only!r}; there are: {' '.join(SECTIONS)}")
    path = str(out) if out is not None else None
    target = Output(path, json, sys.stdout.isatty(), fit=True, instead="-o FILE")
    whole = only is None and takes_all(target)
    shows_all = only is None and (whole or options["plot"] is None)
    # Before the first section is shown, not where its turn comes.
    for name, sections in TAKEN.items():
        used = only in sections or shows_all or (options["plot"] and "io" in sections)
        if options[name] is not None and not used:
            raise SniffkitError(f"--{name} is of {' and '.join(sections)}")
    if options["layer"] is not None:
        check_layer(str(options["layer"]))
    interval = cast("float | None", options["interval"])
    step_of(interval)
    names = files(file)
    check_output(target.path or "-", names)
    if options["plot"] is not None:
        from sniffkit.stats.plot import check_picture

        check_picture(str(options["plot"]), names)
    found = True
    with damage_as_lines() as damage:
        capture = open_capture(rereadable(names))
        if only is not None:
            table = section(capture, str(only), options).to_arrow()
            put(table, target)
            found = holds(str(only), table)
        elif shows_all:
            # An interval that gives too many rows, before the first section is shown.
            made = {} if interval is None else {"io": section(capture, "io", options).to_arrow()}

            def tables() -> Iterator[tuple[str, pa.Table]]:
                nonlocal found
                for name in SECTIONS:
                    table = made[name] if name in made else section(capture, name, options).to_arrow()
                    found = found and (name != "summary" or holds(name, table))
                    yield name, table

            if whole:
                put_all(tables(), target)
            else:
                for name, table in tables():
                    show(SECTIONS[name][1], table, target)
        if options["plot"] is not None:
            import logging

            from sniffkit.stats.plot import io_plot

            # That there is no home to cache in, or that fonts are looked up, is no concern of who wants a picture.
            logging.getLogger("matplotlib").setLevel(logging.ERROR)
            io_plot(capture, str(options["plot"]), interval)
    return 1 if damage or not found else 0


def holds(name: str, table: pa.Table) -> bool:
    """Whether a section has found anything."""
    return table.num_rows > 0 and (name not in COUNTS or any(table[COUNTS[name]].to_pylist()))


def section(capture: Capture, name: str, options: dict[str, object]) -> Result:
    """The table of a section, with the options that it takes."""
    taken = {key: options[key] for key, sections in TAKEN.items() if name in sections and options[key] is not None}
    table: Result = getattr(capture.stats, name)(**taken)
    return table


def show(title: str, table: pa.Table, target: Output) -> None:
    """A section under its title, cut to TOP rows."""
    from sniffkit.sinks import put

    rows = table.num_rows
    more = f", first {TOP} of {rows} rows" if rows > TOP else ""
    print(f"{title}{more}:", flush=True)
    put(table.slice(0, TOP), target)
    print(flush=True)
