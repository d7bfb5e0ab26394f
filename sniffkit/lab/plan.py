"""From a lab to the list of operations that make it, and from two such lists to what differs. Pure: no system here."""

from __future__ import annotations

import functools
import ipaddress
import itertools
import json
import shlex
from collections.abc import Collection
from typing import Any

from sniffkit.lab import filtering, qdiscs, services
from sniffkit.lab.links import kind
from sniffkit.lab.model import HOST, Interface, LabSpec, NodeSpec
from sniffkit.lab.ops import (
    ADDRESS,
    LATE,
    LINK,
    NETNS,
    OWN,
    ROUTE,
    RULE,
    SETTLED,
    SYSCTL,
    UP,
    Op,
    address_id,
    link_id,
    netns_id,
    tool,
)
from sniffkit.lab.routing import ROUTE as ROUTE_KEYS
from sniffkit.lab.routing import RULE as RULE_KEYS
from sniffkit.lab.routing import family, text_of

# Where a sysctl is set → where it may be set for that too.
WIDER: dict[str, set[str]] = {"": set(), "all": {"all"}, "default": {"all", "default"}}


def plan(spec: LabSpec) -> list[Op]:
    """The operations in the order they run."""
    out: list[Op] = []
    for node in spec.nodes.values():
        out.append(Op(NETNS, "netns", node.name, node.name, {}, (), f"ip netns add {node.name}"))
        lo: dict[str, Any] = {"dev": "lo", "up": True}
        out.append(Op(UP, "up", node.name, "lo", lo, (netns_id(node.name),), f"ip -n {node.name} link set dev lo up"))
    made: set[tuple[str, str]] = set()
    for one in spec.interfaces.values():
        if one.point not in made:
            out.append(_link(spec, one))
            made.add(one.point)
            if one.peer is not None:
                made.add(one.peer)
        out += _interface(spec, one)
    for node in spec.nodes.values():
        if node.settings:
            out += _node(spec, node)
    return sorted(out, key=lambda op: op.stage)


def _end(one: Interface) -> dict[str, Any]:
    found: dict[str, Any] = {"node": one.node, "name": one.name}
    if one.mtu is not None:
        found["mtu"] = one.mtu
    if one.mac is not None:
        found["mac"] = one.mac
    return found


def _options(end: dict[str, Any]) -> str:
    return "".join(f" {word} {end[key]}" for word, key in (("mtu", "mtu"), ("address", "mac")) if key in end)


def _link(spec: LabSpec, one: Interface) -> Op:
    found = kind(one.kind)
    data = {key: value for key, value in one.data.items() if key not in found.apart}
    args: dict[str, Any] = {**_end(one), "kind": one.kind, "data": data}
    needs = [netns_id(one.node)]
    given = {one.node: _of_new_links(spec, one.node)}
    options = _options(args)
    words = found.line(one.data)
    ip = tool("ip", one.node)
    line = f"{ip} link add name {one.name}{options} type {one.kind}{' ' + words if words else ''}"
    if one.peer is not None:
        peer = spec.interfaces[one.peer]
        args["peer"] = _end(peer)
        needs.append(netns_id(peer.node))
        given[peer.node] = _of_new_links(spec, peer.node)
        line += f" peer name {peer.name} netns {peer.node if peer.node != HOST else 1}"
        line += _options(args["peer"])
    if any(given.values()):
        args["sysctls"] = given
    if one.parent is not None:
        node, name = one.parent
        args["parent"] = [node, name]
        needs.append(link_id(node, name))
        at = "" if node == one.node else f" netns {one.node}"
        if one.kind == "vxlan":
            line = f"{tool('ip', node)} link add name {one.name}{at}{options} type vxlan {words} dev {name}"
        else:
            line = f"{tool('ip', node)} link add link {name} name {one.name}{at}{options} type {one.kind} {words}"
    if found.how != "link":
        made = {"tun": f"{ip} tuntap add dev {one.name} mode {one.kind}"}
        line = made.get(found.how, f"ip link set dev {one.name} netns {one.node}")
        line += f" && {ip} link set dev {one.name}{options}" if options else ""
    return Op(LINK + spec.level(one), "link", one.node, one.name, args, tuple(needs), line.rstrip())


