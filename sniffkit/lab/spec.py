"""What a lab is: read from YAML or a mapping and checked, without touching the system."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from sniffkit.lab import mtu, yamlfile
from sniffkit.lab.links import KINDS, kind
from sniffkit.lab.model import HOST, Interface, LabSpec, NodeSpec, Point
from sniffkit.lab.schema import Cidr, Flag, Int, Key, Keys, ListOf, Name, NodeName, OwnMac, nearest
from sniffkit.lab.yamlfile import Path, Source

MAX_INTERFACE_NAME = 15  # the kernel's IFNAMSIZ less the closing NUL
KEPT = ("all", "default")  # names that sysctls have for other things

# Keys of every interface, whatever its kind.
INTERFACE: dict[str, Key] = {
    "address": Key(ListOf(Cidr), "addresses such as 10.0.0.1/24"),
    "mtu": Key(Int(68, 65535), "largest packet in bytes"),
    "mac": Key(OwnMac, "MAC address"),
    "up": Key(Flag(), "set up (true)"),
}


def parse(source: object) -> LabSpec:
    """A LabSpec from a YAML file's path or a mapping. Raises LabError that names what is wrong, with file and line."""
    if isinstance(source, (str, os.PathLike)):
        data, where = yamlfile.read(source)
        file = os.fspath(source)
        return build(data, where, file)
    return build(source, Source(), None)


def build(data: Any, source: Source, file: str | None) -> LabSpec:
    """A LabSpec from plain data whose lines `source` knows."""
    from sniffkit.lab.filekeys import LAB

    if not isinstance(data, dict):
        raise source.error((), "a lab is a mapping with nodes and links")
    top = {key: value for key, value in data.items() if key not in ("nodes", "links", "bridges")}
    for key in data:
        if key not in LAB:
            raise source.error((key,), f"unknown key {key!r}{nearest(str(key), LAB)}")
    settings = Keys({key: value for key, value in LAB.items() if key in top}).parse(top, (), source)
    spec = LabSpec(
        settings.get("name") or _default_name(file), source, file, description=settings.get("description", "")
    )
    spec.traffic, spec.expect = settings.get("traffic", []), settings.get("expect", [])
    _nodes(spec, data.get("nodes"))
    _links(spec, data.get("links"))
    _bridges(spec, data.get("bridges"))
    _check(spec)
    return spec


def _default_name(file: str | None) -> str:
    if file is None:
        return ""
    stem = os.path.basename(file).removesuffix(".yaml").removesuffix(".yml")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).lstrip(".")[:60] or "lab"


def _nodes(spec: LabSpec, given: Any) -> None:
    from sniffkit.lab.filekeys import NODE

    path: Path = ("nodes",)
    names: list[tuple[str, Path, Any]]
    if given is None:
        return
    if isinstance(given, list):
        names = [
            (NodeName.parse(one, (*path, number), spec.source), (*path, number), None)
            for number, one in enumerate(given)
        ]
    elif isinstance(given, dict):
        names = [(NodeName.parse(one, (*path, one), spec.source), (*path, one), value) for one, value in given.items()]
    else:
        raise spec.source.error(path, "nodes: a list of names, or a mapping from names to settings")
    for name, where, value in names:
        if name == HOST:
            raise spec.source.error(
                where, f"{HOST!r} is this machine's own namespace: links may end there, it is no node"
            )
        if name in spec.nodes:
            raise spec.source.error(where, f"node {name!r} is there twice")
        settings: dict[str, Any] = {} if value is None else Keys(NODE).parse(value, where, spec.source)
        spec.nodes[name] = NodeSpec(name, where, settings)


def _links(spec: LabSpec, given: Any) -> None:
    if given is None:
        return
    if not isinstance(given, list):
        raise spec.source.error(("links",), "links: a list, each item one link")
    for number, link in enumerate(given):
        _link(spec, link, ("links", number))


def _link(spec: LabSpec, link: Any, path: Path) -> None:
    """`{NODE/IF: settings}`: an interface; `{NODE/IF: settings, NODE/IF: settings}`: a pair; a list of ends too."""
    ends: list[tuple[str, Any, Path]] = []
    for number, part in enumerate(link if isinstance(link, list) else [link]):
        where = (*path, number) if isinstance(link, list) else path
        if isinstance(part, dict):
            ends += [(str(key), value, (*where, key)) for key, value in part.items()]
        else:
            ends.append((str(part), None, where))
    if not 1 <= len(ends) <= 2:
        raise spec.source.error(path, f"a link has one or two ends, this has {len(ends)}")
    made = [_interface(spec, *end, pair=len(ends) == 2) for end in ends]
    if len(made) == 2:
        made[0].peer, made[1].peer = made[1].point, made[0].point
    elif kind(made[0].kind).ends == 2:
        raise spec.source.error(path, f"{made[0]}: {made[0].kind} has two ends, this has 1; name both, or give a kind")
    for one in made:
        _add(spec, one)


def _add(spec: LabSpec, one: Interface) -> None:
    """An interface of a node, which need not have been named before."""
    if one.point in spec.interfaces:
        raise spec.source.error(one.path, f"interface {one} is there twice")
    if one.node not in spec.nodes and one.node != HOST:
        spec.nodes[one.node] = NodeSpec(one.node, one.path)
    spec.add(one)


