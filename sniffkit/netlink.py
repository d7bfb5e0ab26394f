"""The kernel's interfaces and namespaces, read through netlink. Nothing is cached: names mean what they mean now."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sniffkit.errors import PrivilegeError, SniffkitError

NETNS_DIR = Path("/run/netns")

# link kind -> the attribute that holds its network identifier
VNI_ATTRIBUTES = {"vxlan": "IFLA_VXLAN_ID", "geneve": "IFLA_GENEVE_ID"}
# `external`: routes and flows give each packet its identifier, the link has none
EXTERNAL_ATTRIBUTES = {"vxlan": "IFLA_VXLAN_COLLECT_METADATA", "geneve": "IFLA_GENEVE_COLLECT_METADATA"}

# linux/if_arp.h: hardware types whose addresses have six bytes: Ethernet, IEEE 802, loopback, 802.11 in three forms.
# pyroute2 shows six bytes of any: a tunnel's has the four or sixteen of an IP address.
SIX_BYTES = frozenset({1, 6, 772, 801, 802, 803})

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
    """The file of a namespace given by `ip netns` name, path or PID. Raises SniffkitError naming those that are, and
    PrivilegeError for another user's process.
    """
    path = NETNS_DIR / name
    if "/" in name:
        path = Path(name)
    elif not is_there(path) and re.fullmatch(r"[0-9]+", name):
        path = Path(f"/proc/{name}/ns/net")
    if not is_there(path):
        known = " ".join(namespaces()) or "none"
        raise SniffkitError(f"no network namespace {name!r}; there are: {known}")
    return path


def label(name: str | None) -> str | None:
    """What a namespace given by name, path or PID is called in tables, as captures call it; None stays None. Raises as
    `namespace_path` does.
    """
    from sniffkit import _core

    if name is None:
        return None
    namespace_path(name)
    try:
        return _core.namespace_label(name)
    except UnicodeEncodeError:  # no capture can name it
        return name


def is_there(path: Path) -> bool:
    """Whether there is such a file. Raises PrivilegeError if this user may not know."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        raise not_permitted(f"looking at {path}", "CAP_SYS_PTRACE") from None
    except (OSError, ValueError):  # too long, a NUL byte
        return False


def not_permitted(what: str, capability: str = "CAP_SYS_ADMIN") -> PrivilegeError:
    """The error for what only a privileged user may do with a namespace."""
    return PrivilegeError(f"{what}: not permitted: {capability} is missing; run it with sudo")


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
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # not to wait for who writes a FIFO
    except PermissionError:
        raise not_permitted(f"entering {path}", "CAP_SYS_PTRACE") from None
    except OSError as error:  # it has gone
        raise SniffkitError(f"{path}: {error.strerror}") from None
    try:
        if libc.setns(fd, clone_newnet) != 0:
            code = ctypes.get_errno()
            if code in (errno.EPERM, errno.EACCES):
                raise not_permitted(f"entering {path}")
            raise SniffkitError(f"{path}: {os.strerror(code)}")
    finally:
        os.close(fd)


@dataclass
class Interface:
    """One interface of one namespace. `peer` is a veth's other end where it can be found: `IF` in the same namespace,
    `NS/IF` in another, `/IF` in this process' own.

    mac: null where hardware addresses have not six bytes. A byte of a name that is not UTF-8 is a surrogate (PEP 383).
    """

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
    names = {one["index"]: name_of(one) for one in raw}
    of_index = defaultdict[int, list[str]](list)
    for entry in addresses:
        local = entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS")
        of_index[entry["index"]].append(f"{local}/{entry['prefixlen']}")
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
            mac=one.get_attr("IFLA_ADDRESS") if one["ifi_type"] in SIX_BYTES else None,
            mtu=one.get_attr("IFLA_MTU"),
            addresses=of_index[one["index"]],
            master=names.get(one.get_attr("IFLA_MASTER")),
            link=one.get_attr("IFLA_LINK"),
            link_netnsid=one.get_attr("IFLA_LINK_NETNSID"),
            inode=inode,
        )
        if kind == "vlan" and data:
            interface.vlan_id = data.get_attr("IFLA_VLAN_ID")
        if kind in VNI_ATTRIBUTES and data and not data.get_attr(EXTERNAL_ATTRIBUTES[kind]):
            interface.vni = data.get_attr(VNI_ATTRIBUTES[kind])
        if interface.link_netnsid is not None:
            interface.peer_inode = ids.get(interface.link_netnsid)
        elif kind == "veth" and interface.link in names:
            interface.peer = names[interface.link]
        out.append(interface)
    return out


