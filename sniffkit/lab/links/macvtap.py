"""macvtap: a macvlan whose other side is a character device /dev/tapN for a program, such as a virtual machine.

program ──/dev/tapN──mvt0──eth0══
"""

from __future__ import annotations

from sniffkit.lab.links.kind import Kind
from sniffkit.lab.links.macvlan import KEYS, UNSAID, check, data, read, words

KIND = Kind(
    "macvtap",
    "CONFIG_MACVTAP",
    "macvtap",
    "a macvlan that a program reads and writes",
    KEYS,
    "must",
    check=check,
    adds=lambda _: 0,
    data=data,
    read=read,
    words=words,
    unsaid=UNSAID,
)
