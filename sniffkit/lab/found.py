"""What a namespace of this machine holds beside its interfaces, in the words of a lab file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sniffkit.errors import SniffkitError
from sniffkit.lab import sysctls, wire
from sniffkit.lab.namespaces import mount_sysfs
from sniffkit.lab.observe import Seen, neighbours, see
from sniffkit.lab.observe_tc import Queues, queues
from sniffkit.lab.processes import search_path
from sniffkit.lab.routing import ROUTE, RULE, text_of
from sniffkit.netlink import run_in

OWN = "/proc/self/ns/net"  # the namespace of this process, as a path: what enters it does so on a thread of its own
MAC_SET = "3"  # NET_ADDR_SET of linux/netdevice.h
TABLE = re.compile(r"^table .*?^}$", re.MULTILINE | re.DOTALL)


@dataclass(slots=True)
class Found:
    """A namespace. macs: interfaces whose MAC address somebody set. nft: its ruleset, None if nft cannot tell."""

    seen: Seen
    queues: dict[str, Queues]
    values: dict[sysctls.Parts, str]
    macs: set[str]
    nft: str | None
    inode: int
    notes: list[str] = field(default_factory=list)


def look(netns: str | None) -> Found:
    """Read a namespace; None is this process' own."""

    def read() -> Found:
        asked = wire.Socket()
        try:
            seen = see(asked)
            tc = queues(asked, {one.index: one.name for one in seen.links.values()})
            seen.strange += neighbours(asked, seen)
        finally:
            asked.close()
        inode = os.stat("/proc/thread-self/ns/net").st_ino
        found = Found(seen, tc, sysctls.values(), set(), _nft(), inode)
        try:
            mount_sysfs()
        except SniffkitError as error:
            found.notes.append(f"MAC addresses that somebody set: {error}")
            return found
        for name in seen.links:
            try:
                with open(f"/sys/class/net/{name}/addr_assign_type", encoding="ascii") as file:
                    found.macs |= {name} if file.read().strip() == MAC_SET else set()
            except OSError:
                continue  # it has gone meanwhile
        return found

    return run_in(netns or OWN, read)


def _nft() -> str | None:
    tool = shutil.which("nft", path=search_path())
    if tool is None:
        return None
    done = subprocess.run([tool, "-s", "list", "ruleset"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def settings(found: Found, names: set[str], resolver: str) -> dict[str, Any]:
    """The keys of a node. names: its interfaces that the file has; resolver: its resolv.conf. Adds to `notes`."""
    on = sysctls.forwarding(found.values)
    changed = sysctls.changed(found.values, _fresh(tuple(on)), names)
    out: dict[str, Any] = {}
    if len(on) == len([parts for parts in sysctls.FORWARDING.values() if parts in found.values]):
        out["forward"] = True
    else:
        changed = {**on, **changed}
    if changed:
        out["sysctls"] = changed
    out |= _routing(found, names)
    nft = _tables(found)
    if nft:
        out["nft"] = nft
    servers = _name_servers(resolver)
    if servers:
        out["nameserver"] = servers
    return out


@lru_cache(4)
def _fresh(on: tuple[str, ...]) -> dict[sysctls.Parts, str]:
    return sysctls.fresh(dict.fromkeys(on, "1"))


def _routing(found: Found, names: set[str]) -> dict[str, Any]:
    """Static routes, those first that others may need to reach their next hop, and rules."""
    out: dict[str, Any] = {}
    routes: list[Any] = []
    for one in sorted(found.seen.routes, key=lambda one: "via" in one or "nexthops" in one):
        hops = one.get("nexthops", [])
        text = text_of(one, ROUTE, "to")
        missing = {dev for dev in [one.get("dev"), *(hop.get("dev") for hop in hops)] if dev} - names - {"lo"}
        if missing:
            found.notes.append(f"the route {text}: {' '.join(sorted(missing))} is left out")
        elif any("via" not in hop for hop in hops):
            found.notes.append(f"the route {text}: a next hop without an address")
        else:
            routes.append(one if hops else text)
    if routes:
        out["routes"] = routes
    rules = []
    for one in found.seen.rules:
        missing = {one[key] for key in ("iif", "oif") if key in one} - names - {"lo"}
        if missing:
            found.notes.append(f"the rule {text_of(one, RULE, None)}: {' '.join(sorted(missing))} is left out")
        else:
            rules.append(text_of(one, RULE, None))
    return out | ({"rules": rules} if rules else {})


def _tables(found: Found) -> str:
    """The nftables ruleset, without what nft itself cannot load again."""
    if found.nft is None:
        found.notes.append("nftables: nft is missing: sudo apt install nftables")
        return ""
    kept = []
    for table in TABLE.findall(found.nft):
        name = table.partition("{")[0].strip()
        if re.search(r"\bxt (?:match|target)\b", table):
            found.notes.append(f"nftables {name}: it has matches or targets of iptables")
        else:
            kept.append("\n".join(_spaces(line) for line in table.splitlines()))
    return "\n".join(kept) + "\n" if kept else ""


def _spaces(line: str) -> str:
    """A line with blanks for the tabs that it begins with."""
    rest = line.lstrip("\t")
    return "  " * (len(line) - len(rest)) + rest


def _name_servers(path: str) -> list[str]:
    """The name servers that `ip netns exec` shows to programs in the namespace: ip-netns(8)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver" and "%" not in line[1]]
