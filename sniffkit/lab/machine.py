"""Interfaces of the namespace that a lab is made from, mostly this machine's own: links made there, and borrowed ones.

Others make theirs in the same place, so a link is the lab's by the index that the kernel gave it and not by its name.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from sniffkit.errors import LabError
from sniffkit.lab import namespaces, wire
from sniffkit.lab.model import HOST
from sniffkit.lab.observe import (
    IFAPROT_KERNEL_LL,
    RTNH_F_ONLINK,
    SeenLink,
    addresses,
    by_itself,
    made_by_kernel,
    see_links,
)
from sniffkit.lab.ops import Op

if TYPE_CHECKING:
    from sniffkit.lab.engine import Engine
    from sniffkit.lab.state import Journal

LINK, LINK_GONE, BORROWED, BROUGHT_BACK = "host link", "host link gone", "physical", "physical back"
GONE = "the namespace that it is from has no name and no process any more"

IFA_CACHEINFO, IFA_FLAGS = 6, 8
# What of an address its owner can set: IFA_ADDRESS LOCAL LABEL BROADCAST CACHEINFO FLAGS RT_PRIORITY PROTO
ADDRESS_HAS = {1, 2, 3, 4, IFA_CACHEINFO, IFA_FLAGS, 9, 11}
OWN_FLAGS = 0x712  # NODAD HOMEADDRESS MANAGETEMPADDR NOPREFIXROUTE MCAUTOJOIN
FOR_EVER = 2**32 - 1  # INFINITY_LIFE_TIME

ROUTE_SIZE = 12  # struct rtmsg
RTA_OIF, RTA_CACHEINFO, RTA_NH_ID = 4, 12, 30
BY_NEXT_HOP = {5, 18}  # RTA_GATEWAY VIA: the network that it is in must be there before


def _standing(journal: Journal, made: str, gone: str) -> dict[str, dict[str, Any]]:
    """name → its last entry of the kind `made` that none of the kind `gone` follows."""
    out: dict[str, dict[str, Any]] = {}
    for entry in journal.entries:
        if entry["is"] == made:
            out[entry["name"]] = entry
        elif entry["is"] == gone:
            out.pop(entry["name"], None)
    return out


# links


def announce(engine: Engine, name: str) -> None:
    """Before a link is made: until `record` says its index, it is known to be above all there are."""
    engine.enter(HOST)
    there = socket.if_nameindex()
    if name in (found for _, found in there):
        raise LabError(f"interface {name} exists already on this machine and is not this lab's")
    engine.journal.add(**{"is": LINK, "name": name, "above": max((index for index, _ in there), default=0)})


def record(engine: Engine, name: str) -> None:
    """Once a link is made."""
    engine.journal.add(**{"is": LINK, "name": name, "index": engine.index(HOST, name)})


def withdraw(engine: Engine, name: str) -> None:
    """Once a link is gone: whoever makes one of that name now makes their own."""
    if name in _standing(engine.journal, LINK, LINK_GONE):
        engine.journal.note(**{"is": LINK_GONE, "name": name})


def link_index(engine: Engine, name: str) -> int | None:
    """The index of a link that the lab made; None if it is gone, or another's by now."""
    entry = _standing(engine.journal, LINK, LINK_GONE).get(name)
    if entry is None or engine.homeless:
        return None
    for index, found in names_in(engine, HOST):
        if found == name and (index == entry["index"] if "index" in entry else index > entry["above"]):
            return index
    return None


def out_of_sight(engine: Engine) -> str | None:
    """Why links of the lab cannot be removed from here, though they may be there: the record is to stay then."""
    names = _standing(engine.journal, LINK, LINK_GONE)
    if not (engine.homeless and names) or engine.journal.entries[0].get("processes") == namespaces.processes_seen():
        return None
    links = ", ".join(f"{HOST}/{name}" for name in names)
    return (
        f"{links}: the namespace that it is from is not to be found among the processes that are seen here: "
        f"take the lab away where it was put up, or remove {engine.journal.directory}"
    )


