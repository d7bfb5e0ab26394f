"""What of a lab that is up is not there any more: somebody deleted it, or it died. `up` makes it anew."""

from __future__ import annotations

import os

from sniffkit.lab import namespaces, processes
from sniffkit.lab.model import HOST
from sniffkit.lab.ops import Op
from sniffkit.lab.plan import ends
from sniffkit.lab.state import Journal
from sniffkit.netlink import links


def gone(journal: Journal, plan: list[Op]) -> set[str]:
    """The ids of namespaces, interfaces, addresses and services of a plan that are not there."""
    inodes = {entry["node"]: entry["inode"] for entry in journal.of("netns")}
    nodes = {op.node for op in plan if op.do == "netns"}
    out = {op.id for op in plan if op.do == "netns" and namespaces.inode(op.node) != inodes.get(op.node)}
    there: dict[str, dict[str, list[str]]] = {}
    for node in [*nodes, HOST]:
        if namespaces.inode(node) is not None or node == HOST:
            there[node] = {one.name: one.addresses for one in links(None if node == HOST else node)}
    running = set(processes.find(processes.token(journal)))
    pids = {entry["id"]: entry["pid"] for entry in journal.of("process")}
    for op in plan:
        if op.do == "link":
            missing = any(name not in there.get(node, {}) for node, name in ends(op))
        elif op.do == "address":
            missing = op.args["address"] not in there.get(op.node, {}).get(op.args["dev"], [])
        elif op.do == "service":
            missing = pids.get(op.id) not in running
        elif op.do == "file":
            missing = not os.path.exists(journal.directory / op.args["name"])
        else:
            continue
        if missing:
            out.add(op.id)
    return out
