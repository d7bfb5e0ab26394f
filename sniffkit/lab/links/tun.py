"""tun: an interface whose other side is a program that reads and writes IP packets.

h1 ──tun0 ⇄ program     persistent: stays without one; service `responder` is a small one
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind
from sniffkit.lab.model import Interface, LabSpec


def check(one: Interface, spec: LabSpec) -> None:
    """It carries no Ethernet."""
    if one.mac is not None:
        raise spec.source.error((*one.path, "mac"), f"{one}: a tun has no MAC address")


KIND = Kind("tun", "CONFIG_TUN", "tun", "a program reads and writes its IP packets", how="tun", check=check)
