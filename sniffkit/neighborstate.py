"""What `arp` knows of addresses between runs, as arpwatch keeps it: a JSON file, replaced as a whole."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from sniffkit.errors import SniffkitError

FORMAT = "sniffkit-addresses-1"
KEYS = ("netns", "interface", "vlan", "vni", "ip", "stations", "current", "gateway")


def load(path: str) -> list[Any]:
    """The addresses in a state file, as `_core.open_table` takes them; none if there is no such file yet.

    Raises SniffkitError for a file that is something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise SniffkitError(f"{path}: not a state file of sniffkit arp: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SniffkitError(f"{path}: not a state file of sniffkit arp (no format {FORMAT!r})")
    try:
        return [address(one) for one in content["addresses"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SniffkitError(f"{path}: damaged state file: {type(error).__name__} {error}") from None


def address(entry: dict[str, Any]) -> tuple[Any, ...]:
    """One entry; KeyError or TypeError if it is not whole."""
    stations = [(str(one["mac"]), int(one["first"]), int(one["last"])) for one in entry["stations"]]
    vlans = [int(one) for one in entry["vlan"]]
    current, gateway = int(entry["current"]), bool(entry["gateway"])
    return entry["netns"], entry["interface"], vlans, entry["vni"], str(entry["ip"]), stations, current, gateway


def save(path: str, known: list[Any]) -> None:
    """Write a state file; it is complete or not there at any moment."""
    entries = []
    for one in known:
        entry = dict(zip(KEYS, one, strict=True))
        entry["stations"] = [{"mac": mac, "first": first, "last": last} for mac, first, last in entry["stations"]]
        entries.append(entry)
    directory = os.path.dirname(path) or "."
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".sniffkit-", dir=directory)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "addresses": entries}, file, indent=1)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise SniffkitError(f"{path}: {error.strerror}") from None
