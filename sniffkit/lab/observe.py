"""What a namespace holds now, in the words of a lab file: read through netlink, nothing is changed.

Layouts and numbers: linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h, linux/fib_rules.h, linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Container
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from sniffkit.lab import rules, wire
from sniffkit.lab.routing import PROTOCOLS, ROUTE_TYPES, RULE_ACTIONS, SCOPES, TABLES, table_of

RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_RA = 1, 2, 9
RTM_F_CLONED = 0x200
RTEXT_FILTER_BRVLAN = 2
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_PROXY = 8
WITHOUT_ARP = 0x8 | 0x10 | 0x80  # IFF_LOOPBACK, IFF_POINTOPOINT, IFF_NOARP
IFA_F_PERMANENT, IFA_F_NOPREFIXROUTE = 0x80, 0x200
SCOPE_NAMES = {200: "site", 253: "link", 254: "host"}  # RT_SCOPE_…
USUAL_QUEUES = {0, 32, 500, 1000}  # of kinds without one, ifb, tun and tap, all others
IFAPROT_KERNEL_LL = 3
KERNELS = {1, 2, IFAPROT_KERNEL_LL}  # IFAPROT_KERNEL_…
RTNH_F_ONLINK = 4
SOURCE, METRICS, FLOW, ENCAP, VIA = 2, 8, 11, 22, 18  # RTA_…
FDB_PORT, FDB_VNI, FDB_IFINDEX = 6, 7, 8  # NDA_…
IPV6_METRIC = 1024  # of a route that was given none
STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")  # IF_OPER_…
TYPES = {number: name for name, number in ROUTE_TYPES.items()}
ACTIONS = {number: name for name, number in RULE_ACTIONS.items()}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}


@dataclass(slots=True)
class SeenLink:
    """An interface. data, slave: IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA as {number: payload}; parent: an index.

    state: as in RFC 2863, in the kernel's words. flags: IFF_… also: what a lab file has no words for.
    """

    name: str
    index: int
    up: bool
    mtu: int
    mac: str
    kind: str
    data: dict[int, bytes]
    slave: dict[int, bytes]
    master: int
    parent: int
    elsewhere: bool
    state: str
    flags: int
    also: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Seen:
    """A namespace. addresses: interface → addresses with their prefix lengths, in the order that they were given;
    routes and rules: as in a lab file.

    fdb: (interface, MAC address, remote) of static entries; vlans: interface → VLAN id → BRIDGE_VLAN_INFO flags.
    automatic: (interface, address) that the kernel made by itself, or that expire.
    connected: (interface, network) that the main table has without a next hop, whoever made it.
    strange: what a lab file has no words for.
    """

    links: dict[str, SeenLink] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    routes: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    fdb: list[tuple[str, str, str]] = field(default_factory=list)
    vlans: dict[str, dict[int, int]] = field(default_factory=dict)
    automatic: set[tuple[str, str]] = field(default_factory=set)
    connected: set[tuple[str | None, str]] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)

    def name(self, index: int) -> str | None:
        """The interface of an index."""
        if not self._names:
            self._names = {one.index: one.name for one in self.links.values()}
        return self._names.get(index)


def see(asked: wire.Socket) -> Seen:
    """Read the namespace that a socket is in."""
    out = see_addresses(asked)
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            routes = asked.dump(wire.GETROUTE, struct.pack("=B11x", family))
            policies = asked.dump(wire.GETRULE, struct.pack("=B11x", family))
        except wire.Refused:
            continue  # a kernel without IPv6, or without policy routing
        for body in routes:
            _route(out, body)
        for body in policies:
            _rule(out, body)
    if any(one.kind == "vxlan" for one in out.links.values()):
        for body in asked.dump(wire.GETNEIGH, wire.link_header(family=wire.AF_BRIDGE)):
            _fdb(out, body)
    if any(one.kind == "bridge" for one in out.links.values()):
        mask = wire.attribute(29, struct.pack("=I", RTEXT_FILTER_BRVLAN))
        for body in asked.dump(wire.GETLINK, wire.link_header(family=wire.AF_BRIDGE) + mask):
            _vlans(out, body)
    return out


def see_addresses(asked: wire.Socket) -> Seen:
    """The interfaces and their addresses."""
    out = Seen(see_links(asked))
    for body in addresses(asked):
        _address(out, body)
    return out


def neighbours(asked: wire.Socket, seen: Seen) -> list[str]:
    """Those of a namespace that somebody has fixed, and those that it answers for (proxy), in words."""
    out = []
    for flags in (0, NTF_PROXY):
        for body in asked.dump(wire.GETNEIGH, struct.pack("=10xBx", flags)):
            family, index, state, _, _ = struct.unpack_from("=BxxxiHBB", body)
            found, name = wire.attributes(body[12:]), seen.name(index)
            if family not in (socket.AF_INET, socket.AF_INET6) or name is None or 1 not in found:
                continue
            address, mac = wire.ip_text(found[1]), wire.mac_text(found.get(2, b""))
            if flags:
                out.append(f"{name}: the neighbour {address}, for which it answers (proxy)")
            elif state & NUD_PERMANENT or (state & NUD_NOARP and not _of_itself(seen.links[name], address, mac)):
                out.append(f"{name}: the neighbour {address}{' at ' if mac else ''}{mac}")
    return out


def _of_itself(link: SeenLink, address: str, mac: str) -> bool:
    """Whether the kernel alone makes such a neighbour that needs no ARP: for groups, broadcasts, and links without."""
    return bool(link.flags & WITHOUT_ARP) or ip_address(address).is_multicast or mac == "ff:ff:ff:ff:ff:ff"


def addresses(asked: wire.Socket) -> list[bytes]:
    """The addresses as RTM_NEWADDR has them, those of an interface in the order that they were given to it."""
    found = asked.dump(wire.GETADDR, bytes(8))
    # The kernel lists those of IPv6 by scope, the newest first, and sends from that one.
    six = sorted((body for body in reversed(found) if body[0] == socket.AF_INET6), key=lambda body: body[3])
    return [body for body in found if body[0] != socket.AF_INET6] + six


def see_links(asked: wire.Socket) -> dict[str, SeenLink]:
    """The interfaces alone."""
    found = [_link(body) for body in asked.dump(wire.GETLINK, wire.link_header())]
    return {one.name: one for one in found}


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")


def _number(found: dict[int, bytes], number: int, otherwise: int = 0) -> int:
    data = found.get(number)
    return otherwise if data is None else int(struct.unpack("=I", data[:4])[0])


def _link(body: bytes) -> SeenLink:
    _, kind, index, flags = struct.unpack_from("=BxHiI", body)
    found = wire.attributes(body[16:])
    info = wire.attributes(found.get(18, b""))
    return SeenLink(
        name=_text(found[3]),
        index=index,
        up=bool(flags & wire.IFF_UP),
        mtu=_number(found, 4),
        mac=wire.mac_text(found.get(1, b"")),
        kind=_text(info[1]) if 1 in info else "loopback" if kind == 772 else "ether",
        data=wire.attributes(info.get(2, b"")),
        slave=wire.attributes(info.get(5, b"")),
        master=_number(found, 10),
        parent=_number(found, 5),
        state=dict(enumerate(STATES)).get(found.get(16, b"\0")[0], "unknown"),
        flags=flags,
        also=_also(found),
        elsewhere=37 in found,  # IFLA_LINK_NETNSID: the parent, or the other end, is in another namespace
    )


def _also(found: dict[int, bytes]) -> list[str]:
    """IFLA_TXQLEN, IFLA_IFALIAS, and each IFLA_ALT_IFNAME of IFLA_PROP_LIST."""
    length = _number(found, 13)
    out = [] if length in USUAL_QUEUES else [f"txqueuelen {length}"]
    out += [f"alias {_text(found[20])}"] if found.get(20) else []
    return out + [f"altname {_text(name)}" for number, name in wire.pairs(found.get(52, b"")) if number == 53]


def _address(out: Seen, body: bytes) -> None:
    family, length, flags, scope, index = struct.unpack_from("=BBBBi", body)
    found = wire.attributes(body[8:])
    name = out.name(index)
    address = found.get(2) or found.get(1)  # IFA_LOCAL, IFA_ADDRESS
    if name is None or address is None:
        return
    text = f"{wire.ip_text(address)}/{length}"
    out.addresses.setdefault(name, []).append(text)
    made = made_by_kernel(found, out.links[name].mac, KERNELS)
    if made or not _number(found, 8, flags) & IFA_F_PERMANENT or text in ("127.0.0.1/8", "::1/128"):
        out.automatic.add((name, text))
        return
    said = [f"the peer {wire.ip_text(found[1])}"] if found.get(1, address) != address else []
    said += ["noprefixroute"] if _number(found, 8, flags) & IFA_F_NOPREFIXROUTE else []
    if family == socket.AF_INET:  # in IPv6 they follow from the address
        said += [f"scope {SCOPE_NAMES.get(scope, scope)}"] if scope and address[0] != 127 else []
        said += [f"label {_text(found[3])}"] if 3 in found and _text(found[3]) != name else []
    said += [f"metric {_number(found, 9)}"] if _number(found, 9) else []
    if said:
        out.strange.append(f"{name}: {text} with {', '.join(said)}")


def made_by_kernel(found: dict[int, bytes], mac: str, how: Container[int]) -> bool:
    """Whether an address, by its attributes, is one of the kernel's own. how: IFAPROT_KERNEL_… of those."""
    if 11 in found:
        return found[11][0] in how
    return found.get(2, found.get(1)) == _link_local(mac)  # Linux before 5.18 does not say who made an address


