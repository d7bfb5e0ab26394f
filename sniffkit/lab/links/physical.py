"""physical: an interface that exists already, moved into the node for as long as the lab runs.

this machine ──enp3s0──▶ r1        `lab down` brings it back with its addresses, MTU and
                               MAC address, up if it was up
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind

KIND = Kind("physical", "", "", "an interface of this machine, moved in and brought back", how="physical")
