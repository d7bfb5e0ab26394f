"""How each operation is done and undone. Requests to the kernel go out in batches; the rest is done one by one."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from sniffkit.errors import LabError
from sniffkit.lab import machine, processes, rules, wire
from sniffkit.lab.links import kind
from sniffkit.lab.model import HOST
from sniffkit.lab.observe import IPV6_METRIC, see_links
from sniffkit.lab.ops import Op
from sniffkit.lab.plan import ends, host_ends
from sniffkit.lab.routing import ROUTE_TYPES, family, prefix, scope_of, table_of
from sniffkit.lab.state import write

if TYPE_CHECKING:
    from sniffkit.lab.engine import Engine

IFNAME, ADDRESS, MTU, LINK, MASTER, LINKINFO, AF_SPEC, NET_NS_FD = 3, 1, 4, 5, 10, 18, 26, 28
NUD_PERMANENT_NOARP, NTF_SELF = 0xC0, 2
TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TUN, IFF_TAP, IFF_NO_PI = 0x1, 0x2, 0x1000
# VLANs go with their port: it may have left its bridge, or that is gone.
NO_PORT = wire.GONE | {errno.EOPNOTSUPP}
SETTLE_SECONDS = 0.5  # of some kinds the kernel never says that they are up

# The namespace whose socket a request goes to, and the request.
Request = tuple[str, bytes]


class Action(NamedTuple):
    """request and undo_request give a netlink request, or None for `do` and `undo` to be called instead.

    gone: what the kernel answers to undo_request where it went with something else.
    """

    request: Callable[[Engine, Op], Request | None] | None = None
    undo_request: Callable[[Engine, Op], Request | None] | None = None
    do: Callable[[Engine, Op], None] | None = None
    undo: Callable[[Engine, Op], None] | None = None
    gone: frozenset[int] = wire.GONE


def _end(end: dict[str, Any]) -> bytes:
    out = wire.attribute(IFNAME, wire.text(end["name"]))
    if "mtu" in end:
        out += wire.attribute(MTU, struct.pack("=I", end["mtu"]))
    if "mac" in end:
        out += wire.attribute(ADDRESS, wire.mac(end["mac"]))
    return out


def make_link(engine: Engine, op: Op) -> Request | None:
    """RTM_NEWLINK, directly in its namespace; asked of the namespace of the interface it stands on."""
    found = kind(op.args["kind"])
    if found.how != "link":
        return None
    asked = op.node
    body = _end(op.args)
    data = found.encode(op.args["data"])
    if "parent" in op.args:
        node, name = op.args["parent"]
        index = struct.pack("=I", engine.index(node, name))
        asked = node
        if found.name == "vxlan":
            data += wire.attribute(3, index)
        else:
            body += wire.attribute(LINK, index)
    if asked != op.node:
        body += wire.attribute(NET_NS_FD, struct.pack("=i", engine.descriptor(op.node)))
    if "peer" in op.args:
        peer = op.args["peer"]
        there = wire.attribute(NET_NS_FD, struct.pack("=i", engine.descriptor(peer["node"])))
        data += wire.nest(1, wire.link_header() + _end(peer) + there)
    info = wire.attribute(1, wire.text(found.name)) + (wire.nest(2, data) if data else b"")
    body += wire.nest(LINKINFO, info)
    for _, name in host_ends(op):
        machine.announce(engine, name)
    return asked, wire.message(wire.NEWLINK, wire.CREATE | wire.EXCL, wire.link_header() + body)


def do_link(engine: Engine, op: Op) -> None:
    """tun and tap by an ioctl of their device; physical by moving what is there."""
    if kind(op.args["kind"]).how == "physical":
        machine.borrow(engine, op)
    else:
        _make_tun(engine, op)
    rest = _end(op.args)
    if "mtu" in op.args or "mac" in op.args:
        engine.ask(op.node, [(op, wire.message(wire.NEWLINK, 0, wire.link_header() + rest))])


def _make_tun(engine: Engine, op: Op) -> None:
    import fcntl

    name = op.args["name"]
    for _, own in host_ends(op):
        machine.announce(engine, own)
    engine.enter(op.node)
    if name in (found for _, found in socket.if_nameindex()):
        raise LabError(f"{op.node}/{name} exists already and is not this lab's")
    flags = (IFF_TUN if op.args["kind"] == "tun" else IFF_TAP) | IFF_NO_PI
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(
            f"{op.node}/{name}: /dev/net/tun: {error.strerror}: kernel needs CONFIG_TUN, module tun"
        ) from None
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    except OSError as error:
        raise LabError(f"{op.node}/{name}: {error.strerror}") from None
    finally:
        os.close(fd)


def delete_link(engine: Engine, op: Op) -> Request | None:
    """RTM_DELLINK of an end that is there; on this machine others may have made one of that name."""
    if kind(op.args["kind"]).how == "physical":
        return None
    for node, name in ends(op):
        index = machine.link_index(engine, name) if node == HOST else _index(engine, node, name)
        if index is not None:
            return node, wire.message(wire.DELLINK, 0, wire.link_header(index))
    return None


def _index(engine: Engine, node: str, name: str) -> int | None:
    """The index of an interface of a node by its name, or by the number that it was made with; None if it is gone."""
    if not engine.owns(node):
        return None
    there = {found: index for index, found in machine.names_in(engine, node)}
    made = engine.made.get((node, name))
    return there.get(name, made if made in there.values() else None)


def undo_link(engine: Engine, op: Op) -> None:
    """Bring a physical interface back. A link of this machine that is not the lab's any more stays."""
    if kind(op.args["kind"]).how == "physical":
        machine.bring_back(engine, op.args["name"])