def _link_local(mac: str) -> bytes:
    """The address that the kernel makes of a MAC address: RFC 4291, appendix A."""
    data = wire.mac(mac)
    return b"\xfe\x80" + bytes(6) + bytes([data[0] ^ 2]) + data[1:3] + b"\xff\xfe" + data[3:] if len(data) == 6 else b""


def by_itself(body: bytes) -> bool:
    """Whether a route is there without anybody having given it: the kernel's, or learned from the network."""
    protocol, flags = struct.unpack_from("=5xBxxI", body)
    return protocol in (RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_RA) or bool(flags & RTM_F_CLONED)


def _route(out: Seen, body: bytes) -> None:
    family, length, source, tos, table, _, _, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
    found = wire.attributes(body[12:])
    table = _number(found, 15, table)
    if table == TABLES["main"] and kind == 1 and not {5, 9, VIA} & set(found):
        out.connected.add((out.name(_number(found, 4)), _network(family, found.get(1), length)))
    if by_itself(body):
        return
    given: dict[str, Any] = {"to": _network(family, found.get(1), length)}
    if kind not in TYPES:
        out.strange.append(f"a route to {given['to']} of type {kind}")
        return
    if flags & RTNH_F_ONLINK or {METRICS, ENCAP, VIA} & set(found):
        out.strange.append(
            f"the route to {given['to']}, with metrics, encapsulation or a next hop that is off its link"
        )
        return
    if source or tos or FLOW in found:
        parts = [f"from {_network(family, found.get(SOURCE), source)}"] if source else []
        parts += ([f"tos 0x{tos:02x}"] if tos else []) + (["realms"] if FLOW in found else [])
        out.strange.append(f"the route to {given['to']}, with {', '.join(parts)}")
        return
    if kind != 1:
        given["type"] = TYPES[kind]
    if 5 in found:
        given["via"] = wire.ip_text(found[5])
    elif given["to"] == "default" and family == socket.AF_INET6:
        given["to"] = "::/0"  # nothing else in it says which version
    dev = out.name(_number(found, 4))
    if dev is not None and (kind == 1 or TYPES[kind] in SCOPES):
        given["dev"] = dev
    if table != table_of(given):
        given["table"] = table
    metric = _number(found, 6)
    if metric and (family != socket.AF_INET6 or metric != IPV6_METRIC):
        given["metric"] = metric
    if 7 in found:
        given["src"] = wire.ip_text(found[7])
    if 9 in found:
        given["nexthops"] = _hops(out, found[9])
    if given not in out.routes:
        out.routes.append(given)


