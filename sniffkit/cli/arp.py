"""`sniffkit arp`: who claims which address, and whether somebody lies about one."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.cli.progress import counter
from sniffkit.cli.table import row_options, split
from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit._core import TableStream
    from sniffkit.tables import Table

SHORT = ["ts", "interface", "vlan", "opcode", "src_hw", "src_ip", "dst_hw", "dst_ip", "gratuitous", "findings"]
SAVE_EVERY = 30.0  # seconds between two writes of the state file while live


@click.command("arp")
@click.argument("file", nargs=-1, type=click.Path())
@click.option("--live", is_flag=True, help="Watch interfaces and print a line an alert until ^C.")
@click.option("--netns", metavar="NS", help="With --live: namespace of the interfaces without one.")
@click.option(
    "-i", "--interface", "interface", multiple=True, metavar="[NS/]IF", help="With --live: where; all if none."
)
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="With --live: end after S s."
)
@click.option("--nd", is_flag=True, help="IPv6 Neighbor Discovery too.")
@click.option("--all", "everything", is_flag=True, help="With --live: print messages without findings too.")
@click.option("--state", metavar="FILE", help="Start from what this file knows, and keep it there.")
@row_options
@click.pass_context
def arp(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """ARP messages and what is odd about them. Without FILE: the newest capture.

    finding: new, changed, flip-flop (back to a station that had the address before), conflict (two stations answer
    for it), mismatch (sent by another than it names). findings adds unsolicited, gratuitous-storm, gateway-takeover.
    Namespaces, interfaces and VLANs are kept apart.

    \b
    Examples:
      sniffkit arp lab.pcapng --where "finding not in ('new')"
      sniffkit arp lab.pcapng --nd --state known.json -o arp.parquet
      sniffkit arp --live --netns client -i eth0
      sniffkit arp --live --netns client --json --state known.json
    """
    ctx.exit(watch(file, options) if options["live"] else show(file, options))


def only_live(options: dict[str, Any]) -> None:
    """Raises SniffkitError for options that say nothing of files."""
    if options["netns"] or options["interface"] or options["duration"] or options["everything"]:
        raise SniffkitError("--netns, -i, --duration and --all go with --live")


def show(given: tuple[str, ...], options: dict[str, Any]) -> int:
    """The table of files; 1 if it is empty or a capture is damaged."""
    from sniffkit.api import open as open_capture
    from sniffkit.neighborstate import load, save
    from sniffkit.sinks import Output, write
    from sniffkit.tables import Result

    only_live(options)
    inputs = files(given)
    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=options["columns"] is None)
    columns = split(options["columns"]) or (SHORT if out.is_screen else None)
    query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
    known = load(options["state"]) if options["state"] else None
    with damage_as_lines() as damage:
        capture = open_capture(inputs)
        make = capture.neighbors if options["nd"] else capture.arp
        table = make(columns=None if query else columns, filter=options["filter"], known=known)
        with counter("frames", sys.stderr) as table.progress:
            if options["state"]:
                data, now_known = read_and_ask(table)
                table = Result("arp", data)
            rows = write(table, out, columns=columns if query else None, **query)
        if options["state"]:
            save(options["state"], now_known)
    return 1 if damage or rows == 0 else 0


def read_and_ask(table: Table) -> tuple[pa.Table, list[Any]]:
    """All rows, and what the stream that made them knows of addresses by then."""
    import pyarrow as pa

    from sniffkit.tables import file_error, warn

    stream = table.stream()
    try:
        warn(stream.finish())
    except OSError as error:
        raise file_error(error) from None
    known = list(stream.known())
    return pa.table(stream), known


def watch(given: tuple[str, ...], options: dict[str, Any]) -> int:
    """Print alerts of live interfaces until ^C; 1 if there were none."""
    from sniffkit.livetable import LiveTable
    from sniffkit.neighborstate import load, save
    from sniffkit.scan.evidence import capture_points
    from sniffkit.sinks.flat import flatten

    if given:
        raise SniffkitError("--live watches interfaces: there is no FILE to read")
    for name in ("columns", "where", "sort", "limit", "out"):
        if options[name] is not None:
            raise SniffkitError(f"--{name} does not go with --live: alerts are lines, or JSON with --json")
    state = options["state"]
    known = load(state) if state else []
    due = time.monotonic() + SAVE_EVERY

    def keep(stream: TableStream, ended: bool) -> None:
        nonlocal due
        if state and (ended or time.monotonic() >= due):
            save(state, stream.known())
            due = time.monotonic() + SAVE_EVERY

    points = options["interface"] or capture_points(options["netns"])
    kind = "neighbors" if options["nd"] else "arp"
    # 256 bytes hold every ARP and ND message with its tags; of other frames only the headers matter.
    live = LiveTable(kind, points, options["netns"], options["duration"], 256, known, options["filter"], keep)
    live.stop_on_signals()
    print(f"sniffkit: watching {', '.join(live.session.names)}", file=sys.stderr, flush=True)
    alerts = 0
    for table in live:
        plain = flatten(table.drop_columns(["findings"]))
        for row, findings in zip(plain.to_pylist(), table.column("findings").to_pylist(), strict=True):
            alerts += bool(findings)
            if findings or options["everything"]:
                row["findings"] = findings
                print(jsonlib.dumps(row, ensure_ascii=False) if options["json"] else line(row), flush=True)
    if live.dropped:
        print(f"sniffkit: {live.dropped} frames dropped by the kernel: findings may be missing", file=sys.stderr)
    return 0 if alerts else 1


def line(row: dict[str, Any]) -> str:
    """One message for a person: when, where, what is odd, who claims what."""
    place = "/".join(part for part in (row["netns"], row["interface"]) if part)
    vlan = "" if row["vlan"] is None else f" vlan {row['vlan']}"
    before = f", {row['previous_hw']} has or had it" if row["previous_hw"] else ""
    sent = f", sent by {row['eth_src']}" if "mismatch" in row["findings"] else ""
    findings = " ".join(row["findings"]) or "-"
    clock = row["ts"].partition("T")[2].removesuffix("Z") if row["ts"] else "-"
    return f"{clock} {place or '-'}{vlan} {findings}: {row['src_ip']} is at {row['src_hw']}{before}{sent}"
