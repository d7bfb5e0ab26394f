"""`sniffkit hosts`: who is there, from what traffic tells, without sending anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.cli.progress import counter
from sniffkit.cli.table import row_options, split
from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from sniffkit.tables import Table

SHORT = ["ip", "mac", "vendor", "hostname", "os_guess", "os_confidence", "netns", "first_seen", "last_seen", "pkts",
         "bytes", "ports", "services", "source"]  # fmt: skip


@click.command("hosts")
@click.argument("file", nargs=-1, type=click.Path())
@click.option("--live", is_flag=True, help="Watch interfaces until ^C or --duration, then show the table.")
@click.option("--netns", metavar="NS", help="With --live: namespace of the interfaces without one.")
@click.option(
    "-i", "--interface", "interface", multiple=True, metavar="[NS/]IF", help="With --live: where; all if none."
)
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="With --live: end after S s."
)
@click.option("--scan", metavar="XML", help="Merge in what nmap found: its XML (scan --xml, nmap -oX).")
@row_options
@click.pass_context
def hosts(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """Hosts by what their traffic tells: addresses, vendor, name, system, what they offer. Nothing is sent.

    source says where a row comes from: arp, nd, dhcp, dns, tcp, udp, ip, nmap. An address that two stations claim has
    two rows. Without FILE: the newest capture.

    \b
    Examples:
      sniffkit hosts lab.pcapng
      sniffkit hosts lab.pcapng --scan scan.xml --where "list_contains(source, 'nmap')"
      sniffkit hosts --live --netns client --duration 30 -o hosts.parquet
    """
    ctx.exit(run(file, options))


def run(given: tuple[str, ...], options: dict[str, Any]) -> int:
    """Make the table and show it; 1 if it is empty or a capture is damaged."""
    from sniffkit.hosts import scan_result
    from sniffkit.sinks import Output, write

    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=options["columns"] is None)
    columns = split(options["columns"]) or (SHORT if out.is_screen else None)
    query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
    scan = scan_result(options["scan"])
    if scan is not None and not scan.complete:
        why = next((one.damage for one in scan.reports if one.damage), "nmap did not come to its end")
        print(f"sniffkit: {options['scan']}: {why}; the hosts before are kept", file=sys.stderr)
    wanted = None if query else columns
    with damage_as_lines() as damage:
        table = live_table(options, wanted, scan) if options["live"] else file_table(given, options, wanted, scan)
        with counter("frames", sys.stderr) as table.progress:
            rows = write(table, out, columns=columns if query else None, **query)
    return 1 if damage or rows == 0 or (scan is not None and not scan.complete) else 0


def file_table(given: tuple[str, ...], options: dict[str, Any], columns: list[str] | None, scan: Any) -> Table:
    """The hosts of capture files."""
    from sniffkit.api import open as open_capture

    if options["netns"] or options["interface"] or options["duration"]:
        raise SniffkitError("--netns, -i and --duration go with --live")
    return open_capture(files(given)).hosts(columns=columns, filter=options["filter"], scan=scan)


def live_table(options: dict[str, Any], columns: list[str] | None, scan: Any) -> Table:
    """The hosts seen on live interfaces until ^C."""
    import pyarrow as pa

    from sniffkit.hosts import hosts_table
    from sniffkit.livetable import LiveTable
    from sniffkit.scan.evidence import capture_points
    from sniffkit.tables import Result

    points = options["interface"] or capture_points(options["netns"])
    live = LiveTable("hosts", points, options["netns"], options["duration"], 1024, None, options["filter"])
    live.stop_on_signals()
    print(f"sniffkit: watching {', '.join(live.session.names)}", file=sys.stderr, flush=True)
    chunks = list(live)
    if live.dropped:
        print(f"sniffkit: {live.dropped} frames dropped by the kernel: hosts may be missing", file=sys.stderr)
    if not chunks:
        raise nothing_seen()
    data = pa.concat_tables(chunks)
    return hosts_table(Result("hosts", data), columns, scan)


def nothing_seen() -> SniffkitError:
    """The error for a watch without a single packet."""
    error = SniffkitError("no host was seen")
    error.exit_code = 1
    return error