def _bridges(spec: LabSpec, given: Any) -> None:
    """`{NODE/IF: ports, NODE/IF: settings}`: the same as items of links with kind: bridge."""
    path: Path = ("bridges",)
    if given is None:
        return
    if not isinstance(given, dict):
        raise spec.source.error(path, "bridges: a mapping from NODE/IF to ports, or to the settings of a bridge")
    for name, value in given.items():
        settings = value if isinstance(value, dict) else {"ports": value}
        where = (*path, name)
        for number in range(len(value) if isinstance(value, list) else 0):
            spec.source.mark((*where, "ports", number), spec.source.line((*where, number)))
        if settings.get("kind", "bridge") != "bridge":
            raise spec.source.error((*where, "kind"), f"{name}: a {settings['kind']} is an item of links, no bridge")
        _add(spec, _interface(spec, str(name), {**settings, "kind": "bridge"}, where, pair=False))


def _interface(spec: LabSpec, text: str, given: Any, path: Path, pair: bool) -> Interface:
    from sniffkit.lab.filekeys import interface_keys

    node, slash, name = text.partition("/")
    if not (node and slash and name) or "/" in name:
        raise spec.source.error(path, f"an end is NODE/INTERFACE, not {text!r}")
    if len(name) > MAX_INTERFACE_NAME:
        raise spec.source.error(path, f"{text}: {name!r} is over {MAX_INTERFACE_NAME} characters")
    NodeName.parse(node, (*path[:-1], node), spec.source)
    Name.parse(name, (*path[:-1], name), spec.source)
    if name in KEPT:
        raise spec.source.error(
            path, f"{text}: no interface can be called {name!r}: the kernel's sysctls have that name"
        )
    if name == "lo":
        raise spec.source.error(path, f"{text}: lo is in every namespace: it is no end of a link")
    wanted = given.get("kind", "veth") if isinstance(given, dict) else "veth"
    if not isinstance(wanted, str) or wanted not in KINDS:
        raise spec.source.error((*path, "kind"), f"{text}: unknown kind {wanted!r}{nearest(str(wanted), KINDS)}")
    found = kind(wanted)
    if pair and found.ends != 2:
        raise spec.source.error(path, f"{text}: {wanted} has one end; give it an item of its own under links")
    value = Keys(interface_keys(wanted), shorthand="address").parse(given, path, spec.source)
    one = Interface(node, name, wanted, path, value.pop("address", []))
    one.mtu, one.mac, one.up = value.pop("mtu", None), value.pop("mac", None), value.pop("up", True)
    one.qdisc, one.ingress = value.pop("qdisc", None), value.pop("ingress", None)
    value.pop("kind", None)
    parent = value.pop("link", None)
    if parent is not None:
        one.parent = (node, parent) if "/" not in parent else _point(parent)
    elif found.parent == "must":
        raise spec.source.error(path, f"{text}: {wanted} needs link: the interface it stands on")
    one.data = value
    return one


def _point(text: str) -> Point:
    node, _, name = text.partition("/")
    return node, name


def _check(spec: LabSpec) -> None:
    """What only shows when the whole is known."""
    for one in spec.interfaces.values():
        if one.parent is not None and one.parent not in spec.interfaces:
            text = "/".join(one.parent)
            known = ["/".join(point) for point in spec.interfaces if point != one.point]
            raise spec.source.error((*one.path, "link"), f"{one}: no interface {text}{nearest(text, known)}")
    for one in spec.interfaces.values():
        if spec.level(one) > len(spec.interfaces):
            raise spec.source.error((*one.path, "link"), f"{one} stands on itself")
        if one.qdisc or one.ingress:
            from sniffkit.lab import qdiscs

            qdiscs.check(one, spec)
        mtu.check(one, spec)
        check = kind(one.kind).check
        if check is not None:
            check(one, spec)
    _addresses(spec)
    from sniffkit.lab.filekeys import check_whole

    check_whole(spec)


def _addresses(spec: LabSpec) -> None:
    """An address once on a segment; two networks that overlap without being the same cannot share one."""
    segments = _segments(spec)
    seen: dict[tuple[Point, str], Interface] = {}
    networks: dict[Point, list[tuple[Any, Interface]]] = {}
    for one in spec.interfaces.values():
        for text in one.addresses:
            address = ipaddress.ip_interface(text)
            where = (*one.path, "address")
            segment = segments[one.point]
            other = seen.get((segment, str(address.ip)))
            if other is not None:
                raise spec.source.error(where, f"{one}: address {address.ip} is {other}'s already, on the same segment")
            seen[segment, str(address.ip)] = one
            network = address.network
            if network.prefixlen == network.max_prefixlen:
                continue  # a host's address is no network
            for there, whose in networks.setdefault(segment, []):
                if (
                    network != there
                    and network.version == there.version
                    and network.overlaps(there)
                    and whose is not one
                ):
                    raise spec.source.error(where, f"{one}: {network} overlaps {there} of {whose} on the same segment")
            networks[segment].append((network, one))


def _segments(spec: LabSpec) -> dict[Point, Point]:
    """The layer-2 segment of every interface, named by one of its members: pairs and bridges join."""
    joined: dict[Point, Point] = {point: point for point in spec.interfaces}

    def root(point: Point) -> Point:
        while joined[point] != point:
            joined[point] = point = joined[joined[point]]
        return point

    for one in spec.interfaces.values():
        if one.peer is not None:
            joined[root(one.point)] = root(one.peer)
        if one.bridge is not None and not spec.interfaces[one.node, one.bridge].data.get("vlan_filtering"):
            joined[root(one.point)] = root((one.node, one.bridge))
        if one.kind in ("macvlan", "macvtap", "ipvlan", "ipvtap") and one.parent is not None:
            joined[root(one.point)] = root(one.parent)
    return {point: root(point) for point in spec.interfaces}