def _named(op: Op, body: bytes, flags: int = 0, change: int = 0) -> Request:
    header = wire.link_header(0, flags, change) + wire.attribute(IFNAME, wire.text(op.args["dev"]))
    return op.node, wire.message(wire.NEWLINK, 0, header + body)


def set_up(engine: Engine, op: Op) -> Request:
    """IFF_UP."""
    return _named(op, b"", wire.IFF_UP, wire.IFF_UP)


def set_down(engine: Engine, op: Op) -> Request:
    """No IFF_UP."""
    return _named(op, b"", 0, wire.IFF_UP)


def set_mtu(engine: Engine, op: Op) -> Request:
    """IFLA_MTU."""
    return _named(op, wire.attribute(MTU, struct.pack("=I", op.args["mtu"])))


def join(engine: Engine, op: Op) -> Request:
    """IFLA_MASTER: a bridge's port."""
    return _named(op, wire.attribute(MASTER, struct.pack("=I", engine.index(op.node, op.args["master"]))))


def leave(engine: Engine, op: Op) -> Request:
    """No master."""
    return _named(op, wire.attribute(MASTER, struct.pack("=I", 0)))


def _port(op: Op, settings: dict[str, Any]) -> Request:
    from sniffkit.lab.links.bridge import port_attributes

    data = wire.attribute(4, wire.text("bridge")) + wire.nest(5, port_attributes(settings))
    return _named(op, wire.nest(LINKINFO, data))


def port_settings(engine: Engine, op: Op) -> Request:
    """IFLA_INFO_SLAVE_DATA of a bridge's port."""
    return _port(op, op.args["settings"])


def reset_port(engine: Engine, op: Op) -> None:
    """What a port has by itself, but for its cost, which is not the same for all. It may be no port any more."""
    from sniffkit.lab.links.bridge import PORT_KEYS

    engine.try_one(*_port(op, {key: PORT_KEYS[key].default for key in op.args["settings"] if key != "cost"}))


def _vlan(engine: Engine, op: Op, kind: int) -> Request:
    at = wire.attribute(0, struct.pack("=H", 2)) if op.args["self"] else b""  # BRIDGE_FLAGS_SELF
    info = wire.attribute(2, struct.pack("=HH", op.args["flags"], op.args["vid"]))
    header = wire.link_header(engine.index(op.node, op.args["dev"]), family=wire.AF_BRIDGE)
    return op.node, wire.message(kind, 0, header + wire.nest(AF_SPEC, at + info))


