"""veth: a cable between two namespaces.

    net1 ──veth1════veth2── net2

Linux: veth(4), drivers/net/veth.c.
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind

KIND = Kind("veth", "CONFIG_VETH", "veth", "a cable between two namespaces", ends=2)
