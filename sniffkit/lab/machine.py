"""Interfaces of this machine's own namespace: links that a lab makes there, and interfaces that it borrows.

Others make theirs in the same place, so a link is the lab's by the index that the kernel gave it and not by its name.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import TYPE_CHECKING, Any

from sniffkit.errors import LabError
from sniffkit.lab import wire
from sniffkit.lab.model import HOST
from sniffkit.lab.ops import Op

if TYPE_CHECKING:
    from sniffkit.lab.engine import Engine
    from sniffkit.lab.state import Journal

LINK, LINK_GONE, BORROWED, BROUGHT_BACK = "host link", "host link gone", "physical", "physical back"


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
        engine.journal.add(**{"is": LINK_GONE, "name": name})


def link_index(engine: Engine, name: str) -> int | None:
    """The index of a link that the lab made; None if it is gone, or another's by now."""
    entry = _standing(engine.journal, LINK, LINK_GONE).get(name)
    if entry is None:
        return None
    for index, found in names_in(engine, HOST):
        if found == name and (index == entry["index"] if "index" in entry else index > entry["above"]):
            return index
    return None


def remove_links(engine: Engine) -> None:
    """Those that the lab made and that are still there."""
    for name in _standing(engine.journal, LINK, LINK_GONE):
        index = link_index(engine, name)
        if index is not None:
            engine.delete_index(HOST, index)


# interfaces that are borrowed


def borrow(engine: Engine, op: Op) -> None:
    """Move an interface of this machine into a node; how it was is recorded before."""
    from sniffkit.netlink import links

    name = op.args["name"]
    engine.enter(HOST)
    found = next((one for one in links(None) if one.name == name), None)
    if found is None:
        raise LabError(f"{op.node}/{name}: this machine has no interface {name} to move")
    entry = {"is": BORROWED, "node": op.node, "name": name, "addresses": found.addresses, "up": _is_up(name)}
    engine.journal.add(**entry, mtu=found.mtu, mac=found.mac)
    body = wire.attribute(28, struct.pack("=i", engine.descriptor(op.node)))
    engine.ask(HOST, [(op, wire.message(wire.NEWLINK, 0, wire.link_header(found.index) + body))])


def bring_back(engine: Engine, name: str) -> None:
    """Move it back, with its addresses, MTU and MAC address, and up if it was up.

    Raises LabError if this machine has got another interface of that name meanwhile: then it stays where it is.
    """
    entry = _standing(engine.journal, BORROWED, BROUGHT_BACK).get(name)
    if entry is None:
        return
    node = entry["node"]
    if engine.owns(node) and name in (found for _, found in names_in(engine, node)):
        if name in (found for _, found in names_in(engine, HOST)):
            raise LabError(
                f"interface {name} stays in namespace {node}: this machine has another {name} now; "
                f"rename that one and run it again"
            )
        body = wire.attribute(3, wire.text(name)) + wire.attribute(28, struct.pack("=i", engine.descriptor(HOST)))
        engine.socket(node).send([wire.message(wire.NEWLINK, 0, wire.link_header() + body)])
        engine.forget(HOST, name)
        for request in _as_it_was(engine, entry):
            engine.try_one(HOST, request)
    engine.journal.add(**{"is": BROUGHT_BACK, "name": name})


def borrowed(journal: Journal) -> dict[str, str]:
    """The interfaces that have not been brought back → the node that each is in, the last first."""
    return {name: entry["node"] for name, entry in reversed(_standing(journal, BORROWED, BROUGHT_BACK).items())}


def _as_it_was(engine: Engine, entry: dict[str, Any]) -> list[bytes]:
    """The requests that give an interface what it had. Only what differs is set: not every driver can."""
    from sniffkit.lab.actions import ACTIONS
    from sniffkit.netlink import links

    name = entry["name"]
    named = wire.attribute(3, wire.text(name))
    engine.enter(HOST)
    now = next(one for one in links(None) if one.name == name)
    out = []
    if entry.get("mac") not in (None, now.mac):
        out.append(
            wire.message(wire.NEWLINK, 0, wire.link_header() + named + wire.attribute(1, wire.mac(entry["mac"])))
        )
    if entry.get("mtu") not in (None, now.mtu):
        mtu = wire.attribute(4, struct.pack("=I", entry["mtu"]))
        out.append(wire.message(wire.NEWLINK, 0, wire.link_header() + named + mtu))
    if entry["up"]:
        header = wire.link_header(0, wire.IFF_UP, wire.IFF_UP)
        out.append(wire.message(wire.NEWLINK, 0, header + named))
    for address in entry["addresses"]:
        request = ACTIONS["address"].request
        if request is not None and not address.startswith("fe80"):  # the kernel makes that one anew
            made = request(engine, Op(0, "address", HOST, name, {"dev": name, "address": address}, (), ""))
            out += [made[1]] if made is not None else []
    return out


def _is_up(name: str) -> bool:
    """Whether an interface of this thread's namespace is up: SIOCGIFFLAGS, netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, 0x8913, struct.pack("16sH22x", name.encode(), 0))
    return bool(struct.unpack_from("16xH", answer)[0] & wire.IFF_UP)


def names_in(engine: Engine, node: str) -> list[tuple[int, str]]:
    """The interfaces of a namespace, as (index, name)."""
    engine.enter(node)
    return socket.if_nameindex()
