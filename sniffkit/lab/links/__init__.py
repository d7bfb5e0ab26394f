"""The kinds of links: one file each, one line here."""

from __future__ import annotations

import importlib
from functools import cache

from sniffkit.lab.links.kind import Kind, settings

# kind → its module, imported when a lab has one
KINDS: dict[str, str] = {
    "veth": "sniffkit.lab.links.veth",
    "bridge": "sniffkit.lab.links.bridge",
    "vlan": "sniffkit.lab.links.vlan",
    "tun": "sniffkit.lab.links.tun",
    "tap": "sniffkit.lab.links.tap",
    "vxlan": "sniffkit.lab.links.vxlan",
    "ipvlan": "sniffkit.lab.links.ipvlan",
    "ipvtap": "sniffkit.lab.links.ipvtap",
    "macvlan": "sniffkit.lab.links.macvlan",
    "macvtap": "sniffkit.lab.links.macvtap",
    "dummy": "sniffkit.lab.links.dummy",
    "ifb": "sniffkit.lab.links.ifb",
    "nlmon": "sniffkit.lab.links.nlmon",
    "macsec": "sniffkit.lab.links.macsec",
    "physical": "sniffkit.lab.links.physical",
}


@cache
def kind(name: str) -> Kind:
    """The kind of that name, which must be in KINDS."""
    found: Kind = importlib.import_module(KINDS[name]).KIND
    return found


__all__ = ["KINDS", "kind", "settings"]
