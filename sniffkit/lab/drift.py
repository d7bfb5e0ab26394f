"""What of a lab that is up is not there any more, or not as it was made: `up` puts it right.

Only what the lab made is looked at. Further addresses, routes or rules that somebody added stay.
"""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sniffkit.errors import LabError
from sniffkit.lab import namespaces, processes, wire
from sniffkit.lab.actions import sysctl_value
from sniffkit.lab.engine import Engine
from sniffkit.lab.filtering import FILLED
from sniffkit.lab.links import kind
from sniffkit.lab.links.bridge import port_attributes
from sniffkit.lab.model import HOST
from sniffkit.lab.observe import IPV6_METRIC, Seen, SeenLink, see, see_links
from sniffkit.lab.ops import Op
from sniffkit.lab.plan import ends
from sniffkit.lab.routing import family, table_of

ZERO = ipaddress.ip_network("0.0.0.0/8")

# NODE/IF → index and MTU of an interface when it was made.
Links = dict[str, list[int]]

# What the kernel counts in what `shown` looks at: macsec's next packet numbers, what passed htb's classes.
COUNTERS = re.compile(r"\b(?:PN|packets|bytes|direct_packets_stat|refcnt) \d+")


def gone(engine: Engine, plan: list[Op], shown: dict[str, str], links: Links | None = None) -> set[str]:
    """The ids of the operations of a plan whose result is not there.

    shown, links: what `shown_now` and `links_now` said when it was made.
    """
    inodes = {entry["node"]: entry["inode"] for entry in engine.journal.of("netns")}
    lost = {op.node for op in plan if op.do == "netns" and namespaces.inode(op.node) != (inodes.get(op.node) or -1)}
    nodes = {op.node for op in plan if op.do == "netns"} - lost
    there = {node: see(engine.socket(node)) for node in [*nodes, HOST]}
    running = set(processes.find(processes.token(engine.journal)))
    pids = {entry["id"]: entry["pid"] for entry in engine.journal.of("process")}
    now = shown_now(op for op in plan if op.node in there)
    out = set()
    for op in plan:
        if op.node in lost:
            missing = True
        elif op.do == "service":
            missing = pids.get(op.id) not in running or not _gave(engine, there[op.node], op)
        elif op.do == "file":
            missing = not os.path.exists(engine.journal.directory / op.args["name"])
        elif op.do == "sysctl":
            engine.enter(op.node)
            value = sysctl_value(op.args["name"])
            missing = value is not None and value.split() != op.args["value"].split()
        elif op.do == "command":
            missing = _key(op) is not None and shown.get(_key(op) or "") != now.get(_key(op) or "")
        else:
            missing = op.do in LOOK and not LOOK[op.do](there, op)
            if op.do == "link" and not missing and links:
                made = {end: links["/".join(end)][1] for end in ends(op) if "/".join(end) in links}
                if op.args.get("kind") == "bridge":  # its MTU is the least of its ports, others' too
                    made = {}
                missing = any(there[node].links[name].mtu != mtu for (node, name), mtu in made.items())
        if missing:
            out.add(op.id)
    return out


def _gave(engine: Engine, seen: Seen, op: Op) -> bool:
    """Whether an interface has the address that a service wrote down that it gave it."""
    dev, name = op.args.get("gives", ("", ""))
    file = engine.journal.directory / name
    given = file.read_text().strip() if name and file.exists() else ""
    return not given or given in seen.addresses.get(dev, [])


def taken(engine: Engine, plan: list[Op], nodes: Collection[str]) -> set[str]:
    """The ids of addresses and routes of these nodes that are not there: the kernel takes the further addresses of a
    subnet with its first, and routes with the last address of their interface, or with the one that they send from."""
    found = [op for op in plan if op.do in ("address", "route") and op.node in nodes]
    there = {node: see(engine.socket(node)) for node in {op.node for op in found}}
    return {op.id for op in found if not LOOK[op.do](there, op)}


def links_now(engine: Engine, plan: Iterable[Op]) -> Links:
    """What the kernel chose of the interfaces of a plan that was made."""
    points = [end for op in plan if op.do == "link" for end in ends(op)]
    there = {node: see_links(engine.socket(node)) for node in {node for node, _ in points}}
    found = {(node, name): there[node].get(name) for node, name in points}
    return {"/".join(point): [one.index, one.mtu] for point, one in found.items() if one is not None}


def _key(op: Op) -> str | None:
    """What tells apart what two operations show."""
    if "shows" not in op.args:
        return None
    argv, text = op.args["shows"]
    return f"{op.node}: {' '.join(argv)}: {text}"


def shown_now(plan: Iterable[Op]) -> dict[str, str]:
    """What the commands say that show what a plan's commands made, without counters and what packets fill."""
    out: dict[str, str] = {}
    for op in plan:
        key = _key(op)
        if key is None or key in out:
            continue
        argv, text = op.args["shows"]
        done = subprocess.run(
            processes.inside_argv(op.node, argv, []),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": processes.search_path()},
            timeout=processes.COMMAND_SECONDS,
        )
        out[key] = FILLED.sub(r"\1", COUNTERS.sub("", done.stdout)) if done.returncode == 0 else ""
    return out


# How each kind of operation is looked for: whether it is there.


def _link(there: dict[str, Seen], op: Op) -> bool:
    for node, name in ends(op):
        if node not in there or name not in there[node].links:
            return False
    args, found = op.args, kind(op.args["kind"])
    one = there[op.node].links[args["name"]]
    return (found.how != "link" or one.kind == found.name) and not list(_other(there, op))


