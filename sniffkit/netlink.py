"""The kernel's interfaces and namespaces, read through netlink. Nothing is cached: names mean what they mean now."""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sniffkit.errors import PrivilegeError, SniffkitError

NETNS_DIR = Path("/run/netns")

# link kind -> the attribute that holds its network identifier
VNI_ATTRIBUTES = {"vxlan": "IFLA_VXLAN_ID", "geneve": "IFLA_GENEVE_ID"}

RTM_NEWNSID, RTM_GETNSID, NLM_F_REQUEST = 88, 90, 1
NETNSA_NSID, NETNSA_FD = 1, 3

T = TypeVar("T")


def namespaces() -> list[str]:
    """The names that `ip netns` knows, sorted."""
    try:
        return sorted(entry.name for entry in NETNS_DIR.iterdir())
    except FileNotFoundError:
        return []


def unnamed_namespaces() -> list[str]:
    """Namespaces without a name that some process is in (containers'), each by the lowest PID; not this process' own.

    Only those that this user may look at: all of them as root.
    """
    known = {os.stat("/proc/self/ns/net").st_ino}
    for name in namespaces():
        try:
            known.add((NETNS_DIR / name).stat().st_ino)
        except FileNotFoundError:
            continue  # it has just been removed
    found: list[str] = []
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            inode = os.stat(f"/proc/{pid}/ns/net").st_ino
        except OSError:
            continue  # it has ended, or is another user's
        if inode not in known:
            known.add(inode)
            found.append(str(pid))
    return found


def namespace_path(name: str) -> Path:
    """The file of a namespace given by `ip netns` name, path or PID. Raises SniffkitError naming those that are."""
    path = NETNS_DIR / name
    if "/" in name:
        path = Path(name)
    elif not path.exists() and re.fullmatch(r"[0-9]+", name):
        path = Path(f"/proc/{name}/ns/net")
    if not path.exists():
        known = " ".join(namespaces()) or "none"
        raise SniffkitError(f"no network namespace {name!r}; there are: {known}")
    return path


def run_in(name: str | None, task: Callable[[], T]) -> T:
    """Run `task` inside a namespace, on a thread of its own that ends with it: no other thread ever moves."""
    if name is None:
        return task()
    path = namespace_path(name)
    box: dict[str, Any] = {}

    def work() -> None:
        try:
            enter(path)
            box["value"] = task()
        except BaseException as error:  # handed to the caller's thread
            box["error"] = error

    thread = threading.Thread(target=work, name=f"netns-{name}")
    thread.start()
    thread.join()
    if "error" in box:
        raise box["error"]
    value: T = box["value"]
    return value


def enter(path: Path) -> None:
    """Move this thread into a namespace: setns(2)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, clone_newnet) != 0:
            code = ctypes.get_errno()
            if code in (1, 13):
                raise PrivilegeError(f"entering {path}: not permitted: CAP_SYS_ADMIN is missing; run it with sudo")
            raise SniffkitError(f"{path}: {os.strerror(code)}")
    finally:
        os.close(fd)


@dataclass
class Interface:
    """One interface of one namespace. `peer` is `NS/IF` of a veth's other end where it can be found."""

    netns: str | None
    name: str
    index: int
    kind: str
    state: str
    mac: str | None
    mtu: int
    addresses: list[str] = field(default_factory=list)
    peer: str | None = None
    master: str | None = None
    vlan_id: int | None = None
    vni: int | None = None
    link: int | None = None
    link_netnsid: int | None = None
    peer_inode: int | None = None
    inode: int | None = None


def links(netns: str | None) -> list[Interface]:
    """Every interface of one namespace (None: where this process is), without peers in other namespaces."""

    def read() -> tuple[list[Any], list[Any], dict[int, int], int]:
        from pyroute2 import IPRoute

        inode = os.stat("/proc/thread-self/ns/net").st_ino
        with IPRoute() as ip:
            return list(ip.get_links()), list(ip.get_addr()), peer_namespaces(), inode

    raw, addresses, ids, inode = run_in(netns, read)
    names = {one["index"]: one.get_attr("IFLA_IFNAME") for one in raw}
    out = []
    for one in raw:
        info = one.get_attr("IFLA_LINKINFO")
        kind = info.get_attr("IFLA_INFO_KIND") if info else None
        data = info.get_attr("IFLA_INFO_DATA") if info else None
        loopback = one["ifi_type"] == 772
        interface = Interface(
            netns=netns,
            name=names[one["index"]],
            index=one["index"],
            kind=kind or ("loopback" if loopback else "ether"),
            state=(one.get_attr("IFLA_OPERSTATE") or "UNKNOWN").lower(),
            mac=one.get_attr("IFLA_ADDRESS"),
            mtu=one.get_attr("IFLA_MTU"),
            master=names.get(one.get_attr("IFLA_MASTER")),
            link=one.get_attr("IFLA_LINK"),
            link_netnsid=one.get_attr("IFLA_LINK_NETNSID"),
            inode=inode,
        )
        if kind == "vlan" and data:
            interface.vlan_id = data.get_attr("IFLA_VLAN_ID")
        if kind in VNI_ATTRIBUTES and data:
            interface.vni = data.get_attr(VNI_ATTRIBUTES[kind])
        if interface.link_netnsid is not None:
            interface.peer_inode = ids.get(interface.link_netnsid)
        elif kind == "veth" and interface.link in names:
            interface.peer = names[interface.link]
        interface.addresses = [
            f"{entry.get_attr('IFA_LOCAL') or entry.get_attr('IFA_ADDRESS')}/{entry['prefixlen']}"
            for entry in addresses
            if entry["index"] == one["index"]
        ]
        out.append(interface)
    return out


