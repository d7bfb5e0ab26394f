"""The kernel settings of a namespace that somebody changed: what is not as in a namespace made a moment ago."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Set

from sniffkit.lab.actions import sysctl_path
from sniffkit.lab.engine import run
from sniffkit.lab.namespaces import unshare

ROOT = "/proc/sys/net"
OF_INTERFACES = {("ipv4", "conf"), ("ipv6", "conf"), ("ipv4", "neigh"), ("ipv6", "neigh")}
# Not settings: what the kernel fills in by itself, and a key that it makes up.
SKIPPED = {"mtu", "tcp_fastopen_key", "nf_conntrack_count"}
# What the kernel gives interfaces that have no MAC address.
WITHOUT_MAC = {("use_tempaddr", "-1"), ("accept_dad", "-1"), ("addr_gen_mode", "3")}

FORWARDING = {
    "net.ipv4.ip_forward": ("ipv4", "ip_forward"),
    "net.ipv6.conf.all.forwarding": ("ipv6", "conf", "all", "forwarding"),
}

# A sysctl by the directories it is in, below ROOT.
Parts = tuple[str, ...]


def values() -> dict[Parts, str]:
    """Every sysctl below net that can be written, in the namespace of the calling thread."""
    out: dict[Parts, str] = {}
    for directory, _, names in os.walk(ROOT):
        above = tuple(directory.removeprefix(ROOT).split("/")[1:])
        for name in names:
            path = os.path.join(directory, name)
            if name in SKIPPED:
                continue
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if os.fstat(fd).st_mode & 0o200:
                        out[*above, name] = " ".join(os.read(fd, 1 << 16).decode(errors="replace").split())
                finally:
                    os.close(fd)
            except OSError:
                continue  # some can be written only, some are not there until they are written
    return out


def fresh(applied: Mapping[str, str]) -> dict[Parts, str]:
    """The same of a new namespace in which `applied` was set."""

    def work(stop: threading.Event) -> dict[Parts, str]:
        unshare()
        for name, value in applied.items():
            with open(sysctl_path(name), "w", encoding="ascii") as file:
                file.write(value)
        return values()

    return run(work)


def forwarding(there: Mapping[Parts, str]) -> dict[str, str]:
    """What turns forwarding on, of both versions of IP, if it is: each changes others with it."""
    return {name: "1" for name, parts in FORWARDING.items() if there.get(parts) == "1"}


def changed(there: Mapping[Parts, str], base: Mapping[Parts, str], interfaces: Set[str]) -> dict[str, str]:
    """The sysctls that are not as in `base`, by name; of an interface's, those that are not as the default."""
    out: dict[str, str] = {}
    for parts, value in sorted(there.items()):
        usual = base.get(parts)
        if parts[:2] in OF_INTERFACES and len(parts) == 4 and parts[2] not in ("all", "default", "lo"):
            if parts[2] not in interfaces or (*parts[3:], value) in WITHOUT_MAC:
                continue
            usual = there.get((*parts[:2], "default", parts[3]))
        if usual is not None and value != usual:
            out[name_of(parts)] = value
    return out


def name_of(parts: Parts) -> str:
    """`net.ipv4.ip_forward`; with slashes where an interface's name has dots."""
    return ("/" if any("." in part for part in parts) else ".").join(("net", *parts))
