"""`sniffkit hosts`: who is there, from what traffic tells, without sending anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.cli.live import live_options_as, refuse_live_options, say_dropped, watch
from sniffkit.cli.progress import counter
from sniffkit.cli.rows import split
from sniffkit.cli.table import row_options
from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit.tables import Table

SHORT = ["ip", "mac", "vendor", "hostname", "os_guess", "os_confidence", "netns", "first_seen", "last_seen", "pkts",
         "bytes", "ports", "services", "source"]  # fmt: skip
NEWS_EVERY = 0.5  # seconds between two looks at what is new
SNAP_LEN = 2048  # bytes of a frame: DNS answers of any usual size (RFC 9715: 1400)


@click.command("hosts")
@click.argument("file", nargs=-1, type=click.Path())
@live_options_as(
    "Watch interfaces, tell each new host at once, show the table at ^C.", "With --live: where; all if none."
)
@click.option("--scan", metavar="XML", help="Merge in what nmap found: its XML (scan --xml, nmap -oX).")
@row_options
@click.pass_context
def hosts(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """Hosts by what their traffic tells: addresses, vendor, name, system, what they offer. Nothing is sent.

    source says where a row comes from: arp, nd, dhcp, dns, tcp, udp, ip, nmap. An address that two stations claim has
    two rows. Without FILE: the newest capture. --live tells of each host when it is new and when its mac, hostname, os
    or ports change: as lines on stderr, with --json as objects that have `news`; the whole table comes at the end (^C).
    --where chooses among both; --sort and --limit are the table's. Exit 1 if no host was seen.

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
        say(f"sniffkit: {options['scan']}: {why}; the hosts before are kept")
    wanted = None if query else columns
    with damage_as_lines() as damage:
        table = (
            live_table(given, options, wanted, scan) if options["live"] else file_table(given, options, wanted, scan)
        )
        with counter("frames", sys.stderr) as table.progress:
            rows = write(table, out, columns=columns if query else None, **query)
    return 1 if damage or rows == 0 or (scan is not None and not scan.complete) else 0


def file_table(given: tuple[str, ...], options: dict[str, Any], columns: list[str] | None, scan: Any) -> Table:
    """The hosts of capture files."""
    from sniffkit.api import open as open_capture

    refuse_live_options(options)
    return open_capture(files(given)).hosts(columns=columns, filter=options["filter"], scan=scan)


def live_table(given: tuple[str, ...], options: dict[str, Any], columns: list[str] | None, scan: Any) -> Table:
    """The hosts seen on live interfaces until ^C; what is new is told at once."""
    import pyarrow as pa

    from sniffkit.hosts import COLUMNS, hosts_table
    from sniffkit.query import select
    from sniffkit.rows import RowTable
    from sniffkit.tables import Result

    # A column, condition or order that is wrong is said now, not at the end.
    asked = split(options["columns"])
    RowTable("hosts", COLUMNS, list, asked)
    if options["where"] or options["sort"]:
        select(RowTable("hosts", COLUMNS, list).to_arrow(), None, where=options["where"], sort=options["sort"])
    live = watch("hosts", given, options, snap_len=SNAP_LEN, news=NEWS_EVERY)
    chunks = []
    for table in live:
        if "news" in table.column_names:
            tell(table, options["json"], asked, options["where"])
        else:
            chunks.append(table)
    say_dropped(live, "hosts")
    if not chunks:
        raise SniffkitError("no host was seen", exit_code=1)
    data = pa.concat_tables(chunks).replace_schema_metadata(chunks[-1].schema.metadata)
    return hosts_table(Result("hosts", data), columns, scan)


def tell(table: pa.Table, json: bool, columns: list[str] | None, where: str | None) -> None:
    """Print hosts with news, those that `where` is true of."""
    from sniffkit.hosts import with_vendors
    from sniffkit.query import select
    from sniffkit.sinks import core
    from sniffkit.sinks.flat import flatten

    table = with_vendors(table)
    if where is not None:
        table = select(table, None, where=where)
    if json:
        wanted = table if columns is None else table.select([*columns, "news"])
        core.write(wanted, sys.stdout.buffer, ".jsonl")
        sys.stdout.flush()
        return
    clocks = flatten(table.select(["last_seen"])).column(0).to_pylist()
    for clock, row in zip(clocks, table.drop_columns(["first_seen", "last_seen"]).to_pylist(), strict=True):
        say(line(clock, row))


def line(seen: str | None, row: dict[str, Any]) -> str:
    """One host for a person: when, where, what is new, what is known."""
    clock = seen.partition("T")[2].removesuffix("Z") if seen else "-"
    what = [f"{row['ip']}" + (f" is at {row['mac']}" if row["mac"] else "")]
    what[0] += f" ({row['vendor']})" if row["vendor"] else ""
    if row["hostname"]:
        what.append(f"{row['hostname']} ({row['hostname_source']})")
    if row["os_guess"]:
        what.append(f"{row['os_guess']} {row['os_confidence']} %")
    if row["ports"]:
        services = f" ({' '.join(row['services'])})" if row["services"] else ""
        what.append(f"answers on {' '.join(map(str, row['ports']))}{services}")
    return f"{clock} {row['netns'] or '-'} {' '.join(row['news'])}: {', '.join(what)}"
