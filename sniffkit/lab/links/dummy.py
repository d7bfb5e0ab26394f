"""dummy: an interface that swallows what is sent to it; holds addresses that must always be up, such as a router's own.

r1 ──dummy0 10.255.0.1/32
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind

KIND = Kind("dummy", "CONFIG_DUMMY", "dummy", "an interface that swallows what is sent to it")
