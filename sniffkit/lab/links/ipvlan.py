"""ipvlan: further interfaces on one, all with its MAC address and IP addresses of their own.

    h1 ──ipvl0─┐
               ├─eth0══   l2: one segment; l3: routed by the parent, no ARP; l3s: l3 through the parent's netfilter
    h2 ──ipvl0─┘

Numbers: linux/if_link.h IFLA_IPVLAN_*.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from sniffkit.lab.links.kind import Kind
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.schema import Choice, Key
from sniffkit.lab.wire import attribute

MODES = {"l2": 0, "l3": 1, "l3s": 2}
KEYS = {
    "mode": Key(Choice(*MODES), "l2, l3 or l3s (l3)"),
    "isolation": Key(Choice("bridge", "private", "vepa"), "whether its siblings are reached (bridge)"),
}
ISOLATION = {"bridge": 0, "private": 1, "vepa": 2}


def data(given: Mapping[str, Any]) -> bytes:
    """IFLA_IPVLAN_MODE and IFLA_IPVLAN_FLAGS."""
    mode, isolation = MODES[given.get("mode", "l3")], ISOLATION[given.get("isolation", "bridge")]
    return attribute(1, struct.pack("=H", mode)) + attribute(2, struct.pack("=H", isolation))


def read(found: Mapping[int, bytes]) -> dict[str, Any]:
    """The same back."""
    mode, flags = (
        struct.unpack("=H", found.get(number, default))[0] for number, default in ((1, b"\1\0"), (2, b"\0\0"))
    )
    names = {number: name for name, number in MODES.items()}
    kept = {number: name for name, number in ISOLATION.items()}
    out = {"mode": names.get(mode, "l3"), "isolation": kept.get(flags & 3, "bridge")}
    return {name: value for name, value in out.items() if value not in ("l3", "bridge")}


def words(given: Mapping[str, Any]) -> str:
    """The same for `ip link`."""
    return f"mode {given.get('mode', 'l3')} {given.get('isolation', 'bridge')}"


def check(one: Interface, spec: LabSpec) -> None:
    """It has the MAC address of its parent; the kernel keeps one mode and one isolation for all on a parent."""
    below = spec.below(one)
    if one.mac not in (None, below and below.mac):
        spec.source.refuse((*one.path, "mac"), f"{one}: an {one.kind} has the MAC address of what it stands on")
    other = spec.first(("ipvlan", one.parent), one)
    for key, usual in (("mode", "l3"), ("isolation", "bridge")):
        mine, theirs = (each.data.get(key, usual) for each in (one, other))
        if mine != theirs:
            text = f"{one}: {key} {mine}: all on one interface have the same, and {other} has {theirs}"
            spec.source.refuse((*one.path, key), text)


KIND = Kind(
    "ipvlan",
    "CONFIG_IPVLAN",
    "ipvlan",
    "an IP address on a shared MAC",
    KEYS,
    "must",
    check=check,
    data=data,
    read=read,
    words=words,
)
