"""What `lab check` does and proves: the keys of `traffic` and `expect`, and whether what they name is in the lab."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from sniffkit.lab.model import LabSpec
from sniffkit.lab.schema import Flag, Int, Ip, Key, Keys, ListOf, MapOf, Subnet, Text, nearest
from sniffkit.lab.yamlfile import Path, Source


class Pattern(Text):
    """A regular expression of Python's."""

    def __init__(self) -> None:
        super().__init__("a regular expression")

    def parse(self, value: Any, path: Path, source: Source) -> str:
        text = super().parse(value, path, source)
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise source.error(path, f"{path[-1]}: {text!r} is not {self.words}: {error}") from None
        return text


class Endpoint(Text):
    """Where a connection goes to."""

    def __init__(self) -> None:
        super().__init__("ADDRESS:PORT, with a port from 1 to 65535", r"\S+:[0-9]+")

    def parse(self, value: Any, path: Path, source: Source) -> str:
        text = super().parse(value, path, source)
        if not 1 <= int(text.rpartition(":")[2][:6]) <= 65535:
            raise self.wrong(value, path, source)
        return text


Where = Text("NODE/IF", r"[^\s/]+/[^\s/]+")
Filter = Text("a capture filter such as 'icmp and host 10.0.0.1'")

ACTION = {
    "from": Key(Text("a node's name"), "the node that does it", required=True),
    "ping": Key(Text("an address or a node"), "ICMP echo to this address, or this node's first"),
    "count": Key(Int(1, 1000), "so many pings (1)"),
    "size": Key(Int(0, 65507), "bytes of payload of a ping"),
    "http": Key(Text("a URL", r"https?://\S+"), "fetch this URL"),
    "tcp": Key(Endpoint(), "open and close a connection"),
    "dns": Key(Text("a host name"), "ask the node's name server for its address"),
    "path": Key(Text("an address or a node"), "follow the way there, hop by hop"),
    "run": Key(Text("a command"), "run a shell command"),
    "lease": Key(Text("an interface"), "wait until this interface has an address it was not given by the file"),
}
ACTS = ("ping", "http", "tcp", "dns", "path", "run", "lease")
# key → the actions that it says something of
OF = {
    "count": ("ping",), "size": ("ping",), "hops": ("path",), "status": ("http",), "answer": ("dns",),
    "output": ("run", "http"), "in": ("lease",),
}  # fmt: skip
EXPECT = {
    **ACTION,
    "name": Key(Text(), "what this expectation is called"),
    "fails": Key(
        Flag(),
        "it must not work: isolation, a firewall (false); ping: not one answer; http: none, whatever its status; "
        "with hops, status, answer, output or in: nothing that is as these say",
    ),
    "hops": Key(ListOf(Ip), "path: the routers on the way, then the target"),
    "status": Key(Int(100, 599), "http: the status (200)"),
    "answer": Key(Ip, "dns: the address"),
    "output": Key(Pattern(), "run, http: found in what comes out"),
    "in": Key(Subnet, "lease: the network of the address"),
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
        for key in OF:
            if key in out and acts[0] not in OF[key]:
                source.refuse((*path, key), f"{key} says nothing of {acts[0]}, only of {' and '.join(OF[key])}")
        return out

    def schema(self) -> dict[str, Any]:
        of = {key: {"anyOf": [{"required": [act]} for act in acts]} for key, acts in OF.items() if key in self.keys}
        return {"anyOf": [{"type": "string", "pattern": " [-!]> "}, {**super().schema(), "dependentSchemas": of}]}


def address_of(spec: LabSpec, text: str) -> str:
    """An address as it is, that of a node (its first) or of NODE/IF. Raises LookupError for anything else."""
    address, scope, name = text.partition("%")
    try:
        return str(ipaddress.ip_address(address)) + scope + name
    except ValueError:
        pass
    node, _, name = text.partition("/")
    there = [one for one in spec.of(node) if name in ("", one.name)]
    if not there and node not in spec.nodes:
        raise LookupError(f"{text!r} is neither an address nor a node{nearest(node, spec.nodes)}")
    if not there and name:
        raise LookupError(f"no interface {text}{nearest(name, [one.name for one in spec.of(node)])}")
    found = [one.addresses[0] for one in there if one.addresses]
    if not found:
        raise LookupError(f"{text} has no address")
    return found[0].partition("/")[0]


def host_of(spec: LabSpec, endpoint: str) -> str:
    """The address of an ADDRESS:PORT; a name that is no node's is left to the name server of who asks."""
    host = endpoint.rpartition(":")[0].strip("[]")
    return address_of(spec, host) if host.partition("/")[0] in spec.nodes else host


def check(spec: LabSpec) -> None:
    """Nodes, interfaces and points that are named must be there, and what is reached by its name have an address."""
    for key, entries in (("traffic", spec.traffic), ("expect", spec.expect)):
        for number, one in enumerate(entries):
            path = (key, number)
            node = one["from"]
            if node not in spec.nodes:
                raise spec.source.error((*path, "from"), f"{key}: no node {node!r}{nearest(node, spec.nodes)}")
            try:
                for act, find in (("ping", address_of), ("path", address_of), ("tcp", host_of)):
                    if act in one:
                        find(spec, one[act])
            except LookupError as error:
                raise spec.source.error(path, f"{key}: {error.args[0]}") from None
            points = [point for act in ("sees", "never") for point in one.get(act, {})]
            for point in [*points, *([f"{node}/{one['lease']}"] if "lease" in one else [])]:
                if not spec.has(point):
                    known = [str(other) for other in spec.interfaces.values()]
                    raise spec.source.error(path, f"{key}: no interface {point}{nearest(point, known)}")
