"""ifb: where incoming traffic of other interfaces is queued, so that it can be shaped (`ingress: {redirect: ifb0}`).

wire ──▶ eth0 ─ingress─▶ ifb0 [htb 5mbit] ──▶ eth0's receivers
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind

KIND = Kind("ifb", "CONFIG_IFB", "ifb", "a queue for incoming traffic of other interfaces")
