"""What of labs the running kernel has: link kinds, what bridges can do, queueing disciplines, NAT. Each is tried."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import socket as system
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from sniffkit.errors import LabError, MissingToolError
from sniffkit.lab.actions import lacking
from sniffkit.lab.engine import run
from sniffkit.lab.links import KINDS, kind
from sniffkit.lab.model import LabSpec
from sniffkit.lab.namespaces import CLONE_NEWNET, unshare
from sniffkit.lab.processes import search_path
from sniffkit.lab.qdiscs import QDISCS
from sniffkit.lab.services import service
from sniffkit.lab.wire import (
    CREATE,
    DELLINK,
    EXCL,
    NEWLINK,
    Refused,
    Socket,
    attribute,
    ip,
    link_header,
    message,
    nest,
    text,
)

# A row: what, whether it is there, how that is known, how to get it.
Row = tuple[str, bool, str, str]

# link kinds that labs do not have, but captures meet -> (kernel option, module)
OTHER_KINDS = {
    "geneve": ("CONFIG_GENEVE", "geneve"),
    "bond": ("CONFIG_BONDING", "bonding"),
    "vrf": ("CONFIG_NET_VRF", "vrf"),
    "gre": ("CONFIG_NET_IPGRE", "ip_gre"),
}
QDISC_WORDS = {
    "htb": ["htb"],
    "tbf": ["tbf", "rate", "1mbit", "burst", "32kb", "latency", "50ms"],
    "netem": ["netem", "delay", "1ms"],
    "sfq": ["sfq"],
}
# what else labs use -> (kernel option, module)
PARTS = {
    "ingress": ("CONFIG_NET_SCH_INGRESS", "sch_ingress"),
    "filter u32": ("CONFIG_NET_CLS_U32", "cls_u32"),
    "action mirred": ("CONFIG_NET_ACT_MIRRED", "act_mirred"),
    "nftables": ("CONFIG_NF_TABLES_INET", "nf_tables"),
    "nftables NAT": ("CONFIG_NFT_NAT", "nft_nat"),
}
PACKAGES = {"nft": "nftables", "tc": "iproute2"}
INGRESS = ["tc", "qdisc", "replace", "dev", "base0", "handle", "ffff:", "ingress"]
MATCH_ALL = ["protocol", "all", "prio", "1", "u32", "match", "u32", "0", "0"]
FILTER = ["tc", "filter", "add", "dev", "base0", "parent", "ffff:", *MATCH_ALL]
MIRRED = [*FILTER, *["action", "mirred", "egress", "redirect", "dev", "base0p"]]
FIREWALL = "table inet try { chain c { type filter hook input priority filter; ct state established accept; }; }"
NAT = "table ip try { chain c { type nat hook postrouting priority srcnat; masquerade; }; }"
# The least that each kind must be told.
TRY_DATA: dict[str, dict[str, Any]] = {"vlan": {"id": 100}, "vxlan": {"id": 42, "port": 4789}}


def probe() -> list[Row]:
    """Try everything on a thread whose namespace ends with it."""
    box: list[Row] = []
    thread = threading.Thread(target=lambda: box.extend(try_all()))
    thread.start()
    thread.join()
    return box


def wanted() -> dict[str, tuple[str, str]]:
    """What to try -> (kernel option, module)."""
    out = {name: (kind(name).option, kind(name).module) for name in KINDS if kind(name).how != "physical"}
    out |= OTHER_KINDS
    out["bridge vlan_filtering"] = ("CONFIG_BRIDGE_VLAN_FILTERING", "bridge")
    out |= {f"qdisc {name}": (one.option, one.module) for name, one in QDISCS.items()}
    return out | PARTS


def try_all() -> list[Row]:
    """Tries everything in a new namespace, which the calling thread stays in."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = kernel_options()
    if libc.unshare(CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        why = "no CAP_SYS_ADMIN" if code == errno.EPERM else f"making a namespace: {os.strerror(code)}"
        return [told(what, option, module, options, why) for what, (option, module) in wanted().items()]
    rows = []
    socket = Socket()
    base(socket)
    for what, (option, module) in wanted().items():
        tool = tool_of(what)
        if tool is not None and (mend := missing(tool)):
            rows.append(told(what, option, module, options, f"{tool} is missing", mend))
            continue
        how = "/dev/net/tun is there" if what in ("tun", "tap") else "made one in a new namespace"
        error = try_one(socket, what)
        found = f"yes: {how}" if error is None else f"no: making one: {error}"
        rows.append((what, error is None, found, remedy(option, module)))
    socket.close()
    return rows


def base(socket: Socket) -> None:
    """What other links stand on: base0 and its other end base0p. Without it they cannot be tried."""
    with contextlib.suppress(Refused):
        make_link(socket, "base0", "veth", {})


def try_one(socket: Socket, what: str) -> str | None:
    """None if the kernel has it, else why not. In this thread's namespace, which has `base`."""
    if what.startswith("qdisc "):
        return try_command(["tc", "qdisc", "replace", "dev", "base0", "root", *QDISC_WORDS[what[6:]]])
    if what in ("ingress", "filter u32", "action mirred"):
        error = try_command(INGRESS)
        if error is None and what != "ingress":
            error = try_command(FILTER if what == "filter u32" else MIRRED)
        return error
    if what in ("nftables", "nftables NAT"):
        return try_command(["nft", "-f", "-"], FIREWALL if what == "nftables" else NAT)
    if what == "bridge vlan_filtering":
        return try_link(socket, "bridge", {"vlan_filtering": True, "default_pvid": 0})
    return try_link(socket, what, TRY_DATA.get(what, {}))


def tool_of(what: str) -> str | None:
    """The program that makes what `wanted` names, where netlink requests of our own do not."""
    if what.startswith("nftables"):
        return "nft"
    return "tc" if what in PARTS or what.startswith("qdisc ") else None


def missing(tool: str) -> str | None:
    """How to get a program of PACKAGES that is not there."""
    return None if shutil.which(tool, path=search_path()) else f"sudo apt install {PACKAGES[tool]}"


def needs(spec: LabSpec) -> dict[str, str]:
    """What a lab needs of the kernel, in the words of `wanted` → who needs it first."""
    out: dict[str, str] = {}
    for one in spec.interfaces.values():
        if kind(one.kind).how != "physical":
            out.setdefault(one.kind, f"{one}: kind {one.kind}")
        if one.data.get("vlan_filtering"):
            out.setdefault("bridge vlan_filtering", f"{one}: vlan_filtering")
        for name, given in (one.qdisc or {}).items():
            out.setdefault(f"qdisc {name}", f"{one}: qdisc {name}")
            if given.get("classes"):
                out.setdefault("filter u32", f"{one}: filter u32")
        for what in ("ingress", "filter u32", "action mirred") if one.ingress else ():
            out.setdefault(what, f"{one}: {what}")
    for node in spec.nodes.values():
        for what, keys in (("nftables NAT", ("nat",)), ("nftables", ("nat", "firewall", "nft"))):
            if any(node.settings.get(key) for key in keys):
                out.setdefault(what, f"{node.name}: {what}")
    return out


def preflight(spec: LabSpec) -> None:
    """Try all that a lab needs, before any of it is made. Raises LabError that names what the kernel lacks.

    Programs that are missing are a MissingToolError; privileges that are, a PrivilegeError.
    """
    missing_tools(spec)
    wants, names = needs(spec), wanted()

    def work(stop: threading.Event) -> list[str]:
        unshare()
        socket = Socket()
        try:
            base(socket)
            return [what for what in wants if what != "veth" and try_one(socket, what) is not None]
        finally:
            socket.close()

    # A pair of veths needs no trial: it is what all kernels have, and the first that is made tells the same.
    if set(wants) - {"veth"}:
        lines = [lacking(wants[what], *names[what]) for what in run(work)]
        if lines:
            raise LabError("; ".join(lines))


def missing_tools(spec: LabSpec) -> None:
    """The programs that services, qdiscs and NAT call. Raises MissingToolError for the first that is not there, and
    LabError where a service lacks something else."""
    for node in spec.nodes.values():
        for name, given in node.settings.get("services", []):
            found = service(name)
            wrong = found.lacks(given, spec) if found.lacks else None
            if wrong:
                raise LabError(f"{node.name}: {name}: {wrong}")
            if found.tool and shutil.which(found.tool, path=search_path()) is None:
                raise MissingToolError(
                    f"{node.name}: {name}: {found.tool} is missing: sudo apt install {found.package}"
                )
    for tool in sorted({tool for what in needs(spec) if (tool := tool_of(what)) is not None}):
        if mend := missing(tool):
            raise MissingToolError(f"{tool} is missing: {mend}")


def told(what: str, option: str, module: str, options: Mapping[str, str], why: str, mend: str | None = None) -> Row:
    """A row about something that could not be tried, and why. mend: how it can be."""
    if options:
        state = options.get(option, "n")
        words = {"y": "built in", "m": "a module"}.get(state, "not set")
        return what, state in "ym", f"{option} is {words} (not tried: {why})", remedy(option, module)
    return what, False, f"unknown: not tried: {why}", mend or "sudo sniffkit doctor tries it"


def remedy(option: str, module: str) -> str:
    """How to get it: load its module where the running kernel has one, else another kernel."""
    try:
        with open(f"/lib/modules/{os.uname().release}/modules.dep", encoding="utf-8") as file:
            there = any(f"/{module}.ko" in line.partition(":")[0] for line in file)
    except OSError:
        there = False
    if there:
        return f"sudo modprobe {module}"
    return f"a kernel with {option}; this one has no module {module} (scripts/uml_run.py runs one that has)"


def kernel_options() -> dict[str, str]:
    """The running kernel's configuration as far as it tells: CONFIG_… → y or m; empty if it does not."""
    import gzip

    for path in ("/proc/config.gz", f"/boot/config-{os.uname().release}"):
        try:
            with open(path, "rb") as file:
                data = file.read()
            words = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        except OSError:
            continue
        return dict(re.findall(r"^(CONFIG_\w+)=([ym])$", words, re.MULTILINE))
    return {}


def try_command(argv: list[str], text: str = "") -> str | None:
    """None if a command works in this thread's namespace, else its words."""
    found = shutil.which(argv[0], path=search_path())
    done = subprocess.run([found or argv[0], *argv[1:]], input=text, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else " ".join(done.stderr.split())[:80] or f"exit code {done.returncode}"


def try_link(socket: Socket, name: str, data: dict[str, Any]) -> str | None:
    """None if a link of this kind can be made, else the kernel's words."""
    if name in ("tun", "tap"):
        return None if os.path.exists("/dev/net/tun") else "no /dev/net/tun"
    try:
        make_link(socket, "try0", name, data)
        socket.send([message(DELLINK, 0, link_header() + attribute(3, text("try0")))])
    except (Refused, OSError) as error:  # OSError: there is no base0 to stand on
        return str(error)
    return None


def make_link(socket: Socket, ifname: str, name: str, data: dict[str, Any]) -> None:
    """Ask for a link; those that stand on another stand on base0."""
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