def _interface(spec: LabSpec, one: Interface) -> list[Op]:
    """What an interface gets once it is there."""
    found = kind(one.kind)
    # The second end of a pair has no operation of its own; `difference` knows that it goes with the first.
    needs, ip = (link_id(*one.point),), tool("ip", one.node)
    out: list[Op] = []
    if found.extra is not None:
        out += found.extra(one, spec)
    for address in one.addresses:
        wide = ":" not in address and ipaddress.ip_interface(address).network.prefixlen < 31
        words = f"{address}{' broadcast +' if wide else ''} dev {one.name}{' nodad' if ':' in address else ''}"
        line = f"{ip} address add {words}"
        args = {"dev": one.name, "address": address}
        out.append(Op(ADDRESS, "address", one.node, f"{one.name} {address}", args, needs, line))
    state = "up" if one.up else "down"
    line = f"{ip} link set dev {one.name} {state}"
    up: dict[str, Any] = {"dev": one.name, "up": one.up}
    out.append(Op(UP + spec.level(one), state, one.node, one.name, up, needs, line))
    if one.qdisc or one.ingress:
        out += qdiscs.operations(one)
    return out


def _node(spec: LabSpec, node: NodeSpec) -> list[Op]:
    """What a namespace gets beside its interfaces."""
    out: list[Op] = []
    given = node.settings
    needs: tuple[str, ...] = (netns_id(node.name),)
    out += _sysctls(spec, node)
    if given.get("nameserver"):
        text = "".join(f"nameserver {address}\n" for address in given["nameserver"])
        file = f"{node.name}.resolv.conf"
        line = f"# {node.name}: /etc/resolv.conf: {', '.join(given['nameserver'])}"
        out.append(Op(LATE, "file", node.name, file, {"name": file, "text": text}, needs, line))
    for route in given.get("routes", []):
        words = text_of(route, ROUTE_KEYS, "to")
        version = "-6 " if family(route["to"], route.get("via")) == 10 else ""
        to, *hops = words.partition(" nexthop")
        line = f"ip {version}-n {node.name} route add {to} proto static{''.join(hops)}"
        tied = _route_needs(spec, node, route)
        out.append(Op(ROUTE, "route", node.name, words, route, tied, line))
    for rule in given.get("rules", []):
        words = text_of(rule, RULE_KEYS, None)
        version = "-6 " if family(rule.get("from"), rule.get("to")) == 10 else ""
        line = f"ip {version}-n {node.name} rule add {words}"
        out.append(Op(RULE, "rule", node.name, words, rule, needs, line))
    out += filtering.operations(spec, node)
    out += services.operations(spec, node)
    return out


def _sysctls(spec: LabSpec, node: NodeSpec) -> list[Op]:
    """Those of the namespace, then those of its interfaces."""
    out: list[Op] = []
    wanted = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"} if node.settings.get("forward") else {}
    wanted |= node.settings.get("sysctls", {})
    devs = {one.name: one for one in spec.of(node.name)}
    order = {"": 0, "all": 0, "default": 1}
    for name in sorted(wanted, key=lambda name: order.get(_place(name)[1], 2)):
        key, where = _place(name)
        stage, needs = SYSCTL, [netns_id(node.name)]
        args = {"name": name, "value": wanted[name]}
        if where in devs:
            stage, needs = OWN, [link_id(node.name, where)]
        if where in devs and key == ("ipv6", "conf", "mtu"):  # the kernel sets it whenever an interface comes up
            stage = SETTLED
            args["dev"] = where
            needs.append(f"{'up' if devs[where].up else 'down'}:{node.name}/{where}")
        # What the kernel writes to all of them, or gives them when they are made, it writes before.
        wider = WIDER.get(where, {"all", "default", where})
        needs += [op.id for op in out if _place(op.key)[0] == key and _place(op.key)[1] in wider]
        line = f"ip netns exec {node.name} sysctl -w {shlex.quote(f'{name}={wanted[name]}')}"
        out.append(Op(stage, "sysctl", node.name, name, args, tuple(needs), line))
    return out


def _place(name: str) -> tuple[tuple[str, ...], str]:
    """A sysctl by what it sets and where: an interface, `all`, `default`; or nowhere, if it is of no such kind."""
    if name.replace("/", ".") == "net.ipv4.ip_forward":
        name = "net.ipv4.conf.all.forwarding"
    parts = name.split("/" if "/" in name else ".")
    where = parts.pop(3) if len(parts) == 5 and parts[2] in ("conf", "neigh") else ""
    return tuple(parts[1:]), where


def _of_new_links(spec: LabSpec, node: str) -> dict[str, str]:
    """The sysctls of a node that an interface gets when it is made, and not when they change."""
    found = spec.nodes[node].settings.get("sysctls", {}) if node in spec.nodes else {}
    off = (("ipv6", "conf", "disable_ipv6"), "all")
    return {name: value for name, value in found.items() if _place(name) == off or _place(name)[1] == "default"}


