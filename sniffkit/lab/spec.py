"""What a lab is: parsed from YAML or a mapping and checked, without touching the system."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any

from sniffkit.errors import LabError

# The kernel's IFNAMSIZ less the closing NUL.
MAX_INTERFACE_NAME = 15


@dataclass(frozen=True)
class End:
    """One end of a link: interface `name` in namespace `node`, with addresses such as 10.0.0.1/24."""

    node: str
    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Veth:
    """A veth pair."""

    a: End
    b: End


@dataclass
class LabSpec:
    """Namespaces and the veth pairs between them."""

    nodes: list[str] = field(default_factory=list)
    links: list[Veth] = field(default_factory=list)


def parse(source: object) -> LabSpec:
    """A LabSpec from a mapping, or a YAML file's path. Raises LabError that names what is wrong."""
    if isinstance(source, (str, os.PathLike)):
        import yaml

        try:
            with open(source, encoding="utf-8") as file:
                source = yaml.safe_load(file)
        except OSError as error:
            raise LabError(f"{os.fspath(error.filename)}: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise LabError(" ".join(str(error).split())) from None
    if not isinstance(source, dict):
        raise LabError("a lab is a mapping with nodes and links")
    unknown = set(source) - {"nodes", "links"}
    if unknown:
        raise LabError(f"unknown key {sorted(map(str, unknown))[0]!r}; there are: nodes links")
    spec = LabSpec(nodes=[str(name) for name in source.get("nodes") or []])
    for number, link in enumerate(source.get("links") or [], 1):
        spec.links.append(parse_link(link, number))
    for link in spec.links:
        for end in (link.a, link.b):
            if end.node not in spec.nodes:
                spec.nodes.append(end.node)
    check(spec)
    return spec


def parse_link(link: Any, number: int) -> Veth:
    """Two ends: `{NODE/IF: ADDRESS or [ADDRESS…] or null, NODE/IF: …}`, or a list of two such mappings or names."""
    pairs: list[tuple[str, Any]] = []
    for part in link if isinstance(link, list) else [link]:
        pairs.extend(part.items() if isinstance(part, dict) else [(part, None)])
    if len(pairs) != 2:
        raise LabError(f"link {number}: a veth pair has two ends, this has {len(pairs)}")
    return Veth(*(parse_end(name, addresses, number) for name, addresses in pairs))


def parse_end(text: Any, addresses: Any, number: int) -> End:
    """`NODE/IF` with its addresses."""
    node, slash, name = str(text).partition("/")
    if not (node and slash and name) or "/" in name:
        raise LabError(f"link {number}: an end is NODE/INTERFACE, not {text!r}")
    if len(name) > MAX_INTERFACE_NAME:
        raise LabError(f"link {number}: {name!r} is over {MAX_INTERFACE_NAME} characters")
    given = [] if addresses is None else addresses if isinstance(addresses, list) else [addresses]
    for address in given:
        try:
            ipaddress.ip_interface(address)
        except ValueError as error:
            raise LabError(f"link {number}: {text}: {error}") from None
    return End(node, name, tuple(map(str, given)))


def check(spec: LabSpec) -> None:
    """What only shows when the whole is known: names and addresses that are there twice."""
    seen: set[tuple[str, str]] = set()
    used: set[str] = set()
    for name in spec.nodes:
        if spec.nodes.count(name) > 1:
            raise LabError(f"node {name!r} is there twice")
        if not name or "/" in name or name in (".", ".."):
            raise LabError(f"{name!r} cannot be a namespace's name")
    for link in spec.links:
        for end in (link.a, link.b):
            if (end.node, end.name) in seen:
                raise LabError(f"interface {end.node}/{end.name} is there twice")
            seen.add((end.node, end.name))
            for address in end.addresses:
                host = address.partition("/")[0]
                if host in used:
                    raise LabError(f"address {host} is there twice")
                used.add(host)