def _hops(out: Seen, data: bytes) -> list[dict[str, Any]]:
    hops: list[dict[str, Any]] = []
    while len(data) >= 8:
        length, _, weight, index = struct.unpack_from("=HBBi", data)
        found = wire.attributes(data[8:length])
        hop: dict[str, Any] = {"via": wire.ip_text(found[5])} if 5 in found else {}
        dev = out.name(index)
        hop |= {"dev": dev} if dev is not None else {}
        hops.append(hop | ({"weight": weight + 1} if weight else {}))
        data = data[max(8, (length + 3) & ~3) :]
    return hops


def _network(family: int, address: bytes | None, length: int) -> str:
    if not length:
        return "default"
    return f"{wire.ip_text(address or bytes(16 if family == socket.AF_INET6 else 4))}/{length}"


def _rule(out: Seen, body: bytes) -> None:
    family, to_length, from_length, _, table, _, _, action, _ = rules.HEADER.unpack_from(body)
    found = wire.attributes(body[12:])
    if found.get(21, b"\0")[0] == RTPROT_KERNEL:
        return
    given: dict[str, Any] = {}
    for key, number, length in (("from", 2, from_length), ("to", 1, to_length)):
        if length:
            given[key] = _network(family, found.get(number), length)
    if family == socket.AF_INET6 and not given:
        given["from"] = "::/0"
    given |= {key: _text(found[number]) for key, number in (("iif", 3), ("oif", 17)) if number in found}
    given |= {"fwmark": _number(found, 10)} if _number(found, 10) else {}
    protocol = found.get(22, b"\0")[0]
    ports = struct.unpack("=HH", found.get(24, bytes(4)))
    given |= {"dport": ports[0]} if ports[0] else {}
    given |= {"ipproto": PROTOCOL_NAMES[protocol]} if protocol in PROTOCOL_NAMES else {}
    given["priority"] = _number(found, 6)
    if action == 1:
        given["table"] = _number(found, 15, table)
    elif action in ACTIONS:
        given["action"] = ACTIONS[action]
    if rules.parts(body) != rules.parts(rules.encode(given)):  # it says more: not, tos, a mask, goto, users, …
        out.strange.append(f"the rule of priority {given['priority']}")
        return
    out.rules.append(given)


