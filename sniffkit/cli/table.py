"""`sniffkit flows` and `sniffkit packets`: a table of captures, to the terminal, a pipe or a file."""

from __future__ import annotations

import sys
from typing import Any

import click

from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.errors import SniffkitError

# What a terminal shows when no columns are asked for, the most wanted first: the last ones go where it is narrow.
# Files, pipes and --json always have every column.
SHORT: dict[str, list[str]] = {
    "flows": [
        *("ts", "proto", "orig_h", "orig_p", "resp_h", "resp_p", "vlan", "vni", "service", "conn_state"),
        *("orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "duration", "history"),
    ],
    "packets": [
        *("frame_number", "ts", "interface", "frame_len", "protocols", "ip_src", "src_port", "ip_dst", "dst_port"),
        *("tcp_flags", "vlan_id", "vxlan_vni", "payload_len", "malformed"),
    ],
}


def run(name: str, given: tuple[str, ...], **options: Any) -> int:
    """Make the table `name` and put it where it was asked for; 1 if it is empty or a capture is damaged."""
    from sniffkit.api import open as open_capture
    from sniffkit.sinks import Output, write

    columns = split(options["columns"])
    inputs = files(given)
    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=columns is None)
    query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
    shown = columns
    if columns is None and out.is_screen:
        shown = SHORT[name]
    with damage_as_lines() as damage:
        capture = open_capture(inputs)
        # With a condition or an order, any column may be named there, so all are made and DuckDB picks.
        table = getattr(capture, name)(columns=None if query else shown, filter=options["filter"])
        rows = write(table, out, columns=shown if query else None, **query)
    return 1 if damage or rows == 0 else 0


def split(text: str | None) -> list[str] | None:
    """`a,b c` as names."""
    if text is None:
        return None
    names = text.replace(",", " ").split()
    if not names:
        raise SniffkitError("--columns needs at least one name")
    return names


def command(name: str, summary: str, examples: str) -> click.Command:
    """The click command of one table."""

    @click.command(name, help=f"{summary}\n\n\b\nExamples:\n{examples}")
    @click.argument("file", nargs=-1, type=click.Path())
    @click.option("--columns", metavar="A,B,…", help="Only these columns, in this order.")
    @click.option("--where", metavar="SQL", help="Only rows for which this SQL expression is true.")
    @click.option("--sort", metavar="SQL", help="Order by this, as SQL's ORDER BY: 'orig_bytes desc'.")
    @click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many rows.")
    @click.option("--filter", "-f", metavar="EXPR", help="Only frames that match this capture filter (tcpdump's).")
    @click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
    @click.option("--json", is_flag=True, help="One JSON object a line.")
    @click.pass_context
    def table_command(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
        ctx.exit(run(name, file, **options))

    return table_command


flows = command(
    "flows",
    "One row per bidirectional flow, Zeek's column names. Without FILE: the newest capture.",
    """  sniffkit flows
  sniffkit flows lab.pcapng -o flows.parquet
  sniffkit flows a.pcap b.pcapng --where "service = 'dns'" --sort 'orig_bytes desc' --limit 10""",
)

packets = command(
    "packets",
    "One row per frame, Wireshark's field names. Without FILE: the newest capture.",
    """  sniffkit packets lab.pcapng
  sniffkit packets big.pcap -o packets.parquet
  sniffkit packets lab.pcapng --columns ts,ip_src,ip_dst --where 'tcp_flags & 2 > 0'""",
)