def _route_needs(spec: LabSpec, node: NodeSpec, route: dict[str, Any]) -> tuple[str, ...]:
    """A route goes with the interfaces it leaves by; without a `dev`, with all of its node's. Of IPv6 also with the
    addresses that make its next hops neighbours: without them the kernel would keep it, but not make it again."""
    devs = {dev for dev in [route.get("dev"), *(hop.get("dev") for hop in route.get("nexthops", []))] if dev}
    used = [one for one in spec.of(node.name) if not devs or one.name in devs]
    near = [route.get("via"), route.get("src"), *(hop["via"] for hop in route.get("nexthops", []))]
    hops = [int(ipaddress.IPv6Address(text)) for text in near if text and ":" in text]
    given = [(one.name, text, *_subnet(text)) for one in used if hops for text in one.addresses if ":" in text]
    held = [
        address_id(node.name, name, text)
        for name, text, subnet, mask in given
        if any(hop & mask == subnet for hop in hops)
    ]
    return (netns_id(node.name), *(link_id(*one.point) for one in used), *held)


@functools.cache
def _subnet(address: str) -> tuple[int, int]:
    """The subnet of an address, and its mask."""
    network = ipaddress.ip_interface(address).network
    return int(network.network_address), int(network.netmask)


def ends(op: Op) -> list[tuple[str, str]]:
    """The interfaces that a link operation makes, as (node, name)."""
    peer = op.args.get("peer")
    return [(op.node, op.args["name"]), *([(peer["node"], peer["name"])] if peer else [])]


def host_ends(op: Op) -> list[tuple[str, str]]:
    """Those of them that a lab makes in this machine's own namespace."""
    made = op.do == "link" and kind(op.args["kind"]).how != "physical"
    return [end for end in ends(op) if end[0] == HOST] if made else []


def on_host(op: Op) -> bool:
    """Whether it is about this machine's own namespace: makes, borrows or uses something there."""
    if op.do != "link":
        return op.node == HOST
    nodes = {node for node, _ in ends(op)} | {op.args["parent"][0] if "parent" in op.args else op.node}
    return HOST in nodes or kind(op.args["kind"]).how == "physical"


def named_as(old: list[Op], new: list[Op]) -> list[Op]:
    """`new`, in which services are called as the same ones in `old`: a file numbers them by their places."""

    def what(op: Op) -> str:
        return json.dumps([op.node, op.args, op.needs], sort_keys=True)

    there: dict[str, list[str]] = {}
    for op in old:
        if op.do == "service":
            there.setdefault(what(op), []).append(op.key)
    services = [op for op in new if op.do == "service"]
    keys: dict[str, str] = {}
    for op in services:
        same = there.get(what(op), [])
        if same:
            keys[op.id] = same.pop(same.index(op.key) if op.key in same else 0)
    taken = {(op.node, keys[op.id]) for op in services if op.id in keys}
    for op in services:
        if op.id not in keys:
            name = op.key.rpartition("-")[0]
            free = (key for number in itertools.count(1) if (op.node, key := f"{name}-{number}") not in taken)
            keys[op.id] = next(free) if (op.node, op.key) in taken else op.key
            taken.add((op.node, keys[op.id]))
    return [op._replace(key=keys.get(op.id, op.key)) for op in new]


def dependent(plan: list[Op], ids: set[str]) -> set[str]:
    """`ids`, and those of all operations whose result goes with theirs."""
    # Both ends of a pair are one operation; of two plans together, an end may have two.
    makers = _places([op for op in plan if op.do == "link"])
    out = set(ids)
    for op in plan:  # what an operation needs is before it in a plan
        if not out.isdisjoint(maker for need in op.needs for maker in makers.get(need, [need])):
            out.add(op.id)
    return out


def difference(old: list[Op], new: list[Op], lost: Collection[str] = ()) -> tuple[list[Op], list[Op]]:
    """What of `old` to undo, last first, and what of `new` to do, so that `old` becomes `new`.

    lost: ids of operations of `old` whose result is not there any more as it was made.
    """
    before = {op.id: op for op in old}
    after = {op.id: op for op in new}
    dropped: set[str] = set()
    more = {key for key, op in before.items() if key in lost or not _same(op, after.get(key))}
    more |= _misplaced(old, more, new)
    while more != dropped:
        dropped = dependent(old, more)
        stuck = [op for op in old if op.id in dropped and not _undoable(op, after.get(op.id))]
        # What they were done to is made anew. Journals of before rulesets needed the lab's tables do not name those.
        more = dropped.union(*([filtering.added_to(op) or op.needs[-1]] for op in stuck), _misplaced(old, dropped, new))
    undo = [op for op in reversed(old) if op.id in dropped]
    return undo, [op for op in new if op.id in dropped or op.id not in before]


