"""What this machine has and lacks: privileges, link kinds of the running kernel, tools, Python packages."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import re
import shutil
import sys
import threading
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
}

# link kind -> (kernel option, module)
LINK_KINDS = {
    "veth": ("CONFIG_VETH", "veth"),
    "bridge": ("CONFIG_BRIDGE", "bridge"),
    "vlan": ("CONFIG_VLAN_8021Q", "8021q"),
    "vxlan": ("CONFIG_VXLAN", "vxlan"),
    "geneve": ("CONFIG_GENEVE", "geneve"),
    "macvlan": ("CONFIG_MACVLAN", "macvlan"),
    "macvtap": ("CONFIG_MACVTAP", "macvtap"),
    "ipvlan": ("CONFIG_IPVLAN", "ipvlan"),
    "ipvtap": ("CONFIG_IPVTAP", "ipvtap"),
    "dummy": ("CONFIG_DUMMY", "dummy"),
    "ifb": ("CONFIG_IFB", "ifb"),
    "nlmon": ("CONFIG_NLMON", "nlmon"),
    "macsec": ("CONFIG_MACSEC", "macsec"),
    "tun": ("CONFIG_TUN", "tun"),
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
    """Which link kinds the running kernel makes: each is tried in a namespace that only this check's thread is in.

    Where none may be made, what the kernel's configuration and modules say.
    """
    box: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: box.extend(try_kinds()))
    thread.start()
    thread.join()
    return box


def try_kinds() -> list[dict[str, Any]]:
    """Makes one link of each kind in a new namespace, which goes with the thread. Call it on a thread of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    options = kernel_options()
    if libc.unshare(clone_newnet) != 0:
        return [told_kind(kind, options) for kind in LINK_KINDS]
    from pyroute2 import IPRoute

    rows = []
    with IPRoute() as ip:
        ip.link("add", ifname="base0", kind="veth", peer={"ifname": "base1"})
        base = ip.link_lookup(ifname="base0")[0]
        for kind in LINK_KINDS:
            error = try_kind(ip, kind, base)
            how = "/dev/net/tun is there" if kind == "tun" else "made one in a new namespace"
            found = f"yes: {how}" if error is None else f"no: making one: {error}"
            rows.append(finding("kernel", kind, error is None, found, kind_remedy(kind)))
    return rows


def told_kind(kind: str, options: dict[str, str]) -> dict[str, Any]:
    """A row about a link kind that could not be tried."""
    option, _ = LINK_KINDS[kind]
    if option in options:
        there = options[option] in "ym"
        words = {"y": "built in", "m": "a module"}.get(options[option], "not set")
        return finding("kernel", kind, there, f"{option} is {words} (not tried: no CAP_SYS_ADMIN)", kind_remedy(kind))
    return finding("kernel", kind, False, "unknown: not tried without CAP_SYS_ADMIN", "sudo sniffkit doctor tries it")


def kind_remedy(kind: str) -> str:
    """How to get a link kind: load its module where the running kernel has one, else another kernel."""
    option, module = LINK_KINDS[kind]
    try:
        with open(f"/lib/modules/{os.uname().release}/modules.dep", encoding="utf-8") as file:
            there = any(f"/{module}.ko" in line.partition(":")[0] for line in file)
    except OSError:
        there = False
    return f"sudo modprobe {module}" if there else f"a kernel with {option}; this one has no module {module}"


def kernel_options() -> dict[str, str]:
    """The running kernel's configuration as far as it tells: CONFIG_… → y, m or n."""
    import gzip

    for path in ("/proc/config.gz", f"/boot/config-{os.uname().release}"):
        try:
            with open(path, "rb") as file:
                data = file.read()
            text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        except OSError:
            continue
        found = dict(re.findall(r"^(CONFIG_\w+)=([ym])$", text, re.MULTILINE))
        return {option: found.get(option, "n") for option, _ in LINK_KINDS.values()}
    return {}


def try_kind(ip: Any, kind: str, base: int) -> str | None:
    """None if a link of this kind can be made, else the kernel's words."""
    from pyroute2.netlink.exceptions import NetlinkError

    extra: dict[str, dict[str, Any]] = {
        "veth": {"peer": {"ifname": "try1"}},
        "vlan": {"link": base, "vlan_id": 100},
        "vxlan": {"vxlan_id": 42, "vxlan_port": 4789},
        "geneve": {"geneve_id": 42, "geneve_remote": "192.0.2.1"},
        "macvlan": {"link": base, "macvlan_mode": "bridge"},
        "macvtap": {"link": base, "macvtap_mode": "vepa"},
        "ipvlan": {"link": base},
        "ipvtap": {"link": base},
        "macsec": {"link": base},
        "vrf": {"vrf_table": 42},
        "gre": {"gre_local": "192.0.2.2", "gre_remote": "192.0.2.1"},
    }
    if kind == "tun":
        return None if os.path.exists("/dev/net/tun") else "no /dev/net/tun"
    try:
        ip.link("add", ifname="try0", kind=kind, **extra.get(kind, {}))
    except NetlinkError as error:
        return str(error.args[-1])
    found = ip.link_lookup(ifname="try0")
    if found:
        ip.link("del", index=found[0])
    return None
