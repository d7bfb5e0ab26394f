"""ipvtap: an ipvlan whose other side is a character device /dev/tapN for a program, such as a virtual machine.

program ──/dev/tapN──ipvtap0──eth0══
"""

from __future__ import annotations

from sniffkit.lab.links.ipvlan import KEYS, check, data, read, words
from sniffkit.lab.links.kind import Kind

KIND = Kind(
    "ipvtap",
    "CONFIG_IPVTAP",
    "ipvtap",
    "an ipvlan that a program reads",
    KEYS,
    "must",
    check=check,
    data=data,
    read=read,
    words=words,
)
