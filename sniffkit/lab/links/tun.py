"""tun: an interface whose other side is a program that reads and writes IP packets.

h1 ──tun0 ⇄ program     persistent: stays without one; service `responder` is a small one
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind

KIND = Kind("tun", "CONFIG_TUN", "tun", "a program reads and writes its IP packets", how="tun")