def peer_namespaces() -> dict[int, int]:
    """netnsid → inode, for the namespaces that the calling thread's has given an id (RTM_GETNSID).

    Every namespace is asked about every other: too many questions for pyroute2's sockets.
    """
    paths = [NETNS_DIR / name for name in namespaces()]
    paths += [Path(f"/proc/{pid}/ns/net") for pid in ("self", *unnamed_namespaces())]
    ids: dict[int, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as asked:
        for path in paths:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                number = _netnsid(asked, fd)
                if number >= 0:  # -1: this one has given it no id
                    ids[number] = os.fstat(fd).st_ino
            finally:
                os.close(fd)
    return ids


def _netnsid(asked: socket.socket, fd: int) -> int:
    """The id that a namespace has given another: linux/net_namespace.h. -1 if it has not."""
    body = struct.pack("=BxxxHHI", 0, 8, NETNSA_FD, fd)
    asked.send(struct.pack("=IHHII", 16 + len(body), RTM_GETNSID, NLM_F_REQUEST, 0, 0) + body)
    answer = asked.recv(1 << 16)
    if struct.unpack_from("=IH", answer)[1] != RTM_NEWNSID:
        return -1
    number = attributes(answer[20:]).get(NETNSA_NSID)
    return -1 if number is None else int(struct.unpack("=i", number)[0])


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by number; the last of those that are there twice."""
    return dict(pairs(data))


def pairs(data: bytes) -> Iterable[tuple[int, bytes]]:
    """Attributes in order, as (number, payload)."""
    offset = 0
    while offset + 4 <= len(data):
        length, number = struct.unpack_from("=HH", data, offset)
        yield number & 0x3FFF, data[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)


def all_interfaces(netns: str | None) -> list[Interface]:
    """The interfaces of a namespace, or of every one for "all" (the process' own first, as None), peers resolved.

    Namespaces without a name are called by the PID of a process in them; one of several names by the first.
    """
    others: list[str | None] = [*namespaces(), *unnamed_namespaces()]
    if netns == "all":
        found = links(None)
        found += elsewhere(found, others)
        resolve_peers(found, found)
        return found
    found = links(netns)
    # The other end may be anywhere, but only veths have one.
    if any(one.kind == "veth" and one.peer is None for one in found):
        rest = [name for name in [None, *others] if name != netns]
        resolve_peers(found, found + elsewhere(found, rest))
    return found


def elsewhere(found: list[Interface], names: list[str | None]) -> list[Interface]:
    """The interfaces of other namespaces than those of `found`, of each once: it may have several names."""
    seen, more = {one.inode for one in found}, list[Interface]()
    for name in names:
        here = [one for one in reachable(name) if one.inode not in seen]
        seen.update(one.inode for one in here)
        more += here
    return more


def reachable(name: str | None) -> list[Interface]:
    """The interfaces of a namespace that was there a moment ago; none of one that has gone or cannot be entered."""
    try:
        return links(name)
    except (SniffkitError, OSError):
        return []


def resolve_peers(found: list[Interface], everywhere: list[Interface]) -> None:
    """Fills `peer`: two veths are one pair if each names the other's index, and the namespace that the kernel says."""
    for one in found:
        if one.kind != "veth" or one.peer is not None or one.link is None:
            continue
        matches = [
            other
            for other in everywhere
            if other.kind == "veth" and other.index == one.link and other.link == one.index
            if (other.netns, other.name) != (one.netns, one.name)
            if one.peer_inode is None or other.inode == one.peer_inode
        ]
        if len(matches) == 1:
            other = matches[0]
            one.peer = f"{other.netns}/{other.name}" if other.netns else other.name
