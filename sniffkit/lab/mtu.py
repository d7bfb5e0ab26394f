"""The MTUs that interfaces have by themselves, and how large those of interfaces on others may be."""

from __future__ import annotations

from sniffkit.lab.links import kind
from sniffkit.lab.model import Interface, LabSpec

USUAL = 1500


def check(one: Interface, spec: LabSpec) -> None:
    """An MTU fits into that of what the interface stands on: some kinds the kernel refuses, others it makes smaller."""
    adds = kind(one.kind).adds
    if one.mtu is None or one.parent is None or adds is None:
        return
    below = mtu(spec.interfaces[one.parent], spec)
    if below is not None and one.mtu > below - adds(one):
        why = f", of which {one.kind} takes {adds(one)}" if adds(one) else ""
        text = f"{one}: mtu {one.mtu} is over {below - adds(one)}: {'/'.join(one.parent)} has {below}{why}"
        raise spec.source.error((*one.path, "mtu"), text)


def mtu(one: Interface, spec: LabSpec) -> int | None:
    """The MTU that an interface has when others are made on it, and keeps; None where only the machine knows."""
    added = 0
    while one.mtu is None and one.parent is not None:
        adds = kind(one.kind).adds
        added += adds(one) if adds is not None else 0
        one = spec.interfaces[one.parent]
    found = one.mtu
    if found is None and one.kind == "bridge":  # it takes the least of its ports
        ports = [spec.interfaces.get((one.node, name)) for name in one.data.get("ports", {})]
        found = min([USUAL, *(port.mtu for port in ports if port is not None and port.mtu is not None)])
    elif found is None and one.kind not in ("physical", "nlmon"):
        found = USUAL
    return None if found is None else found - added
