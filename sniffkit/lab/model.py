"""What a lab is once its description has been read: plain records, no system behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sniffkit.lab.yamlfile import Path, Source

# The namespace that sniffkit itself runs in, as a node: links may end there, it is never made nor removed.
HOST = "host"

Point = tuple[str, str]


@dataclass(slots=True)
class Interface:
    """One interface of one node. data: the keys of its kind, as its file under links/ declares them.

    peer: the other end of a pair. parent: the interface it stands on (key `link`). port: what its bridge says of it.
    """

    node: str
    name: str
    kind: str
    path: Path
    addresses: list[str] = field(default_factory=list)
    mtu: int | None = None
    mac: str | None = None
    up: bool = True
    peer: Point | None = None
    parent: Point | None = None
    data: dict[str, Any] = field(default_factory=dict)
    qdisc: dict[str, Any] | None = None
    ingress: dict[str, Any] | None = None
    bridge: str | None = None
    port: dict[str, Any] = field(default_factory=dict)

    @property
    def point(self) -> Point:
        """(node, name)."""
        return self.node, self.name

    def __str__(self) -> str:
        return f"{self.node}/{self.name}"


@dataclass(slots=True)
class NodeSpec:
    """A namespace and what runs in it; the fields are the keys of the file."""

    name: str
    path: Path
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class LabSpec:
    """A whole lab. nodes and interfaces keep the order of the file."""

    name: str
    source: Source
    file: str | None = None
    nodes: dict[str, NodeSpec] = field(default_factory=dict)
    interfaces: dict[Point, Interface] = field(default_factory=dict)
    traffic: list[dict[str, Any]] = field(default_factory=list)
    expect: list[dict[str, Any]] = field(default_factory=list)
    description: str = ""
    _by_node: dict[str, list[Interface]] = field(default_factory=dict)
    _firsts: dict[object, Interface] = field(default_factory=dict)

    def add(self, one: Interface) -> None:
        """An interface more."""
        self.interfaces[one.point] = one
        self._by_node.setdefault(one.node, []).append(one)

    def of(self, node: str) -> list[Interface]:
        """The interfaces of a node."""
        return self._by_node.get(node, [])

    def first(self, what: object, one: Interface) -> Interface:
        """The first interface that was said to be `what`: `one` itself if there was none."""
        return self._firsts.setdefault(what, one)

    def below(self, one: Interface) -> Interface | None:
        """What an interface stands on."""
        return None if one.parent is None else self.interfaces[one.parent]

    def has(self, point: str) -> bool:
        """Whether frames can be seen at a NODE/IF: an interface, or a node's lo."""
        node, _, name = point.partition("/")
        return (node, name) in self.interfaces or (node in self.nodes and name == "lo")

    def level(self, one: Interface) -> int:
        """How many interfaces it stands on: 0 for one without parent."""
        level = 0
        while one.parent is not None and level <= len(self.interfaces):
            one = self.interfaces[one.parent]
            level += 1
        return level
