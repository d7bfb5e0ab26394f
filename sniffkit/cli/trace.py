"""`sniffkit trace`: the same packet at each point where it was seen."""

from __future__ import annotations

import sys
from typing import Any

import click

from sniffkit.cli.diff import window_option
from sniffkit.cli.rows import split
from sniffkit.cli.table import MOST_ROWS, row_options

# Columns on a terminal when none are asked for; the last ones go where it is narrow.
SHORT = (
    *("packet", "hop", "ts", "netns", "interface", "delay", "ip_src", "src_port", "ip_dst", "dst_port", "protocols"),
    *("changes", "frame_number"),
)


@click.command()
@click.argument("file", nargs=-1)
@click.option(
    "--seen", type=click.IntRange(1, MOST_ROWS), default=2, metavar="N", help="Only packets seen at N points (2)."
)
@window_option
@row_options
@click.pass_context
def trace(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """The same packet at each point where it was seen, hop by hop: delay, rewriting by NAT, VLANs, tunnels.

    One row a sighting. The points are the interfaces that the captures name, or the files that name none; clocks must
    agree. Files without namespaces that name the same interface at the same time are points, too: `file` says which.
    `delay` is from the hop before, `elapsed` from the first one; `changes` names what the hop before had else.
    Without FILE: the newest capture.

    \b
    Examples:
      sniffkit trace nat.pcapng
      sniffkit trace client.pcap router.pcap server.pcap -f 'tcp port 80'
      sniffkit trace nat.pcapng --where 'packet = 25'
      sniffkit trace nat.pcapng --where 'delay > 1e6' --sort 'delay desc' --columns packet,netns,interface,delay
      sniffkit trace lab.pcapng -o hops.parquet
    """
    ctx.exit(run(file, **options))


def run(given: tuple[str, ...], **options: Any) -> int:
    """Put the table where it was asked for; 1 if it is empty or a capture is damaged."""
    import pyarrow.compute as pc

    from sniffkit.api import open as open_capture
    from sniffkit.cli.inputs import damage_as_lines, files, rereadable
    from sniffkit.sinks import Output, write
    from sniffkit.tables import Result

    columns = split(options["columns"])
    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=columns is None)
    query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
    names = files(given)
    short = [*SHORT[:3], "file", *SHORT[3:]] if len(names) > 1 else list(SHORT)
    shown = columns if columns is not None or not out.is_screen else short
    with damage_as_lines() as damage:
        traced = open_capture(rereadable(names)).trace(window=options["window"], filter=options["filter"])
        table = traced.to_arrow()
        seen = Result("trace", table.filter(pc.greater_equal(table["hops"], options["seen"])), traced.inputs)
        rows = write(seen, out, columns=shown, **query)
    return 1 if damage or rows == 0 else 0