def name_of(link: Any) -> str:
    """The name of a link as pyroute2 reads it, with surrogates for bytes that are not UTF-8 (PEP 383): the kernel takes
    any byte but `/`, `:` and white space.
    """
    name = link.get_attr("IFLA_IFNAME")
    return name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name)


def shown(name: str) -> str:
    """A name of an interface or a namespace as text that can be printed and stored: `\\xff` for a byte that is none."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


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
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
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


def all_interfaces(netns: str | None, refused: list[str] | None = None) -> list[Interface]:
    """The interfaces of a namespace, or of every one for "all" (the process' own first, as None), peers resolved.

    Namespaces without a name are called by the PID of a process in them; one of several names by the first. refused:
    gets those that "all" leaves out because this user may not enter them.
    """
    others: list[str | None] = [*namespaces(), *unnamed_namespaces()]
    if netns == "all":
        found = links(None)
        found += elsewhere(found, others, refused)
        resolve_peers(found, found)
        return found
    found = links(netns)
    called = label(netns)
    for one in found:
        one.netns = called
    # The other end may be anywhere, but only veths have one.
    if any(one.kind == "veth" and one.peer is None for one in found):
        rest = [name for name in [None, *others] if name != netns]
        resolve_peers(found, found + elsewhere(found, rest))
    return found


def elsewhere(found: list[Interface], names: list[str | None], refused: list[str] | None = None) -> list[Interface]:
    """The interfaces of other namespaces than those of `found`, of each once: it may have several names."""
    seen, more = {one.inode for one in found}, list[Interface]()
    for name in names:
        try:
            if name is not None and namespace_path(name).stat().st_ino in seen:
                continue
            here = [one for one in links(name) if one.inode not in seen]
        except PrivilegeError:
            if refused is not None and name is not None:
                refused.append(name)
            continue
        except (SniffkitError, OSError):
            continue  # it was there a moment ago
        seen.update(one.inode for one in here)
        more += here
    return more


def resolve_peers(found: list[Interface], everywhere: list[Interface]) -> None:
    """Fills `peer`: two veths are one pair if each names the other's index, and the namespace that the kernel says."""
    ends = defaultdict[tuple[int, int | None], list[Interface]](list)
    for other in everywhere:
        if other.kind == "veth":
            ends[other.index, other.link].append(other)
    for one in found:
        if one.kind != "veth" or one.peer is not None or one.link is None:
            continue
        matches = [
            other
            for other in ends[one.link, one.index]
            if (other.netns, other.name) != (one.netns, one.name)
            if one.peer_inode is None or other.inode == one.peer_inode
        ]
        if len(matches) == 1:
            other = matches[0]
            one.peer = other.name if other.inode == one.inode else f"{other.netns or ''}/{other.name}"


def own_name() -> str:
    """What others call the namespace of this process: its first `ip netns` name, else the lowest PID in it."""
    own = os.stat("/proc/self/ns/net").st_ino
    pids = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    for name, path in [(n, NETNS_DIR / n) for n in namespaces()] + [(str(p), Path(f"/proc/{p}/ns/net")) for p in pids]:
        try:
            if path.stat().st_ino == own:
                return name
        except OSError:
            continue  # it has gone, or is another user's
    return str(os.getpid())
