"""`sniffkit arp`: who claims which address, and whether somebody lies about one."""

from __future__ import annotations

import ipaddress
import json as jsonlib
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.cli.live import OF_ROWS, LiveRows, live_options_as, refuse_live_options, say_dropped
from sniffkit.cli.progress import counter
from sniffkit.cli.rows import split
from sniffkit.cli.table import row_options
from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit._core import TableStream
    from sniffkit.tables import Table

SHORT = ["ts", "interface", "vlan", "opcode", "src_hw", "src_ip", "dst_hw", "dst_ip", "gratuitous", "findings"]
SAVE_EVERY = 30.0  # seconds between two writes of the state file while live


@click.command("arp")
@click.argument("file", nargs=-1, type=click.Path())
@live_options_as(
    "Watch interfaces and print a line an alert until ^C; where rows or -o are asked for, the table of them then.",
    "With --live: where; all if none.",
)
@click.option("--nd", is_flag=True, help="IPv6 Neighbor Discovery too.")
@click.option("--all", is_flag=True, help="With --live: print messages without findings too.")
@click.option("--gateway", multiple=True, metavar="IP", help="Address of a default gateway: its takeover is a finding.")
@click.option("--state", metavar="FILE", help="Start from what this file knows, and keep it there.")
@row_options
@click.pass_context
def arp(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """ARP messages and what is odd about them. Without FILE: the newest capture.

    finding: new, changed, flip-flop (back to a station that had the address before), conflict (two stations answer
    for it), mismatch (sent by another than it names). findings adds unsolicited, gratuitous-storm, gateway-takeover.
    Namespaces, interfaces and VLANs are kept apart. A gateway is what --gateway names, a DHCP lease, a router
    advertisement or (--live) a default route, and who forwards for others. --live starts from the kernel's neighbours.

    \b
    Examples:
      sniffkit arp lab.pcapng --where "finding not in ('new')"
      sniffkit arp lab.pcapng --nd --state known.json -o arp.parquet
      sniffkit arp old.pcap --gateway 10.0.0.1
      sniffkit arp --live --netns client -i eth0
      sniffkit arp --live --netns client --json --state known.json
    """
    ctx.exit(watch(file, options) if options["live"] else show(file, options))


def gateways(options: dict[str, Any]) -> list[str]:
    """What --gateway names. Raises SniffkitError for what is no address."""
    for text in options["gateway"]:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise SniffkitError(f"--gateway {text!r}: not an IP address") from None
    return list(options["gateway"])


def show(given: tuple[str, ...], options: dict[str, Any]) -> int:
    """The table of files; 1 if it is empty or a capture is damaged."""
    from sniffkit.api import open as open_capture
    from sniffkit.neighborstate import load, save
    from sniffkit.sinks import Output, write
    from sniffkit.tables import Result

    refuse_live_options(options, "all")
    inputs = files(given)
    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=options["columns"] is None)
    columns = split(options["columns"]) or (SHORT if out.is_screen else None)
    query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
    known = load(options["state"]) if options["state"] is not None else None
    with damage_as_lines() as damage:
        capture = open_capture(inputs)
        make = capture.neighbors if options["nd"] else capture.arp
        table = make(
            columns=None if query else columns, filter=options["filter"], known=known, gateways=gateways(options)
        )
        with counter("frames", sys.stderr) as table.progress:
            if options["state"]:
                data, now_known = read_and_ask(table)
                table = Result("arp", data, table.inputs)
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
    """Print alerts of live interfaces until ^C, or tell them and then give them as a table; 1 if there were none."""
    from sniffkit import kernelneighbors
    from sniffkit.cli.live import watch as start
    from sniffkit.neighborstate import load, save
    from sniffkit.sinks.flat import flatten
    from sniffkit.sinks.screen import printable

    kind = "neighbors" if options["nd"] else "arp"
    rows = LiveRows(kind, options, SHORT) if any(options[name] is not None for name in OF_ROWS) else None
    state = options["state"]
    kept = load(state) if state is not None else []
    due = time.monotonic() + SAVE_EVERY

    def start_from(names: list[str]) -> list[Any]:
        points = options["interface"] or [name.rpartition("/")[2] for name in names]
        merged, differing = kernelneighbors.start_from(kept, kernelneighbors.known(names, points, options["netns"]))
        for what in differing:
            say(f"sniffkit: {what} in {state}")
        return merged

    def keep(stream: TableStream, ended: bool) -> None:
        nonlocal due
        if state and (ended or time.monotonic() >= due):
            save(state, stream.known())
            due = time.monotonic() + SAVE_EVERY

    # 1024 bytes hold every ARP and ND message with its tags, and DHCP's; of other frames only the headers matter.
    live = start(kind, given, options, snap_len=1024, known=start_from, between=keep, gateways=gateways(options))
    alerts = 0
    for table in live:
        if rows is not None:
            rows.add(table if options["all"] else with_findings(table))
        plain = flatten(table.drop_columns(["findings"]))
        for row, findings in zip(plain.to_pylist(), table.column("findings").to_pylist(), strict=True):
            alerts += bool(findings)
            if findings or options["all"]:
                row["findings"] = findings
                if rows is not None:
                    say(printable(line(row)))
                else:
                    text = jsonlib.dumps(row, ensure_ascii=False) if options["json"] else printable(line(row))
                    print(text, flush=True)
    say_dropped(live, "findings")
    if rows is not None:
        return 0 if rows.write() else 1
    return 0 if alerts else 1


def with_findings(table: pa.Table) -> pa.Table:
    """The messages that are odd."""
    import pyarrow.compute as pc

    return table.filter(pc.greater(pc.list_value_length(table["findings"]), 0))


def line(row: dict[str, Any]) -> str:
    """One message for a person: when, where, what is odd, who claims what."""
    place = "/".join(part for part in (row["netns"], row["interface"]) if part)
    vlan = "" if row["vlan"] is None else f" vlan {row['vlan']}"
    before = f", {row['previous_hw']} has or had it" if row["previous_hw"] else ""
    sent = f", sent by {row['eth_src']}" if "mismatch" in row["findings"] else ""
    findings = " ".join(row["findings"]) or "-"
    clock = row["ts"].partition("T")[2].removesuffix("Z") if row["ts"] else "-"
    return f"{clock} {place or '-'}{vlan} {findings}: {row['src_ip']} is at {row['src_hw']}{before}{sent}"
