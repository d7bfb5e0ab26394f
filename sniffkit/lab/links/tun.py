"""tun: an interface whose other side is a program that reads and writes IP packets.

h1 ──tun0 ⇄ program     persistent: stays without one; service `responder` is a small one
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind, Unsaid
from sniffkit.lab.model import Interface, LabSpec


def check(one: Interface, spec: LabSpec) -> None:
    """It carries no Ethernet."""
    if one.mac is not None:
        raise spec.source.error((*one.path, "mac"), f"{one}: a tun has no MAC address")


UNSAID = {
    1: Unsaid("user", "=I", ()),
    2: Unsaid("group", "=I", ()),
    4: Unsaid("pi"),
    5: Unsaid("vnet_hdr"),
    7: Unsaid("multi_queue"),
}

DOC = "a program reads and writes its IP packets"
KIND = Kind("tun", "CONFIG_TUN", "tun", DOC, how="tun", check=check, unsaid=UNSAID)