def remove_links(engine: Engine) -> list[str]:
    """Those that the lab made and that are still there. Returns what was left alone, and why."""
    names = _standing(engine.journal, LINK, LINK_GONE)
    if engine.homeless and names:
        return [f"{', '.join(f'{HOST}/{name}' for name in names)}: {GONE}: left alone if it is still there"]
    for name in names:
        index = link_index(engine, name)
        if index is not None:
            engine.delete_index(HOST, index)
    return []


# interfaces that are borrowed


def borrow(engine: Engine, op: Op) -> None:
    """Move an interface of this machine into a node; how it was is recorded before."""
    name = op.args["name"]
    asked = engine.socket(HOST)
    found = see_links(asked).get(name)
    if found is None:
        raise LabError(f"{op.node}/{name}: this machine has no interface {name} to move")
    had = [body.hex() for body in addresses(asked) if struct.unpack_from("=4xi", body)[0] == found.index]
    entry = {
        "is": BORROWED,
        "node": op.node,
        "name": name,
        "addresses": had,
        "routes": [body.hex() for body in _routes_over(asked, found.index)],
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
    }
    engine.journal.add(**entry, up=found.up, mtu=found.mtu, mac=found.mac)
    body = wire.attribute(28, struct.pack("=i", engine.descriptor(op.node)))
    engine.ask(HOST, [(op, wire.message(wire.NEWLINK, 0, wire.link_header(found.index) + body))])


def bring_back(engine: Engine, name: str) -> None:
    """Move it back, with its addresses, routes, MTU and MAC address, and up if it was up.

    Raises LabError if this machine has got another interface of that name meanwhile, or the namespace that it is from
    is gone: then it stays where it is.
    """
    entry = _standing(engine.journal, BORROWED, BROUGHT_BACK).get(name)
    if entry is None:
        return
    node = entry["node"]
    if engine.owns(node) and name in (found for _, found in names_in(engine, node)):
        if engine.homeless:
            raise LabError(
                f"interface {name} stays in namespace {node}: {GONE}; "
                f"move it (ip -n {node} link set {name} netns …) and run it again"
            )
        if name in (found for _, found in names_in(engine, HOST)):
            raise LabError(
                f"interface {name} stays in namespace {node}: this machine has another {name} now; "
                f"rename that one and run it again"
            )
        # A record that cannot be read leaves it where it is.
        settings, had = _settings_again(entry, see_links(engine.socket(node))[name]), _addresses_again(entry)
        routes = [bytes.fromhex(text) for text in entry.get("routes", [])]  # none as recorded before them
        body = wire.attribute(3, wire.text(name)) + wire.attribute(28, struct.pack("=i", engine.descriptor(HOST)))
        engine.socket(node).send([wire.message(wire.NEWLINK, 0, wire.link_header() + body)])
        engine.forget(HOST, name)
        for request in settings:
            engine.try_one(HOST, request)
        index = struct.pack("=i", engine.index(HOST, name))
        for address in had:
            engine.try_one(HOST, wire.message(wire.NEWADDR, wire.CREATE | wire.EXCL, address[:4] + index + address[8:]))
        for route in sorted(routes, key=lambda body: bool(BY_NEXT_HOP & set(wire.attributes(body[ROUTE_SIZE:])))):
            engine.try_one(HOST, wire.message(wire.NEWROUTE, wire.CREATE | wire.APPEND, _route_again(route, index)))
    engine.journal.note(**{"is": BROUGHT_BACK, "name": name})


def borrowed(journal: Journal) -> dict[str, str]:
    """The interfaces that have not been brought back → the node that each is in, the last first."""
    return {name: entry["node"] for name, entry in reversed(_standing(journal, BORROWED, BROUGHT_BACK).items())}


