"""Makes a plan real, and takes away what a journal says was made.

All of it runs on one thread that moves between namespaces and ends afterwards. The caller's thread only waits: a ^C
there asks the engine to stop at the next step, so that no step is left half done, and then to undo.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sniffkit.errors import LabError
from sniffkit.lab import namespaces, processes, wire
from sniffkit.lab.actions import ACTIONS, refusal
from sniffkit.lab.model import HOST
from sniffkit.lab.ops import Op
from sniffkit.lab.plan import ends
from sniffkit.lab.state import Journal

T = TypeVar("T")


class Stopped(Exception):
    """The caller wants no more: ^C."""


def run(task: Callable[[threading.Event], T]) -> T:
    """Run `task` on a thread of its own and wait for it; ^C sets the event it gets, and is raised once it has ended."""
    stop = threading.Event()
    ended = threading.Event()
    box: dict[str, Any] = {}
    interrupted = False

    def work() -> None:
        try:
            box["value"] = task(stop)
        except BaseException as error:  # handed to the caller's thread
            box["error"] = error
        finally:
            ended.set()

    thread = threading.Thread(target=work, name="lab")
    thread.start()
    while True:
        try:
            # Not join(): Python 3.11 takes a thread for ended when a signal interrupts waiting for it. Nor for ever: a
            # signal that reaches the process on the other thread does not wake this one, which has to handle it.
            while not ended.wait(0.1):
                pass
            break
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
    thread.join()
    error = box.get("error")
    if isinstance(error, Stopped) or (interrupted and error is None):
        raise KeyboardInterrupt
    if error is not None:
        raise error
    value: T = box["value"]
    return value


class Engine:
    """Does and undoes operations of one lab. Use it inside `run`, as a context manager."""

    def __init__(self, journal: Journal, stop: threading.Event) -> None:
        self.journal = journal
        self.stop = stop
        self._fds: dict[str, int] = {HOST: namespaces.own()}
        self._sockets: dict[str, wire.Socket] = {}
        self._indexes: dict[tuple[str, str], int] = {}
        self._here = HOST
        # Ids of operations that were done before and whose result somebody may have replaced.
        self.mend: set[str] = set()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets.values():
            one.close()
        for fd in self._fds.values():
            os.close(fd)

    # namespaces

    def make_namespace(self, name: str) -> None:
        """Make a namespace that no one had, recorded before its name exists."""
        if not self._sockets:
            namespaces.prepare()
        if namespaces.inode(name) is not None:
            raise LabError(f"namespace {name} exists already and is not this lab's: nothing was changed")
        entry = {"is": "netns", "node": name}
        try:
            fd = namespaces.make(name, lambda inode: self.journal.add(**entry, inode=inode))
        except FileExistsError:
            self.journal.add(**{"is": "not ours", "node": name})
            raise LabError(f"namespace {name} exists already and is not this lab's") from None
        self._fds[name], self._here = fd, name
        self._sockets[name] = wire.Socket()

    def descriptor(self, node: str) -> int:
        """The descriptor of a node's namespace."""
        if node not in self._fds:
            from sniffkit.netlink import NETNS_DIR

            try:
                self._fds[node] = os.open(NETNS_DIR / node, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise LabError(f"namespace {node}: {error.strerror}") from None
        return self._fds[node]

    def enter(self, node: str) -> None:
        """Move this thread into a node's namespace."""
        if self._here != node:
            namespaces.enter(self.descriptor(node))
            self._here = node

    def socket(self, node: str) -> wire.Socket:
        """A netlink socket in a node's namespace."""
        if node not in self._sockets:
            self.enter(node)
            self._sockets[node] = wire.Socket()
        return self._sockets[node]

    def index(self, node: str, name: str) -> int:
        """The index of an interface."""
        key = (node, name)
        if key not in self._indexes:
            self.enter(node)
            try:
                self._indexes[key] = socket.if_nametoindex(name)
            except OSError:
                raise LabError(f"{node}: no interface {name}") from None
        return self._indexes[key]

    def drop(self, node: str) -> None:
        """Remove a node's namespace and what it holds."""
        for one in (self._sockets.pop(node, None),):
            if one is not None:
                one.close()
        if node in self._fds:
            self.enter(HOST)
            os.close(self._fds.pop(node))
        self._indexes = {key: index for key, index in self._indexes.items() if key[0] != node}
        found = [one["inode"] for one in self.journal.of("netns") if one["node"] == node]
        if found and namespaces.inode(node) in (found[-1], 0):
            namespaces.remove(node)
        self.journal.add(**{"is": "gone", "node": node})

    # doing and undoing

    def do(self, plan: list[Op]) -> None:
        """Do operations in order; requests of a stage go out together. Raises LabError for the first that fails."""
        for stage in _stages(plan):
            self._check_stop()
            waiting: dict[str, list[tuple[Op, bytes]]] = {}
            started: list[Op] = []
            for op in stage:
                action = ACTIONS[op.do]
                request = action.request(self, op) if action.request else None
                if request is not None:
                    waiting.setdefault(request[0], []).append((op, request[1]))
                    continue
                self._check_stop()
                if action.do is None:
                    raise AssertionError(op.id)
                action.do(self, op)
                if op.do == "service":
                    started.append(op)
            for node, requests in waiting.items():
                self._send(node, requests)
            if started:
                processes.wait_ready(self, started)

    def _send(self, node: str, requests: list[tuple[Op, bytes]]) -> None:
        try:
            self.socket(node).send([request for _, request in requests])
        except wire.Refused as error:
            op = requests[error.number][0]
            raise refusal(op, error.code, error.words) from None

    def undo(self, plan: list[Op]) -> None:
        """Undo operations in the order given; what went with something else is no error."""
        for op in plan:
            action = ACTIONS[op.do]
            try:
                request = action.undo_request(self, op) if action.undo_request else None
                if request is not None:
                    self.socket(request[0]).send([request[1]])
                elif action.undo is not None:
                    action.undo(self, op)
            except wire.Refused as error:
                if error.code not in wire.GONE:
                    raise refusal(op, error.code, error.words) from None
            except LabError as error:
                if "no interface" not in str(error) and "No such file" not in str(error):
                    raise
            if op.do == "link":
                for end in ends(op):
                    self._indexes.pop(end, None)

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise Stopped

    # interfaces of this machine's own namespace

    def record_host_link(self, name: str) -> None:
        """Before an interface is made where others make theirs: its index will be above all there are."""
        self.enter(HOST)
        there = socket.if_nameindex()
        if name in (found for _, found in there):
            raise LabError(f"interface {name} exists already on this machine and is not this lab's")
        self.journal.add(**{"is": "host link", "name": name, "above": max((index for index, _ in there), default=0)})

    def take_physical(self, op: Op) -> None:
        """Move an interface of this machine into a node; how it was is recorded before."""
        from sniffkit.netlink import links

        name = op.args["name"]
        self.enter(HOST)
        found = [one for one in links(None) if one.name == name]
        if not found:
            raise LabError(f"{op.node}/{name}: this machine has no interface {name} to move")
        up = _is_up(name)
        self.journal.add(**{"is": "physical", "node": op.node, "name": name, "addresses": found[0].addresses, "up": up})
        body = wire.attribute(28, struct.pack("=i", self.descriptor(op.node)))
        request = wire.message(wire.NEWLINK, 0, wire.link_header(found[0].index) + body)
        self._send(HOST, [(op, request)])

    def return_physical(self, name: str) -> None:
        """Bring it back, with its addresses, and up if it was up."""
        entry = [one for one in self.journal.of("physical") if one["name"] == name][-1]
        node = entry["node"]
        if namespaces.inode(node) is None or name in _names_in(self, HOST) or name not in _names_in(self, node):
            return
        body = wire.attribute(28, struct.pack("=i", self.descriptor(HOST)))
        named = wire.attribute(3, wire.text(name))
        self.socket(node).send([wire.message(wire.NEWLINK, 0, wire.link_header() + named + body)])
        self._indexes.pop((HOST, name), None)
        requests = []
        if entry["up"]:
            header = wire.link_header(0, wire.IFF_UP, wire.IFF_UP)
            requests.append(wire.message(wire.NEWLINK, 0, header + named))
        for address in entry["addresses"]:
            if address.startswith("fe80"):
                continue  # the kernel makes it anew
            op = Op(0, "address", HOST, name, {"dev": name, "address": address}, (), "")
            request = ACTIONS["address"].request
            if request is not None:
                found = request(self, op)
                if found is not None:
                    requests.append(found[1])
        self.socket(HOST).send(requests)

    def remove_host_links(self) -> None:
        """Those that this lab made, told by their index."""
        self.enter(HOST)
        for entry in self.journal.of("host link"):
            for index, name in socket.if_nameindex():
                if name == entry["name"] and index > entry["above"]:
                    with contextlib.suppress(wire.Refused):
                        self.socket(HOST).send([wire.message(wire.DELLINK, 0, wire.link_header(index))])


def _is_up(name: str) -> bool:
    """Whether an interface of this thread's namespace is up: SIOCGIFFLAGS, netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, 0x8913, struct.pack("16sH22x", name.encode(), 0))
    return bool(struct.unpack_from("16xH", answer)[0] & wire.IFF_UP)


def _names_in(engine: Engine, node: str) -> list[str]:
    engine.enter(node)
    return [name for _, name in socket.if_nameindex()]


def _stages(plan: list[Op]) -> Iterator[list[Op]]:
    stage: list[Op] = []
    for op in plan:
        if stage and op.stage != stage[0].stage:
            yield stage
            stage = []
        stage.append(op)
    if stage:
        yield stage


def tear_down(journal: Journal) -> list[str]:
    """Remove everything that a journal says was made, then the journal. Returns what was left alone, and why.

    Safe to call for a lab that is half made or half removed.
    """
    left: list[str] = []

    def work(stop: threading.Event) -> None:
        with Engine(journal, threading.Event()) as engine:
            processes.stop_all(journal)
            for entry in reversed(journal.of("physical")):
                engine.return_physical(entry["name"])
            engine.remove_host_links()
            lost = {entry["node"] for entry in journal.of("not ours")}
            kept = {entry["node"]: entry["inode"] for entry in journal.of("netns")}
            for entry in reversed(journal.of("netns")):
                node = entry["node"]
                there = namespaces.inode(node)
                if there is None or kept.pop(node, None) is None:
                    continue
                if there not in (entry["inode"], 0) or node in lost:
                    left.append(f"namespace {node} is not this lab's any more: left alone")
                    continue
                busy = processes.inside(entry["inode"]) if there else []
                if busy:
                    left.append(f"namespace {node} lives on in {', '.join(busy)}; its interfaces are removed")
                    _empty(engine, node)
                engine.drop(node)
        journal.remove()  # here, so that no second ^C comes between

    try:
        run(work)
    except BaseException:
        journal.close()  # the record stays, and can be worked on again
        raise
    return left


def _empty(engine: Engine, node: str) -> None:
    """Delete the interfaces of a namespace that somebody's process keeps alive."""
    engine.enter(node)
    for index, name in socket.if_nameindex():
        if name != "lo":
            with contextlib.suppress(wire.Refused):
                engine.socket(node).send([wire.message(wire.DELLINK, 0, wire.link_header(index))])
