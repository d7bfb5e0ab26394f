"""responder: a small program on the other side of a tun, tap, macvtap or ipvtap: it answers ARP and ICMP echo."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Checked, Key, Name
from sniffkit.lab.services.service import Service, Start

Ip4 = Checked("an IPv4 address", lambda text: str(ipaddress.IPv4Address(text)))
KINDS = ("tun", "tap", "macvtap", "ipvtap")


def check(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> str | None:
    """Only these kinds have a side for programs."""
    one = spec.interfaces[node.name, given["interface"]]
    return None if one.kind in KINDS else f"{one} is a {one.kind}; a program can only attach to {' '.join(KINDS)}"


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """The program sniffkit.lab.programs.responder."""
    one = spec.interfaces[node.name, given["interface"]]
    argv = [sys.executable, "-m", "sniffkit.lab.programs.responder", one.kind, one.name, given["address"]]
    ready = f"{node.name}.{one.name}.responder"
    return Start([*argv, f"{{dir}}/{ready}"], ready={"file": ready})


SERVICE = Service(
    "responder",
    "a program behind a tun or tap that answers pings",
    {
        "interface": Key(Name, "the tun, tap, macvtap or ipvtap", required=True),
        "address": Key(Ip4, "the address it answers for", required=True),
    },
    start,
    interfaces=("interface",),
    check=check,
)
