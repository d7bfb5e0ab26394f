"""What a kind of link declares. Its file holds one `KIND`; its line in links/__init__.py makes it known."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.ops import PORT, Op, tool
from sniffkit.lab.schema import Flag, Key
from sniffkit.lab.wire import attribute, attributes, decode, encode


class Unsaid(NamedTuple):
    """An attribute that lab files have no key for: what ip-link(8) calls it, its layout for struct ("": that it is
    there says all), what it is by itself, and the bits of it that count."""

    word: str
    layout: str = "=B"
    usual: tuple[int, ...] = (0,)
    mask: int = -1


@dataclass(frozen=True)
class Kind:
    """A kind of link.

    option, module: what gives it to the kernel. doc: its use, in a line. keys: its keys in a lab file; those with an
    attribute go into IFLA_INFO_DATA as they are. parent: whether `link` must, may or cannot be given.
    how: link (RTM_NEWLINK), tun (an ioctl), physical (moved, not made).
    check: raises the error for what only shows when the whole lab is known. data: further attributes; read: the keys
    that those stand for, from IFLA_INFO_DATA as {number: payload}, without those at the kernel's defaults.
    adds: the bytes that it adds to packets, with which they fit into the MTU of what it stands on; None: any.
    moving: the keys whose attributes show something else for the moment, from the same.
    words: further words of the `ip link add` line. extra: operations after the link is there; apart: the keys that are
    for those alone, so that the link stays as it is when they change. unsaid: attributes that no key stands for.
    """

    name: str
    option: str
    module: str
    doc: str
    keys: dict[str, Key] = field(default_factory=dict)
    parent: Literal["no", "may", "must"] = "no"
    how: Literal["link", "tun", "physical"] = "link"
    ends: int = 1
    check: Callable[[Interface, LabSpec], None] | None = None
    data: Callable[[Mapping[str, Any]], bytes] | None = None
    read: Callable[[Mapping[int, bytes]], dict[str, Any]] | None = None
    adds: Callable[[Interface], int] | None = None
    moving: Callable[[Mapping[int, bytes]], frozenset[str]] | None = None
    words: Callable[[Mapping[str, Any]], str] | None = None
    extra: Callable[[Interface, LabSpec], list[Op]] | None = None
    apart: tuple[str, ...] = ()
    unsaid: Mapping[int, Unsaid] = field(default_factory=dict)

    def encode(self, data: Mapping[str, Any]) -> bytes:
        """The attributes of IFLA_INFO_DATA."""
        parts = [
            attribute(key.attribute[0], encode(key.attribute[1], data[name]))
            for name, key in self.keys.items()
            if key.attribute is not None and name in data
        ]
        if self.data is not None:
            parts.append(self.data(data))
        return b"".join(parts)

    def decode(self, found: Mapping[int, bytes]) -> dict[str, Any]:
        """The keys that attributes of IFLA_INFO_DATA stand for, without those at the kernel's defaults."""
        return settings(self.keys, found) | (self.read(found) if self.read is not None else {})

    def differing(self, data: Mapping[str, Any], found: Mapping[int, bytes]) -> dict[str, tuple[Any, Any]]:
        """The keys in which a link with these attributes is not what a lab file asks for, as far as they show it: what
        it has, and what is asked; None for the kernel's default."""
        wanted, there = self.decode(attributes(self.encode(data))), self.decode(found)
        moving = self.moving(found) if self.moving is not None else frozenset()
        pairs = {key: (there.get(key), wanted.get(key)) for key in sorted((wanted.keys() | there.keys()) - moving)}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def line(self, data: Mapping[str, Any]) -> str:
        """The words behind `type NAME` of an `ip link add`."""
        found = words_of(self.keys, data)
        if self.words is not None:
            found.append(self.words(data))
        return " ".join(word for word in found if word)


def words_of(keys: Mapping[str, Key], data: Mapping[str, Any]) -> list[str]:
    """What ip-link(8) calls the keys with an attribute, each with its value."""
    out = []
    for name, key in keys.items():
        if key.attribute is not None and name in data:
            value = data[name]
            number = int(value) if isinstance(value, bool) else value
            out.append(key.word[not value] if isinstance(key.word, tuple) else f"{key.word or name} {number}")
    return out


def unsaid(known: Mapping[int, Unsaid], found: Mapping[int, bytes]) -> list[str]:
    """What of the attributes that no key stands for is not as it is by itself, in words."""
    out = []
    for number, one in known.items():
        data = found.get(number)
        if data is None or (one.layout and len(data) != struct.calcsize(one.layout)):
            continue
        values = tuple(value & one.mask for value in struct.unpack(one.layout, data)) if one.layout else ()
        if not one.layout or any(value not in one.usual for value in values):
            out.append(" ".join(map(str, (one.word, *values))))
    return out


def mtu_again(one: Interface, needs: tuple[str, ...]) -> Op:
    """The MTU once more, for kinds whose link is made with another one."""
    line = f"{tool('ip', one.node)} link set dev {one.name} mtu {one.mtu}"
    return Op(PORT + 30, "mtu", one.node, one.name, {"dev": one.name, "mtu": one.mtu}, needs, line)


def settings(keys: Mapping[str, Key], found: Mapping[int, bytes]) -> dict[str, Any]:
    """The keys with an attribute, by what the kernel says of them, without those at their defaults."""
    out: dict[str, Any] = {}
    for name, key in keys.items():
        if key.attribute is None or key.attribute[0] not in found:
            continue
        number = decode(key.attribute[1], found[key.attribute[0]])
        value = bool(number) if isinstance(key.type, Flag) else number
        if value != key.default:
            out[name] = value
    return out