def _fdb(engine: Engine, op: Op, kind: int, flags: int) -> Request:
    header = struct.pack(
        "=BxxxiHBB", wire.AF_BRIDGE, engine.index(op.node, op.args["dev"]), NUD_PERMANENT_NOARP, NTF_SELF, 0
    )
    body = wire.attribute(1, wire.ip(op.args["dst"])) + wire.attribute(2, wire.mac(op.args["mac"]))
    return op.node, wire.message(kind, flags, header + body)


def _address(engine: Engine, op: Op, kind: int, flags: int) -> Request:
    body = wire.address(op.args["address"], engine.index(op.node, op.args["dev"]))
    return op.node, wire.message(kind, flags, body)


def _route(engine: Engine, op: Op, kind: int, flags: int) -> Request:
    given = op.args
    destination, length = prefix(given["to"])
    table = table_of(given)
    typ = ROUTE_TYPES[given.get("type", "unicast")]
    family_ = family(given["to"], given.get("via"), *(hop["via"] for hop in given.get("nexthops", [])))
    body = struct.pack(
        "=BBBBBBBBI", family_, length, 0, 0, min(table, 252) if table > 255 else table, 4, scope_of(given), typ, 0
    )
    body += wire.attribute(15, struct.pack("=I", table))
    if destination:
        body += wire.attribute(1, destination)
    if "via" in given:
        body += wire.attribute(5, wire.ip(given["via"]))
    if "dev" in given:
        body += wire.attribute(4, struct.pack("=I", engine.index(op.node, given["dev"])))
    # Without one the kernel deletes the first of any metric.
    metric = given.get("metric") or (IPV6_METRIC if family_ == socket.AF_INET6 else 0)
    if metric:
        body += wire.attribute(6, struct.pack("=I", metric))
    if "src" in given:
        body += wire.attribute(7, wire.ip(given["src"]))
    hops = b""
    for hop in given.get("nexthops", []):
        index = engine.index(op.node, hop["dev"]) if "dev" in hop else 0
        gateway = wire.attribute(5, wire.ip(hop["via"]))
        hops += struct.pack("=HBBi", 8 + len(gateway), 0, hop.get("weight", 1) - 1, index) + gateway
    if hops:
        body += wire.attribute(9, hops)
    return op.node, wire.message(kind, flags, body)


