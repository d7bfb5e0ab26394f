"""The keys of a lab file, level by level: what the parser accepts and what the published JSON schema says."""

from __future__ import annotations

from typing import Any

from sniffkit.lab import expectations, filtering, qdiscs, services
from sniffkit.lab.expectations import ACTION, EXPECT, Action
from sniffkit.lab.links import KINDS, kind
from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.routing import SYSCTL_NAME, SYSCTL_VALUE, Route, Rule, slot_of
from sniffkit.lab.schema import Choice, Flag, Ip, Key, Keys, ListOf, MapOf, NodeName, Text, nearest
from sniffkit.lab.spec import INTERFACE

NODE: dict[str, Key] = {
    "forward": Key(Flag(), "route between its interfaces, IPv4 and IPv6 (false)"),
    "sysctls": Key(MapOf(SYSCTL_NAME, SYSCTL_VALUE), "kernel settings below net"),
    "routes": Key(ListOf(Route), "static routes"),
    "rules": Key(ListOf(Rule), "policy routing: which table a packet is routed by"),
    "nat": Key(ListOf(filtering.NAT), "address translation"),
    "firewall": Key(filtering.FIREWALL, "packet filter"),
    "nft": Key(Text("an nftables ruleset"), "further nftables rules, as `nft -f` takes them"),
    "nameserver": Key(ListOf(Ip), "name servers: its own /etc/resolv.conf"),
    "services": Key(services.Services(), "programs that run with the lab"),
}
LAB: dict[str, Key] = {
    "name": Key(Text("a lab's name", r"(?!\.)[A-Za-z0-9_.-]{1,60}"), "name of the lab (the file's)"),
    "description": Key(Text(), "what it shows"),
    "nodes": Key(Text(), "namespaces: a list of names, or a mapping from names to settings"),
    "links": Key(Text(), "interfaces: `NODE/IF: settings`, two in one item for a pair"),
    "bridges": Key(Text(), "switches: `NODE/IF: [ports]`, or `NODE/IF: settings` as those of kind bridge"),
    "traffic": Key(ListOf(Action(ACTION)), "what `lab check` does before it looks"),
    "expect": Key(ListOf(Action(EXPECT)), "what `lab check` proves"),
}


def interface_keys(name: str) -> dict[str, Key]:
    """The keys of an interface of one kind."""
    found = kind(name)
    keys = {"kind": Key(Choice(name), found.doc), **INTERFACE}
    if found.parent != "no":
        keys["link"] = Key(Text("an interface"), "the interface it stands on, IF or NODE/IF", found.parent == "must")
    keys["qdisc"] = Key(qdiscs.QDISC, "queueing discipline of what goes out")
    keys["ingress"] = Key(qdiscs.INGRESS, "what becomes of what comes in")
    return {**keys, **found.keys}


def check_whole(spec: LabSpec) -> None:
    """What nodes and expectations name must be there."""
    for node in spec.nodes.values():
        _check_node(spec, node)
    expectations.check(spec)


def _check_node(spec: LabSpec, node: NodeSpec) -> None:
    """Interfaces that routes, rules and NAT name must be there."""
    names = [one.name for one in spec.of(node.name)] + ["lo"]
    slots: set[object] = set()
    for number, route in enumerate(node.settings.get("routes", [])):
        path = (*node.path, "routes", number)
        slot = slot_of(route)
        if slot in slots:
            there = f"{node.name}: a route to {route['to']} of this table and metric is there already"
            spec.source.refuse(path, there)
        slots.add(slot)
        if "via" not in route and "dev" not in route and not route.get("nexthops") and "type" not in route:
            raise spec.source.error(path, f"{node.name}: a route needs via, dev or nexthops")
        for dev in [route.get("dev"), *(hop.get("dev") for hop in route.get("nexthops", []))]:
            if dev is not None and dev not in names:
                raise spec.source.error(path, f"{node.name}: no interface {node.name}/{dev}{nearest(dev, names)}")
    for number, rule in enumerate(node.settings.get("rules", [])):
        path = (*node.path, "rules", number)
        if ("table" in rule) == ("action" in rule):
            raise spec.source.error(path, f"{node.name}: a rule needs a table or an action")
        for dev in [rule[key] for key in ("iif", "oif") if key in rule]:
            if dev not in names:
                raise spec.source.error(path, f"{node.name}: no interface {node.name}/{dev}{nearest(dev, names)}")
    filtering.check(spec, node, names)
    services.check(spec, node)


def json_schema() -> dict[str, Any]:
    """The published JSON schema (draft 2020-12) of a lab file."""
    ends: list[dict[str, Any]] = []
    for name in KINDS:
        one: dict[str, Any] = {"$ref": "#/$defs/bridge"} if name == "bridge" else Keys(interface_keys(name)).schema()
        if name != "veth":
            one["required"] = sorted({"kind", *one.get("required", [])})
        ends.append(one)
    address = INTERFACE["address"].type.schema()
    end = {"anyOf": [{"$ref": "#/$defs/interface"}, address]}
    item = {"type": "object", "patternProperties": {"^[^/]+/[^/]+$": end}, "additionalProperties": False}
    item |= {"minProperties": 1, "maxProperties": 2}
    link = {"anyOf": [item, {"type": "array", "items": {"anyOf": [item, {"type": "string"}]}, "maxItems": 2}]}
    node = {"anyOf": [Keys(NODE).schema(), {"type": "null"}]}
    top = Keys(LAB).schema()
    top["properties"]["nodes"] = {
        "description": LAB["nodes"].doc,
        "anyOf": [
            {"type": "array", "items": NodeName.schema()},
            {"type": ["object", "null"], "additionalProperties": node},
        ],
    }
    top["properties"]["links"] = {"description": LAB["links"].doc, "type": ["array", "null"], "items": link}
    bridge = {"anyOf": [{"$ref": "#/$defs/bridge"}, interface_keys("bridge")["ports"].type.schema()]}
    top["properties"]["bridges"] = {"description": LAB["bridges"].doc, "type": ["object", "null"]}
    top["properties"]["bridges"] |= {"patternProperties": {"^[^/]+/[^/]+$": bridge}, "additionalProperties": False}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "sniffkit lab"}
    types = {"bridge": Keys(interface_keys("bridge")).schema(), "interface": {"anyOf": ends}}
    return {**head, **top, "$defs": types}
