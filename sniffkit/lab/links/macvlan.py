"""macvlan: further interfaces on one, each with its own MAC address.

    h1 ──mv0─┐         private: siblings never reached   vepa: only by way of the switch outside
             ├─eth0══  bridge: siblings reached directly passthru: takes the whole parent
    h2 ──mv0─┘         source: only frames from `sources` are accepted

Numbers: linux/if_link.h IFLA_MACVLAN_*.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from sniffkit.lab.links.kind import Kind, Unsaid
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.schema import Choice, Key, ListOf, Mac
from sniffkit.lab.wire import attribute, mac, mac_text, nest, pairs

MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}
MACADDR_SET = 3
KEYS = {
    "mode": Key(Choice(*MODES), "which siblings are reached (bridge)"),
    "sources": Key(ListOf(Mac), "mode source: the senders that are accepted"),
}


def data(given: Mapping[str, Any]) -> bytes:
    """IFLA_MACVLAN_MODE, and the list of senders."""
    out = attribute(1, struct.pack("=I", MODES[given.get("mode", "bridge")]))
    if given.get("sources"):
        out += attribute(3, struct.pack("=I", MACADDR_SET))
        out += nest(5, *(attribute(4, mac(one)) for one in given["sources"]))
    return out


def read(found: Mapping[int, bytes]) -> dict[str, Any]:
    """The same back."""
    names = {number: name for name, number in MODES.items()}
    out: dict[str, Any] = {"mode": names.get(struct.unpack("=I", found.get(1, b"\4\0\0\0"))[0], "bridge")}
    sources = {mac_text(address) for _, address in pairs(found.get(5, b""))}
    return ({} if out["mode"] == "bridge" else out) | ({"sources": sorted(sources)} if sources else {})


def words(given: Mapping[str, Any]) -> str:
    """The same for `ip link`."""
    sources = f" macaddr set {' '.join(given['sources'])}" if given.get("sources") else ""
    return f"mode {given.get('mode', 'bridge')}{sources}"


def check(one: Interface, spec: LabSpec) -> None:
    """Senders belong to mode source; passthru wants the parent for itself."""
    if one.data.get("sources") and one.data.get("mode") != "source":
        raise spec.source.error((*one.path, "sources"), f"{one}: sources need mode: source")
    if one.data.get("mode") == "passthru":
        below = spec.below(one)
        if one.mac not in (None, below and below.mac):
            text = f"{one}: with passthru it has the MAC address of what it stands on: give that the mac"
            spec.source.refuse((*one.path, "mac"), text)
        for other in spec.interfaces.values():
            # These two take only their own frames of it.
            if other.parent == one.parent and other is not one and other.kind not in ("vlan", "vxlan"):
                raise spec.source.error(one.path, f"{one}: passthru takes its parent alone, but {other} is on it too")


UNSAID = {
    2: Unsaid("nopromisc 1 or nodst 2:", "=H"),
    7: Unsaid("bcqueuelen", "=I", (1000,)),
    9: Unsaid("bclim", "=i", (1,)),
}


KIND = Kind(
    "macvlan",
    "CONFIG_MACVLAN",
    "macvlan",
    "a MAC address of its own on a shared interface",
    KEYS,
    "must",
    check=check,
    adds=lambda _: 0,
    data=data,
    read=read,
    words=words,
    unsaid=UNSAID,
)