def _settings_again(entry: dict[str, Any], now: SeenLink) -> list[bytes]:
    """The requests that make an interface as it was. Only what differs is set: not every driver can."""
    named = wire.attribute(3, wire.text(entry["name"]))
    out = []
    if entry["mac"] != now.mac:
        out.append(
            wire.message(wire.NEWLINK, 0, wire.link_header() + named + wire.attribute(1, wire.mac(entry["mac"])))
        )
    if entry["mtu"] != now.mtu:
        mtu = wire.attribute(4, struct.pack("=I", entry["mtu"]))
        out.append(wire.message(wire.NEWLINK, 0, wire.link_header() + named + mtu))
    if entry["up"]:
        header = wire.link_header(0, wire.IFF_UP, wire.IFF_UP)
        out.append(wire.message(wire.NEWLINK, 0, header + named))
    return out


def _addresses_again(entry: dict[str, Any]) -> list[bytes]:
    """The addresses that an interface had, as RTM_NEWADDR takes them, but for its index."""
    if "at" not in entry:  # as recorded before 0.1.0: 10.0.0.1/24
        return [wire.address(text, 0) for text in entry["addresses"] if not text.startswith("fe80")]
    out = []
    away = int(time.clock_gettime(time.CLOCK_BOOTTIME) - entry["at"])
    for address in map(bytes.fromhex, entry["addresses"]):
        if not made_by_kernel(wire.attributes(address[8:]), entry["mac"], {IFAPROT_KERNEL_LL}):  # it makes that anew
            out += _address_again(address, away)
    return out


def _address_again(body: bytes, away: int) -> list[bytes]:
    """An address as RTM_NEWADDR had it, `away` seconds ago; none if its lease has ended meanwhile."""
    family, length, flags, scope = body[:4]
    found = wire.attributes(body[8:])
    if IFA_FLAGS in found:
        flags = struct.unpack("=I", found[IFA_FLAGS])[0]
    found[IFA_FLAGS] = struct.pack("=I", flags & OWN_FLAGS)
    if IFA_CACHEINFO in found:
        preferred, valid = (
            left if left == FOR_EVER else max(left - away, 0)
            for left in struct.unpack_from("=II", found[IFA_CACHEINFO])
        )
        if valid == 0:
            return []
        found[IFA_CACHEINFO] = struct.pack("=IIII", preferred, valid, 0, 0)
    attributes = b"".join(wire.attribute(number, found[number]) for number in sorted(ADDRESS_HAS & set(found)))
    return [struct.pack("=BBBBi", family, length, 0, scope, 0) + attributes]


def _routes_over(asked: wire.Socket, index: int) -> list[bytes]:
    """The routes that lead out of an interface, as RTM_NEWROUTE had them, but those that come back by themselves."""
    out = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(wire.Refused):  # a kernel without IPv6
            out += asked.dump(wire.GETROUTE, struct.pack("=B11x", family))
    over = struct.pack("=i", index)
    return [body for body in out if wire.attributes(body[ROUTE_SIZE:]).get(RTA_OIF) == over and not by_itself(body)]


def _route_again(body: bytes, index: bytes) -> bytes:
    """A route as RTM_NEWROUTE had it, over the interface of an index. Next hops that have an id of their own went with
    the interface; the route says them too."""
    found = {**wire.attributes(body[ROUTE_SIZE:]), RTA_OIF: index}
    attributes = b"".join(
        wire.attribute(number, data) for number, data in found.items() if number not in (RTA_CACHEINFO, RTA_NH_ID)
    )
    flags = struct.unpack_from("=I", body, 8)[0] & RTNH_F_ONLINK
    return body[:8] + struct.pack("=I", flags) + attributes


def names_in(engine: Engine, node: str) -> list[tuple[int, str]]:
    """The interfaces of a namespace, as (index, name)."""
    engine.enter(node)
    return socket.if_nameindex()