def _fdb(out: Seen, body: bytes) -> None:
    _, index, state, _, _ = struct.unpack_from("=BxxxiHBB", body)
    found = wire.attributes(body[12:])
    name = out.name(index)
    if name is None or out.links[name].kind != "vxlan" or not state & NUD_PERMANENT or 1 not in found:
        return
    entry = (name, wire.mac_text(found[2]), wire.ip_text(found[1]))
    of_the_link = out.links[name].data
    link = found.get(FDB_IFINDEX)
    if {FDB_PORT, FDB_VNI} & set(found) or (link is not None and link != of_the_link.get(3)):
        out.strange.append(f"{name}: the entry {entry[1]} dst {entry[2]}, with a port, a VNI or a link of its own")
        return
    if entry[1] == "00:00:00:00:00:00" and found[1] in (of_the_link.get(2), of_the_link.get(16)):
        return  # `remote` or `group` of the interface itself
    out.fdb.append(entry)


def _vlans(out: Seen, body: bytes) -> None:
    _, _, index, _ = struct.unpack_from("=BxHiI", body)
    name = out.name(index)
    for number, data in wire.pairs(wire.attributes(body[16:]).get(26, b"")):
        if number == 2 and name is not None:
            flags, vid = struct.unpack_from("=HH", data)
            out.vlans.setdefault(name, {})[vid] = flags & 6  # pvid, untagged
