"""The keys of a lab file, level by level: what the parser accepts and what the published JSON schema says."""

from __future__ import annotations

from typing import Any

from sniffkit.lab import filtering, qdiscs, services
from sniffkit.lab.links import KINDS, kind
from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.routing import SYSCTL_NAME, Route, Rule
from sniffkit.lab.schema import Choice, Flag, Int, Ip, Key, Keys, ListOf, MapOf, Text, nearest
from sniffkit.lab.spec import INTERFACE
from sniffkit.lab.yamlfile import Path, Source

Where = Text("NODE/IF", r"[^\s/]+/[^\s/]+")
Filter = Text("a capture filter such as 'icmp and host 10.0.0.1'")

ACTION = {
    "from": Key(Text("a node's name"), "the node that does it", required=True),
    "ping": Key(Text("an address or a node"), "ICMP echo to this address, or this node's first"),
    "count": Key(Int(1, 1000), "so many pings (1)"),
    "size": Key(Int(0, 65507), "bytes of payload of a ping"),
    "http": Key(Text("a URL", r"https?://\S+"), "fetch this URL"),
    "tcp": Key(Text("ADDRESS:PORT", r"\S+:[0-9]+"), "open and close a connection"),
    "dns": Key(Text("a host name"), "ask the node's name server for its address"),
    "path": Key(Text("an address or a node"), "follow the way there, hop by hop"),
    "run": Key(Text("a command"), "run a shell command"),
    "lease": Key(Text("an interface"), "wait until this interface has an address it was not given by the file"),
}
ACTS = ("ping", "http", "tcp", "dns", "path", "run", "lease")
EXPECT = {
    **ACTION,
    "name": Key(Text(), "what this expectation is called"),
    "fails": Key(Flag(), "it must not work: isolation, a firewall (false)"),
    "hops": Key(ListOf(Ip), "path: the routers on the way, then the target"),
    "status": Key(Int(100, 599), "http: the status (200)"),
    "answer": Key(Ip, "dns: the address"),
    "output": Key(Text("a regular expression"), "run, http: found in what comes out"),
    "in": Key(Text("a network", r"[0-9a-fA-F.:]+/[0-9]+"), "lease: the network of the address"),
    "sees": Key(MapOf(Where, Filter), "NODE/IF: filter; a matching frame must pass there meanwhile"),
    "never": Key(MapOf(Where, Filter), "NODE/IF: filter; no matching frame may pass there meanwhile"),
}


class Action(Keys):
    """A mapping with one thing to do; `a -> b` and `a !> b` are short for a ping that works and one that must not."""

    def parse(self, value: Any, path: Path, source: Source) -> dict[str, Any]:
        if isinstance(value, str):
            for arrow, fails in ((" -> ", False), (" !> ", True)):
                start, found, target = value.partition(arrow)
                if found:
                    value = {"from": start.strip(), "ping": target.strip()}
                    if fails:
                        value["fails"] = True
                    break
            else:
                raise source.error(path, f"{value!r} is neither a mapping nor 'NODE -> ADDRESS' nor 'NODE !> ADDRESS'")
        out = super().parse(value, path, source)
        acts = [name for name in ACTS if name in out]
        if len(acts) != 1:
            raise source.error(path, f"one of {' '.join(ACTS)} is needed, this has {' and '.join(acts) or 'none'}")
        return out

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": " [-!]> "}, super().schema()]}


NODE: dict[str, Key] = {
    "forward": Key(Flag(), "route between its interfaces, IPv4 and IPv6 (false)"),
    "sysctls": Key(MapOf(SYSCTL_NAME, Text("a value")), "kernel settings below net"),
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


def check_node(spec: LabSpec, node: NodeSpec) -> None:
    """Interfaces that routes, rules and NAT name must be there."""
    names = [one.name for one in spec.of(node.name)] + ["lo"]
    for number, route in enumerate(node.settings.get("routes", [])):
        path = (*node.path, "routes", number)
        if "via" not in route and "dev" not in route and not route.get("nexthops") and "type" not in route:
            raise spec.source.error(path, f"{node.name}: a route needs via, dev or nexthops")
        for dev in [route.get("dev"), *(hop.get("dev") for hop in route.get("nexthops", []))]:
            if dev is not None and dev not in names:
                raise spec.source.error(path, f"{node.name}: no interface {node.name}/{dev}{nearest(dev, names)}")
    for number, rule in enumerate(node.settings.get("rules", [])):
        if ("table" in rule) == ("action" in rule):
            raise spec.source.error((*node.path, "rules", number), f"{node.name}: a rule needs a table or an action")
    filtering.check(spec, node)
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
        "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "object", "additionalProperties": node}],
    }
    top["properties"]["links"] = {"description": LAB["links"].doc, "type": ["array", "null"], "items": link}
    bridge = {"anyOf": [{"$ref": "#/$defs/bridge"}, interface_keys("bridge")["ports"].type.schema()]}
    top["properties"]["bridges"] = {"description": LAB["bridges"].doc, "type": ["object", "null"]}
    top["properties"]["bridges"] |= {"patternProperties": {"^[^/]+/[^/]+$": bridge}, "additionalProperties": False}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "sniffkit lab"}
    types = {"bridge": Keys(interface_keys("bridge")).schema(), "interface": {"anyOf": ends}}
    return {**head, **top, "$defs": types}