def _other(there: Mapping[str, Seen], op: Op) -> Iterator[str]:
    """In what the links of an operation, which are there, are other than they were asked for."""
    args, found = op.args, kind(op.args["kind"])
    if found.how == "link":
        one = there[op.node].links[args["name"]]
        for key, (given, asked) in found.differing(args["data"], one.data).items():
            yield f"{op.node}/{one.name}: the kernel gave it another {key}: {given}, not {asked}"
    for end in _asked(op):
        seen = there[end["node"]].links[end["name"]]
        for key, value in (("mtu", seen.mtu), ("mac", seen.mac)):
            if end.get(key, value) != value:
                yield f"{end['node']}/{seen.name}: the kernel gave it {key} {value}, not {end[key]}"


def _asked(op: Op) -> list[dict[str, Any]]:
    """What is asked of each end."""
    return [op.args, op.args["peer"]] if "peer" in op.args else [op.args]


def refuse_other(engine: Engine, made: Iterable[Op]) -> None:
    """Raises LabError for the first link, of those just made, to which the kernel gave something else without a word:
    each `up` after it would take it for changed."""
    made = [op for op in made if op.do == "link"]
    links = [op for op in made if op.args["data"] or any({"mtu", "mac"} & set(end) for end in _asked(op))]
    there = {node: Seen(see_links(engine.socket(node))) for node in {node for op in links for node, _ in ends(op)}}
    for op in links:
        if all(name in there[node].links for node, name in ends(op)):  # somebody may have taken it meanwhile
            for words in _other(there, op):
                raise LabError(words)


def _named(there: dict[str, Seen], op: Op) -> SeenLink | None:
    return there[op.node].links.get(op.args["dev"])


def _up(there: dict[str, Seen], op: Op) -> bool:
    one = _named(there, op)
    return one is not None and one.up


def _down(there: dict[str, Seen], op: Op) -> bool:
    return not _up(there, op)


def _port(there: dict[str, Seen], op: Op) -> bool:
    one = _named(there, op)
    return one is not None and there[op.node].name(one.master) == str(op.args["master"])


def _port_settings(there: dict[str, Seen], op: Op) -> bool:
    one = _named(there, op)
    wanted = wire.attributes(port_attributes(op.args["settings"]))
    return one is not None and not [number for number, data in wanted.items() if one.slave.get(number) != data]


def _bridge_vlan(there: dict[str, Seen], op: Op) -> bool:
    return there[op.node].vlans.get(op.args["dev"], {}).get(op.args["vid"]) == int(op.args["flags"])


def _no_vlan(there: dict[str, Seen], op: Op) -> bool:
    return op.args["vid"] not in there[op.node].vlans.get(op.args["dev"], {})


def _fdb(there: dict[str, Seen], op: Op) -> bool:
    return (op.args["dev"], op.args["mac"], op.args["dst"]) in there[op.node].fdb


def _address(there: dict[str, Seen], op: Op) -> bool:
    seen, dev, address = there[op.node], op.args["dev"], op.args["address"]
    if address not in seen.addresses.get(dev, []):
        return False
    network = ipaddress.ip_interface(address).network
    # While the interface is up its subnet is in the main table, unless somebody took it out, or the kernel makes none.
    alone = network.prefixlen in (0, network.max_prefixlen) or network.is_multicast or network.network_address in ZERO
    return alone or not seen.links[dev].up or (dev, str(network)) in seen.connected


def route_key(given: dict[str, Any]) -> dict[str, Any]:
    """A route with its defaults, so that two can be compared."""
    version = family(given["to"], given.get("via"), *(hop.get("via") for hop in given.get("nexthops", [])))
    hops = [{"weight": 1, **hop} for hop in given.get("nexthops", [])]
    defaults = {"type": "unicast", "table": table_of(given), "metric": IPV6_METRIC if version == 10 else 0}
    to = "default" if given["to"] in ("0.0.0.0/0", "::/0") else given["to"]
    return {**defaults, **given, "to": to, "nexthops": hops, "version": version}


def _route(there: dict[str, Seen], op: Op) -> bool:
    wanted = route_key(op.args)
    return any(_covers(route_key(one), wanted) for one in there[op.node].routes)


def _covers(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a route is the one that was asked for: what was not said (dev, src) may be anything."""
    if any(found.get(key) != value for key, value in wanted.items() if key != "nexthops"):
        return False
    if wanted["nexthops"] and ("via" in found) != ("via" in wanted):
        return False
    hops = list(found["nexthops"])
    for hop in wanted["nexthops"]:
        same = [one for one in hops if all(one.get(key) == value for key, value in hop.items())]
        if not same:
            return False
        hops.remove(same[0])
    return not hops


def _rule(there: dict[str, Seen], op: Op) -> bool:
    def key(given: dict[str, Any]) -> dict[str, Any]:
        return {"version": family(given.get("from"), given.get("to"))} | {
            name: value for name, value in given.items() if value not in ("default", "0.0.0.0/0", "::/0")
        }

    return any(key(one) == key(op.args) for one in there[op.node].rules)


LOOK = {
    "link": _link,
    "up": _up,
    "down": _down,
    "port": _port,
    "port_settings": _port_settings,
    "bridge_vlan": _bridge_vlan,
    "no_vlan": _no_vlan,
    "fdb": _fdb,
    "address": _address,
    "route": _route,
    "rule": _rule,
}
