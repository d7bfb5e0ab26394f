"""What this machine has and lacks: privileges, link kinds of the running kernel, tools, Python packages."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import sys
import threading
from typing import Any

COLUMNS = ("area", "what", "ok", "found", "remedy")

# capability -> (bit in /proc/self/status CapEff, what it is for), capabilities(7)
CAPABILITIES = {
    "CAP_NET_RAW": (13, "open capture sockets"),
    "CAP_NET_ADMIN": (12, "promiscuous mode, make links"),
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

# link kinds that labs do not have, but captures meet -> (kernel option, module)
OTHER_KINDS = {
    "geneve": ("CONFIG_GENEVE", "geneve"),
    "bond": ("CONFIG_BONDING", "bonding"),
    "vrf": ("CONFIG_NET_VRF", "vrf"),
    "gre": ("CONFIG_NET_IPGRE", "ip_gre"),
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
    remedy = (
        "run with sudo, or: sudo setcap cap_net_raw,cap_net_admin,cap_sys_admin+eip $(readlink -f .venv/bin/python)"
    )
    return [
        finding("privilege", name, bool(mask >> bit & 1), "yes" if mask >> bit & 1 else "no", f"to {use}: {remedy}")
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
    """What of labs the running kernel has: each is tried in a namespace that only this check's thread is in."""
    box: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: box.extend(try_kernel()))
    thread.start()
    thread.join()
    return box


def wanted() -> dict[str, tuple[str, str]]:
    """What to try -> (kernel option, module): link kinds, what bridges can do, queueing disciplines, NAT."""
    from sniffkit.lab.links import KINDS, kind
    from sniffkit.lab.qdiscs import QDISCS

    out = {name: (kind(name).option, kind(name).module) for name in KINDS if kind(name).how != "physical"}
    out |= OTHER_KINDS
    out["bridge vlan_filtering"] = ("CONFIG_BRIDGE_VLAN_FILTERING", "bridge")
    out |= {f"qdisc {name}": (one.option, one.module) for name, one in QDISCS.items()}
    out["nftables NAT"] = ("CONFIG_NFT_NAT", "nft_nat")
    return out


def try_kernel() -> list[dict[str, Any]]:
    """Tries everything in a new namespace, which goes with the thread. Call it on a thread of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    if libc.unshare(clone_newnet) != 0:
        text = "cannot be tried without CAP_SYS_ADMIN"
        return [finding("kernel", what, False, "unknown", text) for what in wanted()]
    from sniffkit.lab.wire import Socket

    rows = []
    socket = Socket()
    make_link(socket, "base0", "veth", {})
    for what, (option, module) in wanted().items():
        if what.startswith("qdisc "):
            error = try_command(["tc", "qdisc", "replace", "dev", "base0", "root", *QDISC_WORDS[what[6:]]])
        elif what == "nftables NAT":
            error = try_command(["nft", "-f", "-"], NAT)
        elif what == "bridge vlan_filtering":
            error = try_link(socket, "bridge", {"vlan_filtering": True, "default_pvid": 0})
        else:
            error = try_link(socket, what, TRY_DATA.get(what, {}))
        remedy = f"kernel needs {option}: sudo modprobe {module}, or a kernel built with it (scripts/uml_run.py)"
        rows.append(finding("kernel", what, error is None, "yes" if error is None else error, remedy))
    socket.close()
    return rows


QDISC_WORDS = {
    "htb": ["htb"],
    "tbf": ["tbf", "rate", "1mbit", "burst", "32kb", "latency", "50ms"],
    "netem": ["netem", "delay", "1ms"],
    "sfq": ["sfq"],
}
NAT = "table ip try { chain c { type nat hook postrouting priority srcnat; masquerade; }; }"
# The least that each kind must be told.
TRY_DATA: dict[str, dict[str, Any]] = {"vlan": {"id": 100}, "vxlan": {"id": 42, "port": 4789}}


def try_command(argv: list[str], text: str = "") -> str | None:
    """None if a command works in this thread's namespace, else its words."""
    import subprocess

    from sniffkit.lab.processes import ADMIN_PATH

    found = shutil.which(argv[0], path=f"{os.environ.get('PATH', os.defpath)}:{ADMIN_PATH}")
    if found is None:
        return f"cannot be tried without {argv[0]}"
    done = subprocess.run([found, *argv[1:]], input=text, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else " ".join(done.stderr.split())[:80] or f"exit code {done.returncode}"


def try_link(socket: Any, name: str, data: dict[str, Any]) -> str | None:
    """None if a link of this kind can be made, else the kernel's words."""
    from sniffkit.lab.wire import DELLINK, Refused, attribute, link_header, message, text

    if name in ("tun", "tap"):
        return None if os.path.exists("/dev/net/tun") else "no /dev/net/tun"
    try:
        make_link(socket, "try0", name, data)
        socket.send([message(DELLINK, 0, link_header() + attribute(3, text("try0")))])
    except Refused as error:
        return str(error)
    return None


def make_link(socket: Any, ifname: str, name: str, data: dict[str, Any]) -> None:
    """Ask for a link; those that stand on another stand on base0."""
    import socket as system

    from sniffkit.lab.links import KINDS, kind
    from sniffkit.lab.wire import CREATE, EXCL, NEWLINK, attribute, ip, link_header, message, nest, text

    raw = {
        "veth": nest(1, link_header() + attribute(3, text(f"{ifname}p"))),
        "geneve": attribute(1, b"\x2a\0\0\0") + attribute(2, ip("192.0.2.1")),
        "vrf": attribute(1, b"\x2a\0\0\0"),
        "gre": attribute(6, ip("192.0.2.2")) + attribute(7, ip("192.0.2.1")),
        "bond": b"",
    }
    encoded = raw[name] if name in raw else kind(name).encode(data)
    body = attribute(3, text(ifname)) + nest(18, attribute(1, text(name)), nest(2, encoded) if encoded else b"")
    if name in KINDS and kind(name).parent == "must":
        body += attribute(5, system.if_nametoindex("base0").to_bytes(4, sys.byteorder))
    socket.send([message(NEWLINK, CREATE | EXCL, link_header() + body)])