def _same(op: Op, now: Op | None) -> bool:
    """Whether an operation is in another plan too. now: the one of its id there."""
    if now is None or (now.args, now.do) != (op.args, op.do):
        return False
    # Commands run in the order of what they need; sysctls are changed by it, and what services got goes with it.
    return op.do not in ("command", "sysctl", "service") or now.needs == op.needs


def _undoable(op: Op, now: Op | None) -> bool:
    """Whether an operation can be undone by itself. now: the one that takes its place."""
    if op.do == "command":
        return "undo" in op.args and filtering.added_to(op) is None
    if op.do == "port_settings":  # the kernel gives a port that joins its cost
        return "cost" not in op.args["settings"] or (now is not None and "cost" in now.args["settings"])
    return "usual" not in op.args


def _misplaced(old: list[Op], dropped: set[str], new: list[Op]) -> set[str]:
    """Addresses and rules that stay, but would not be where the kernel has them in a lab made afresh: the first of an
    interface, or of a subnet, is what packets are sent from; of rules of one priority the first is asked first. The
    kernel puts every further one last."""
    wanted = _ordered(new)
    out: set[str] = set()
    for place, found in sorted(_ordered(old).items(), reverse=True):  # firsts before what goes with them
        gone = dropped | out
        # The kernel takes the others of a subnet away with its first, or puts them elsewhere.
        out.update(one for first, one in found if first in gone)
        kept = [one for first, one in found if not {first, one} & gone]
        ordered = [one for _, one in wanted.get(place, [])]
        same = itertools.takewhile(lambda two: two[0] == two[1], zip(kept, ordered, strict=False))
        out.update(kept[len(list(same)) :])
    return out


def _ordered(plan: list[Op]) -> dict[tuple[str, str, int, bool], list[tuple[str, str]]]:
    """(node, interface or priority, version, whether they are first in their subnets) → the first of its subnet and
    itself, by ids, of each address or rule, in order: of IPv4 the kernel has addresses that are first before others."""
    firsts: dict[tuple[str, str, str], str] = {}
    out: dict[tuple[str, str, int, bool], list[tuple[str, str]]] = {}
    for op in plan:
        if op.do == "address":
            at, address = (op.node, op.args["dev"]), ipaddress.ip_interface(op.args["address"])
            first = firsts.setdefault((*at, str(address.network)), op.id) if address.version == 4 else op.id
            out.setdefault((*at, address.version, first == op.id), []).append((first, op.id))
        elif op.do == "rule":
            out.setdefault((op.node, *_asked(op), True), []).append((op.id, op.id))
    return out


def _asked(rule: Op) -> tuple[str, int]:
    """When a rule is asked, among those of its version of IP: its priority as no interface is called."""
    return f"/{rule.args['priority']}", family(rule.args.get("from"), rule.args.get("to"))


def merged(old: list[Op], *others: list[Op]) -> tuple[list[Op], set[str]]:
    """The operations of plans of which it is not known which were done, in the order they run; and the ids of those
    that are in several and not the same, or stand for the same: what is there of them may be any."""
    out = old
    differ: set[str] = set()
    for new in others:
        before = {op.id: op for op in out}
        differ |= {op.id for op in new if op.id in before and not _same(before[op.id], op)}
        there, wanted = _places(out), _places(new)
        for place in there.keys() & wanted.keys():
            if there[place] != wanted[place]:
                differ.update(there[place], wanted[place])
        out = [*out, *(op for op in new if op.id not in before or op.id in differ)]
    return sorted(out, key=lambda op: op.stage), differ


def _places(plan: list[Op]) -> dict[str, list[str]]:
    """What operations of several ids may stand for → their ids: an end of a pair, which is called by its first one;
    the addresses of an interface and the rules of a priority, whose order counts; what commands do to an interface."""
    out: dict[str, list[str]] = {}
    for op in plan:
        names = [link_id(*end) for end in ends(op)] if op.do == "link" else []
        if op.do in ("address", "command"):
            names = [f"{op.do}:{op.node}/{op.key.partition(' ')[0]}"]
        if op.do == "rule":
            names = [f"rule:{op.node}{_asked(op)}"]
        for name in names:
            out.setdefault(name, []).append(op.id)
    return out
