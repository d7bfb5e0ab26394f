"""nlmon: shows the netlink messages of its namespace to a capture: what `ip` asks and what the kernel answers.

ip, sniffkit ⇄ netlink ⇄ kernel
                 │
              nlmon0 ──▶ capture
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind

KIND = Kind("nlmon", "CONFIG_NLMON", "nlmon", "a tap on the netlink messages of its namespace")
