"""What `arp` knows of addresses between runs, as arpwatch keeps it: a JSON file, replaced as a whole."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import re
import stat
import tempfile
from typing import Any

from sniffkit.errors import SniffkitError

FORMAT = "sniffkit-addresses-1"
KEYS = ("netns", "interface", "vlan", "vni", "ip", "stations", "current", "gateway")


def load(path: str) -> list[Any]:
    """The addresses in a state file, as `_core.open_table` takes them; none if there is no such file yet.

    Raises SniffkitError for a file that is something else, and where none could be written.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        directory = os.path.dirname(os.path.realpath(path)) if path else ""
        if not os.access(directory, os.W_OK):  # it could not be written in the end
            code = errno.EACCES if os.path.isdir(directory) else errno.ENOENT
            raise SniffkitError(f"{path}: {os.strerror(code)}") from None
        return []
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SniffkitError(f"{path}: not a state file of sniffkit arp: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SniffkitError(f"{path}: not a state file of sniffkit arp (no format {FORMAT!r})")
    try:
        return [address(one) for one in content["addresses"]]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise SniffkitError(f"{path}: damaged state file: {type(error).__name__} {error}") from None


def address(entry: dict[str, Any]) -> tuple[Any, ...]:
    """One entry; KeyError, TypeError or ValueError if it is not whole."""
    stations = [(mac(one["mac"]), time(one["first"]), time(one["last"])) for one in entry["stations"]]
    vlans = [whole(one, 0xFFF) for one in entry["vlan"]]
    vni = None if entry["vni"] is None else whole(entry["vni"], 0xFFFFFF)
    names = [entry["netns"], entry["interface"]]
    if any(not isinstance(name, str | None) for name in names):
        raise ValueError(f"{names}: names are text")
    current = whole(entry["current"], max(len(stations) - 1, 0))
    ip = str(ipaddress.ip_address(str(entry["ip"])))
    return *names, vlans, vni, ip, stations, current, bool(entry["gateway"])


def whole(value: Any, most: int) -> int:
    """A whole number from 0 to `most`; ValueError for anything else."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r} is no number from 0 to {most}")
    return value


def time(value: Any) -> int:
    """Nanoseconds since 1970, as captures can have them; ValueError for anything else."""
    return whole(value + (1 << 63), (1 << 64) - 1) - (1 << 63)


def mac(text: Any) -> str:
    """A hardware address as it is written here; ValueError for anything else."""
    if not isinstance(text, str) or not re.fullmatch("[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise ValueError(f"{text!r} is no hardware address")
    return text.lower()


def save(path: str, known: list[Any]) -> None:
    """Write a state file; it is complete or not there at any moment."""
    entries = []
    for one in known:
        entry = dict(zip(KEYS, one, strict=True))
        entry["stations"] = [{"mac": mac, "first": first, "last": last} for mac, first, last in entry["stations"]]
        entries.append(entry)
    path = os.path.realpath(path)  # a link to the file stays one
    directory = os.path.dirname(path)
    temporary = None
    try:
        before = os.stat(path) if os.path.exists(path) else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise SniffkitError(f"{path}: not a file that could be replaced")
        handle, temporary = tempfile.mkstemp(prefix=".sniffkit-", dir=directory)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "addresses": entries}, file, indent=1)
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        from sniffkit.tables import output_error

        raise output_error(path, error) from None
