"""`sniffkit interfaces`: what can be captured on, in any namespace."""

from __future__ import annotations

import sys
from typing import Any

import click

from sniffkit.cli import say

# column → type (sniffkit.rows.TYPES)
COLUMNS = {
    "netns": "text", "name": "text", "kind": "text", "state": "text", "mac": "text", "mtu": "u32", "addresses": "names",
    "peer": "text", "master": "text", "vlan_id": "u16", "vni": "u32",
}  # fmt: skip


@click.command()
@click.option("--netns", metavar="NAME|all", help="This namespace (name, path or PID), or all of them.")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def interfaces(ctx: click.Context, /, netns: str | None, out: str | None, json: bool) -> None:
    """List interfaces: kind, state, addresses, a veth's other end with its namespace, master, VLAN id, VNI.

    Exit 1 if there is none, or a namespace may not be entered. `peer` is IF in the same namespace, NS/IF in another;
    one without a name is called by the PID of a process in it.

    \b
    Examples:
      sniffkit interfaces
      sniffkit interfaces --netns all
      sniffkit interfaces --netns ns1 --json
    """
    from sniffkit.netlink import all_interfaces, own_name, shown
    from sniffkit.sinks import Output, write_rows

    output = Output(out, json, sys.stdout.isatty())
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    found = all_interfaces(netns, refused)
    own = own_name() if any((one.peer or "").startswith("/") for one in found) else ""
    for one in found:
        row = {column: getattr(one, column) for column in COLUMNS}
        row["addresses"] = list(one.addresses)
        if one.peer is not None and one.peer.startswith("/"):
            row["peer"] = own + one.peer
        for column in ("netns", "name", "peer", "master"):
            row[column] = None if row[column] is None else shown(row[column])
        rows.append(row)
    write_rows("interfaces", rows, COLUMNS, output)
    if refused:
        names = " ".join(map(shown, refused))
        say(f"sniffkit: not listed, for want of CAP_SYS_ADMIN (run it with sudo): {names}")
    ctx.exit(0 if rows and not refused else 1)
