"""The MTUs that interfaces have by themselves, and how large those of interfaces on others may be."""

from __future__ import annotations

from sniffkit.lab.links import kind
from sniffkit.lab.model import Interface, LabSpec

USUAL = 1500
LEAST = 68  # of IPv4 (RFC 791): the kernel gives a vxlan no less, whatever it stands on


def check(one: Interface, spec: LabSpec) -> None:
    """An MTU fits into that of what the interface stands on: some kinds the kernel refuses, others it makes smaller."""
    most, below, adds = limit(one, spec), spec.below(one), kind(one.kind).adds
    if one.mtu is None or most is None or one.mtu <= most or below is None or adds is None:
        return
    why = f", of which {one.kind} takes {adds(one)}" if adds(one) else ""
    if below.kind == "bridge" and below.mtu is None:
        why += f"; give {below} an mtu"
    spec.source.refuse((*one.path, "mtu"), f"{one}: mtu {one.mtu} is over {most}: {below} has {mtu(below, spec)}{why}")


def limit(one: Interface, spec: LabSpec) -> int | None:
    """The largest MTU that fits into that of what an interface stands on; None where any does, or nobody knows."""
    below = spec.below(one)
    most = mtu(below, spec) if below is not None and kind(one.kind).adds is not None else None
    return None if most is None else _left(one, most)


def mtu(one: Interface, spec: LabSpec) -> int | None:
    """The MTU that an interface has when others are made on it, and keeps; None where only the machine knows."""
    above: list[Interface] = []
    while one.mtu is None and one.parent is not None:
        above.append(one)
        one = spec.interfaces[one.parent]
    found = one.mtu
    if found is None and one.kind == "bridge":  # it takes the least of its ports
        ports = [spec.interfaces.get((one.node, name)) for name in one.data.get("ports", {})]
        found = min([USUAL, *(port.mtu for port in ports if port is not None and port.mtu is not None)])
    elif found is None and one.kind not in ("physical", "nlmon"):
        found = USUAL
    for each in reversed(above):
        found = None if found is None else _left(each, found)
    return found


def _left(one: Interface, below: int) -> int:
    """What of the MTU below an interface is left for it."""
    adds = kind(one.kind).adds
    left = below if adds is None else below - adds(one)
    return max(LEAST, left) if one.kind == "vxlan" else left
