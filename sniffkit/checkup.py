"""What this machine has and lacks: privileges, link kinds of the running kernel, tools, Python packages."""

from __future__ import annotations

import ctypes.util
import errno
import importlib.util
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sniffkit.errors import SniffkitError, granting
from sniffkit.packages import PACKAGES, REQUIRED

# column → type (sniffkit.rows.TYPES)
COLUMNS = {"area": "text", "what": "text", "ok": "bool", "found": "text", "remedy": "text"}

# /proc/self/ns/net: the namespace that the privileges are tried on
OWN = Path("/proc/self/ns/net")


def open_packet_socket() -> None:
    """Needs CAP_NET_RAW: packet(7)."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def change_no_link() -> None:
    """Asks for a change of a link that is not there, which needs CAP_NET_ADMIN to be looked at: rtnetlink(7)."""
    from sniffkit.lab import wire

    asked = wire.Socket()
    try:
        asked.send([wire.message(wire.SETLINK, 0, wire.link_header(0x7FFFFFFF))])
    except wire.Refused as error:
        if error.code in (errno.EPERM, errno.EACCES):
            raise PermissionError from None
    finally:
        asked.close()


def enter_own() -> None:
    """Needs CAP_SYS_ADMIN: setns(2)."""
    from sniffkit.netlink import run_in

    run_in(str(OWN), lambda: None)


# capability -> (bit in /proc/self/status CapEff, what it is for, what needs it and changes nothing), capabilities(7)
CAPABILITIES: dict[str, tuple[int, str, Callable[[], None]]] = {
    "CAP_NET_RAW": (13, "open capture sockets", open_packet_socket),
    "CAP_NET_ADMIN": (12, "turn on promiscuous mode and make links", change_no_link),
    "CAP_SYS_ADMIN": (21, "enter and make namespaces", enter_own),
}

# tool -> (Debian package, what it is for)
TOOLS = {
    "tcpdump": ("tcpdump", "comparisons"),
    "tshark": ("tshark", "read -Y, the long tail of protocols"),
    "nmap": ("nmap", "discovery"),
    "ip": ("iproute2", "namespaces by hand"),
    "tc": ("iproute2", "queueing disciplines in labs"),
    "nft": ("nftables", "NAT in labs"),
    "dnsmasq": ("dnsmasq-base", "DNS and DHCP in labs"),
    "udhcpc": ("udhcpc", "DHCP clients in labs"),
    "dropbear": ("dropbear-bin", "SSH in labs"),
    "curl": ("curl", "HTTP clients in labs"),
    "rsvg-convert": ("librsvg2-bin", "lab graph as PNG"),
}


def finding(area: str, what: str, ok: bool, found: str, remedy: str = "") -> dict[str, Any]:
    """One row of the check-up; `remedy` only where something is missing."""
    return {"area": area, "what": what, "ok": ok, "found": found, "remedy": None if ok else remedy}


def findings() -> list[dict[str, Any]]:
    """Every check, in the order privileges, libraries, tools, packages, kernel."""
    return [*privileges(), *libraries(), *tools(), *packages(), *kernel()]


def effective_capabilities() -> int:
    """CapEff of this process as a bit mask."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def privileges() -> list[dict[str, Any]]:
    """The capabilities that capturing and labs need. One that is held is tried: in a user namespace it may not hold for
    the network namespace, which is another's (user_namespaces(7)).
    """
    mask = effective_capabilities()
    remedy = granting()
    rows = []
    for name, (bit, use, attempt) in CAPABILITIES.items():
        found, how = "no", remedy
        if mask >> bit & 1:
            try:
                attempt()
                found = "yes"
            except (OSError, SniffkitError):
                found = "no: held in a user namespace, but not for this network namespace"
                how = "run it with sudo outside, or in a network namespace of its own (unshare -Urn)"
        rows.append(finding("privilege", name, found == "yes", found, f"needed to {use}: {how}"))
    return rows


def libraries() -> list[dict[str, Any]]:
    """libpcap, whose compiler understands capture filters."""
    found = ctypes.util.find_library("pcap")
    return [finding("library", "libpcap", found is not None, found or "no", "sudo apt install libpcap0.8")]


def tools() -> list[dict[str, Any]]:
    """The programs that some commands call, looked for where those do."""
    from sniffkit.lab.processes import search_path

    return [
        finding(
            "tool",
            name,
            (path := shutil.which(name, path=search_path())) is not None,
            path or "no",
            f"for {use}: sudo apt install {package}",
        )
        for name, (package, use) in TOOLS.items()
    ]


def packages() -> list[dict[str, Any]]:
    """Python packages, which are imported when they are needed; those of extras too."""
    rows = []
    for module, package in PACKAGES.items():
        name = package if module in REQUIRED else module
        there = importlib.util.find_spec(module) is not None
        rows.append(finding("package", name, there, "yes" if there else "no", f"pip install '{package}'"))
    return rows


def kernel() -> list[dict[str, Any]]:
    """What of labs the running kernel has, each tried in a namespace that only this check is in.

    Where none may be made, what the kernel's configuration says.
    """
    from sniffkit.lab.kernel import probe

    return [finding("kernel", *row) for row in probe()]
