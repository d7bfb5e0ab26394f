"""Who made a network card: the IEEE's list of prefixes (OUI), as the package aiooui carries it."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any


def vendor(mac: str | None) -> str | None:
    """The vendor of a hardware address; None for addresses that no vendor gave (locally administered) or unknown ones.

    The list has the 24-bit prefixes; of the longer ones it names the registry ("IEEE Registration Authority").
    """
    if mac is None or len(mac) != 17 or int(mac[:2], 16) & 0b11:
        return None
    found: str | None = loaded().get_vendor(mac)
    return found


@cache
def loaded() -> Any:
    """The aiooui module with its list in memory. Loading is a coroutine: it gets a thread of its own, so that a caller
    who runs an event loop (Jupyter does) is not disturbed."""
    import asyncio

    import aiooui

    if not aiooui.is_loaded():
        thread = threading.Thread(target=lambda: asyncio.run(aiooui.async_load()), name="vendors")
        thread.start()
        thread.join()
    return aiooui