def sysctl_path(name: str) -> str:
    """Its file."""
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def sysctl_value(name: str) -> str | None:
    """What a sysctl is in the namespace of this thread; None if there is no such one."""
    try:
        with open(sysctl_path(name), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def set_sysctl(engine: Engine, op: Op) -> None:
    """Write a file below /proc/sys/net, which shows the namespace of the thread that writes."""
    if "dev" in op.args:
        _settle(engine, op)
    engine.enter(op.node)
    path = sysctl_path(op.args["name"])
    try:
        with open(path, "r+", encoding="ascii") as file:
            before = file.read().strip()
            file.seek(0)
            file.write(op.args["value"])
    except OSError as error:
        if isinstance(error, FileNotFoundError) and op.args["name"] == "net.ipv6.conf.all.forwarding":
            return  # `forward` on a kernel without IPv6
        raise LabError(f"{op.node}: sysctl {op.args['name']}={op.args['value']}: {error.strerror}") from None
    if _before(engine, op) is None:
        engine.journal.add(**{"is": "sysctl", "id": op.id, "before": before})


def _settle(engine: Engine, op: Op) -> None:
    """Wait until the kernel has seen that both ends of an interface are up: when it does it writes sysctls too."""
    if engine.settled is None:
        engine.settled = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < engine.settled:
        one = see_links(engine.socket(op.node)).get(op.args["dev"])
        if one is None or not one.up or one.state == "up":
            break
        time.sleep(0.01)
    engine.try_one(*_named(op, b""))  # changes nothing, and is answered once the kernel has done with it


def _before(engine: Engine, op: Op) -> str | None:
    """What a sysctl was before it was set; None if it was not, or was taken back."""
    found = [one["before"] for one in engine.journal.of("sysctl") if one["id"] == op.id]
    return found[-1] if found else None


def reset_sysctl(engine: Engine, op: Op) -> None:
    """Back to what it was."""
    before = _before(engine, op)
    engine.enter(op.node)
    if before is not None and os.path.exists(sysctl_path(op.args["name"])):
        with open(sysctl_path(op.args["name"]), "w", encoding="ascii") as file:
            file.write(before)
        # Set again, it may be another value that it goes back to: `forward` may have come or gone meanwhile.
        engine.journal.note(**{"is": "sysctl", "id": op.id, "before": None})


def write_file(engine: Engine, op: Op) -> None:
    """A file of the lab's directory."""
    write(engine.journal.directory / op.args["name"], op.args["text"])


def remove_file(engine: Engine, op: Op) -> None:
    """The file goes."""
    (engine.journal.directory / op.args["name"]).unlink(missing_ok=True)


ACTIONS: dict[str, Action] = {
    "netns": Action(do=lambda engine, op: engine.make_namespace(op.node), undo=lambda engine, op: engine.drop(op.node)),
    "link": Action(make_link, delete_link, do_link, undo_link),
    "up": Action(set_up, set_down),
    "down": Action(set_down),
    "mtu": Action(set_mtu),
    "port": Action(join, leave),
    "port_settings": Action(port_settings, undo=reset_port),
    "no_vlan": Action(
        do=lambda e, op: e.try_one(*_vlan(e, op, wire.DELLINK)),
        undo_request=lambda e, op: _vlan(e, op, wire.SETLINK),
        gone=NO_PORT,
    ),
    "bridge_vlan": Action(
        lambda e, op: _vlan(e, op, wire.SETLINK), lambda e, op: _vlan(e, op, wire.DELLINK), gone=NO_PORT
    ),
    "fdb": Action(
        lambda e, op: _fdb(e, op, wire.NEWNEIGH, wire.CREATE | wire.APPEND), lambda e, op: _fdb(e, op, wire.DELNEIGH, 0)
    ),
    "address": Action(
        lambda e, op: _address(e, op, wire.NEWADDR, wire.CREATE | wire.EXCL),
        lambda e, op: _address(e, op, wire.DELADDR, 0),
    ),
    "route": Action(
        lambda e, op: _route(e, op, wire.NEWROUTE, wire.CREATE | (wire.REPLACE if op.id in e.mend else wire.EXCL)),
        lambda e, op: _route(e, op, wire.DELROUTE, 0),
    ),
    "rule": Action(rules.add, undo=rules.remove),
    "sysctl": Action(do=set_sysctl, undo=reset_sysctl),
    "file": Action(do=write_file, undo=remove_file),
    "command": Action(do=processes.run_command, undo=processes.undo_command),
    "service": Action(do=processes.start_service, undo=processes.stop_service),
}


def refusal(op: Op, code: int, words: str) -> LabError:
    """Why the kernel did not do an operation, in a line that says what to do about it."""
    said = words or os.strerror(code)
    if op.do == "link":
        found = kind(op.args["kind"])
        name = f"{op.node}/{op.args['name']}"
        if code == errno.EOPNOTSUPP and words in ("", "Unknown device type"):  # others are about what it stands on
            return LabError(lacking(f"{name}: kind {found.name}", found.option, found.module))
        if code == errno.EEXIST and not words:  # else it is not the name that is taken
            peer = op.args.get("peer")
            also = f" (or {peer['node']}/{peer['name']})" if peer else ""
            return LabError(f"{name}{also} exists already and is not this lab's")
        return LabError(f"{name}: {found.name}: {said}")
    return LabError(f"{op.node}: {op.line}: {said}")


def lacking(what: str, option: str, module: str) -> str:
    """The line about something that the running kernel does not have."""
    return (
        f"{what}{': ' if what else ''}Linux {os.uname().release} lacks it: {option}, module {module} "
        f"(sudo modprobe {module}, or a kernel that has it: scripts/uml_run.py)"
    )
