"""vlan: an interface for one VLAN id of the interface below (802.1Q, or 802.1ad for the outer tag of QinQ).

    h1 ──eth0.10 (id 10)──eth0═══trunk═══

A vlan on a vlan is QinQ: outer 802.1ad, inner 802.1Q. Numbers: linux/if_link.h IFLA_VLAN_*.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from sniffkit.lab.links.kind import Kind, Unsaid
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.schema import Choice, Flag, Int, Key
from sniffkit.lab.wire import attribute

PROTOCOLS = {"802.1Q": 0x8100, "802.1ad": 0x88A8}
REORDER_HEADER, LOOSE_BINDING = 0x1, 0x4


def data(given: Mapping[str, Any]) -> bytes:
    """IFLA_VLAN_PROTOCOL and IFLA_VLAN_FLAGS (flags, mask)."""
    out = attribute(5, struct.pack("!H", PROTOCOLS[given.get("protocol", "802.1Q")]))
    flags = REORDER_HEADER if given.get("reorder", True) else 0
    flags |= LOOSE_BINDING if given.get("loose") else 0
    return out + attribute(2, struct.pack("=II", flags, REORDER_HEADER | LOOSE_BINDING))


def read(found: Mapping[int, bytes]) -> dict[str, Any]:
    """The same back."""
    out: dict[str, Any] = {"protocol": "802.1ad"} if found.get(5) == struct.pack("!H", 0x88A8) else {}
    flags = struct.unpack_from("=I", found[2])[0] if 2 in found else 0  # the kernel leaves out flags that are all off
    out |= {} if flags & REORDER_HEADER else {"reorder": False}
    return out | ({"loose": True} if flags & LOOSE_BINDING else {})


def words(given: Mapping[str, Any]) -> str:
    """The same for `ip link`."""
    out = [f"protocol {given['protocol']}"] if "protocol" in given else []
    out += [] if given.get("reorder", True) else ["reorder_hdr off"]
    return " ".join([*out, "loose_binding on"] if given.get("loose") else out)


def check(one: Interface, spec: LabSpec) -> None:
    """An id is there once on an interface; without `loose` it cannot be up where that is down."""
    if one.parent is None:
        return
    below = spec.interfaces[one.parent]
    other = spec.first((one.kind, one.parent, one.data["id"], one.data.get("protocol", "802.1Q")), one)
    if other is not one:
        spec.source.refuse((*one.path, "id"), f"{one}: id {one.data['id']} on {below} is {other}'s already")
    if one.up and not below.up and not one.data.get("loose"):
        text = f"{one} cannot be up as {below} is not: give it loose: true, or up: false"
        spec.source.refuse((*one.path, "link"), text)


UNSAID = {
    2: Unsaid("gvrp 2, mvrp 8 or bridge_binding 16:", "=I4x", mask=2 | 8 | 16),
    3: Unsaid("egress-qos-map", ""),
    4: Unsaid("ingress-qos-map", ""),
}


KIND = Kind(
    "vlan",
    "CONFIG_VLAN_8021Q",
    "8021q",
    "one VLAN of the interface below",
    {
        "id": Key(Int(0, 4094), "VLAN id", required=True, attribute=(1, "u16")),
        "protocol": Key(Choice(*PROTOCOLS), "802.1ad for the outer tag of QinQ (802.1Q)"),
        "reorder": Key(Flag(), "frames come without their tag (true)"),
        "loose": Key(Flag(), "up although the interface below is down"),
    },
    parent="must",
    check=check,
    adds=lambda _: 0,
    data=data,
    read=read,
    words=words,
    unsaid=UNSAID,
)
