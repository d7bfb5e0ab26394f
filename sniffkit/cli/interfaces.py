"""`sniffkit interfaces`: what can be captured on, in any namespace."""

from __future__ import annotations

import sys
from typing import Any

import click

COLUMNS = ("netns", "name", "kind", "state", "mac", "mtu", "addresses", "peer", "master", "vlan_id", "vni")


@click.command()
@click.option("--netns", metavar="NAME|all", help="This namespace (name, path or PID), or all of them.")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def interfaces(ctx: click.Context, /, netns: str | None, out: str | None, json: bool) -> None:
    """List interfaces: kind, state, addresses, a veth's other end with its namespace, master, VLAN id, VNI.

    \b
    Examples:
      sniffkit interfaces
      sniffkit interfaces --netns all
      sniffkit interfaces --netns ns1 --json
    """
    from sniffkit.netlink import all_interfaces
    from sniffkit.sinks import Output, write_rows

    output = Output(out, json, sys.stdout.isatty())
    rows: list[dict[str, Any]] = []
    for one in all_interfaces(netns):
        row = {column: getattr(one, column) for column in COLUMNS}
        row["addresses"] = list(one.addresses)
        rows.append(row)
    write_rows(rows, COLUMNS, output)
    ctx.exit(0 if rows else 1)
