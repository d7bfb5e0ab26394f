"""What this machine has and lacks: privileges, link kinds of the running kernel, tools, Python packages."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import sys
from typing import Any

COLUMNS = ("area", "what", "ok", "found", "remedy")

# capability -> (bit in /proc/self/status CapEff, what it is for), capabilities(7)
CAPABILITIES = {
    "CAP_NET_RAW": (13, "open capture sockets"),
    "CAP_NET_ADMIN": (12, "turn on promiscuous mode and make links"),
    "CAP_SYS_ADMIN": (21, "enter and make namespaces"),
}

# tool -> (Debian package, what it is for)
TOOLS = {
    "tcpdump": ("tcpdump", "comparisons"),
    "tshark": ("tshark", "read -Y, the long tail of protocols"),
    "nmap": ("nmap", "discovery"),
    "ip": ("iproute2", "namespaces by hand"),
    "nft": ("nftables", "NAT in labs"),
    "dnsmasq": ("dnsmasq-base", "DNS and DHCP in labs"),
    "udhcpc": ("udhcpc", "DHCP clients in labs"),
    "dropbear": ("dropbear-bin", "SSH in labs"),
    "curl": ("curl", "HTTP clients in labs"),
    "rsvg-convert": ("librsvg2-bin", "lab graph as PNG"),
}


def finding(area: str, what: str, ok: bool, found: str, remedy: str = "") -> dict[str, Any]:
    """One row of the check-up; `remedy` only where something is missing."""
    return {"area": area, "what": what, "ok": ok, "found": found, "remedy": "" if ok else remedy}


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
    """The capabilities that capturing and labs need."""
    mask = effective_capabilities()
    python = os.path.realpath(sys.executable)
    names = ",".join(name.lower() for name in CAPABILITIES)
    remedy = f"run it with sudo, or let every script of this Python: sudo setcap {names}+eip {python}"
    return [
        finding(
            "privilege", name, bool(mask >> bit & 1), "yes" if mask >> bit & 1 else "no", f"needed to {use}: {remedy}"
        )
        for name, (bit, use) in CAPABILITIES.items()
    ]


def libraries() -> list[dict[str, Any]]:
    """libpcap, whose compiler understands capture filters."""
    found = ctypes.util.find_library("pcap")
    return [finding("library", "libpcap", found is not None, found or "no", "sudo apt install libpcap0.8")]


def tools() -> list[dict[str, Any]]:
    """The programs that some commands call."""
    return [
        finding(
            "tool",
            name,
            (path := shutil.which(name)) is not None,
            path or "no",
            f"for {use}: sudo apt install {package}",
        )
        for name, (package, use) in TOOLS.items()
    ]


def packages() -> list[dict[str, Any]]:
    """Python packages that are imported when they are needed."""
    names = {"pyarrow": "pyarrow", "pandas": "pandas", "duckdb": "duckdb", "scapy": "scapy", "pyshark": "pyshark"}
    names |= {"pyroute2": "pyroute2", "polars": "sniffkit[polars]"}
    rows = []
    for module, package in names.items():
        there = importlib.util.find_spec(module) is not None
        rows.append(finding("package", module, there, "yes" if there else "no", f"pip install '{package}'"))
    return rows


def kernel() -> list[dict[str, Any]]:
    """What of labs the running kernel has, each tried in a namespace that only this check is in.

    Where none may be made, what the kernel's configuration says.
    """
    from sniffkit.lab.kernel import probe

    return [finding("kernel", *row) for row in probe()]
