"""tap: an interface whose other side is a program that reads and writes Ethernet frames.

h1 ──tap0 ⇄ program     persistent: stays without one; service `responder` is a small one
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind
from sniffkit.lab.links.tun import UNSAID

KIND = Kind("tap", "CONFIG_TUN", "tun", "a program reads and writes its Ethernet frames", how="tun", unsaid=UNSAID)
