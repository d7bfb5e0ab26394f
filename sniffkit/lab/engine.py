"""Makes a plan real, and takes away what a journal says was made.

All of it runs on one thread that moves between namespaces and ends afterwards. The caller's thread only waits: a ^C
there asks the engine to stop at the next step, so that no step is left half done, and then to undo.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sniffkit.errors import LabError
from sniffkit.lab import machine, namespaces, processes, wire
from sniffkit.lab.actions import ACTIONS, refusal
from sniffkit.lab.model import HOST
from sniffkit.lab.ops import Op
from sniffkit.lab.plan import ends, host_ends
from sniffkit.lab.state import Journal

T = TypeVar("T")


class Stopped(Exception):
    """The caller wants no more: ^C."""


def run(task: Callable[[threading.Event], T]) -> T:
    """Run `task` on a thread of its own and wait for it; ^C sets the event it gets, and is raised once it has ended."""
    stop = threading.Event()
    ended = threading.Lock()
    box: dict[str, Any] = {}
    begun = threading.Lock()
    interrupted = False
    ended.acquire()

    def work() -> None:
        if not begun.acquire(blocking=False):
            return
        try:
            box["value"] = task(stop)
        except BaseException as error:  # handed to the caller's thread
            box["error"] = error
        finally:
            ended.release()

    thread = threading.Thread(target=work, name="lab")
    starting = True
    while True:
        try:
            if starting:
                starting = False
                thread.start()
            # Not join(): Python 3.11 takes a thread for ended when a signal interrupts waiting for it. Nor for ever: a
            # signal that reaches the process on the other thread does not wake this one, which has to handle it. Nor an
            # Event: a signal in the middle of its wait() breaks that.
            while not box:
                ended.acquire(timeout=0.1)
            break
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
            if begun.acquire(blocking=False):  # while it was being started: it does nothing any more
                raise
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
        # Whether the namespace that was HOST when the lab was made is there no more: then HOST is whoever asks.
        self.homeless = False
        home = journal.home
        if home is not None and home != namespaces.identity():
            found = namespaces.find(home)
            self.homeless = found is None
            if found is not None:
                os.close(self._fds[HOST])
                self._fds[HOST], self._here = found, ""
        # Ids of operations that were done before and whose result somebody may have replaced.
        self.mend: set[str] = set()
        # (node, interface) → its index when it was made: it may have got another name.
        self.made: dict[tuple[str, str], int] = {}
        # (node, version of IP) → its routing rules, as the kernel showed them and since then only the lab took away.
        self.rules: dict[tuple[str, int], list[bytes]] = {}
        # Until when it is waited for interfaces to come up, all of them together: some never do. None: not yet.
        self.settled: float | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets.values():
            one.close()
        for fd in self._fds.values():
            os.close(fd)

    # namespaces

    def make_namespace(self, name: str) -> None:
        """Make a namespace that no one had, recorded before its name exists. One that the lab has already is taken."""
        if not self._sockets:
            namespaces.prepare()
        there = namespaces.inode(name)
        if there and self.owns(name):
            return
        if there == 0 and self._inode(name) is not None:  # a name whose maker was killed before it stood for anything
            namespaces.remove(name)
        elif there is not None:
            raise LabError(f"namespace {name} exists already and is not this lab's: nothing was changed")
        entry = {"is": "netns", "node": name}
        try:
            fd = namespaces.make(name, lambda inode: self.journal.add(**entry, inode=inode))
        except FileExistsError:
            self.journal.add(**{"is": "not ours", "node": name})
            raise LabError(f"namespace {name} exists already and is not this lab's") from None
        self._fds[name], self._here = fd, name
        self._sockets[name] = wire.Socket()

    def _inode(self, node: str) -> int | None:
        """The inode of the namespace that the lab made for a node; None if it made none, or removed it."""
        found = [one for one in self.journal.entries if one["is"] in ("netns", "gone") and one["node"] == node]
        return found[-1].get("inode") if found else None

    def owns(self, node: str) -> bool:
        """Whether the namespace of a node's name is the one that the lab made."""
        return namespaces.inode(node) == (self._inode(node) or -1)

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

    def forget(self, node: str, name: str) -> None:
        """An interface may have another index from now on."""
        self._indexes.pop((node, name), None)

    def drop(self, node: str) -> None:
        """Remove a node's namespace and what it holds."""
        for one in (self._sockets.pop(node, None),):
            if one is not None:
                one.close()
        if node in self._fds:
            self.enter(HOST)
            os.close(self._fds.pop(node))
        self._indexes = {key: index for key, index in self._indexes.items() if key[0] != node}
        mine = self._inode(node)
        if mine is not None and namespaces.inode(node) in (mine, 0):
            namespaces.remove(node)
        self.journal.note(**{"is": "gone", "node": node})

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
                self.ask(node, requests)
            for op in stage:
                for _, name in host_ends(op):
                    machine.record(self, name)
            if started:
                processes.wait_ready(self, started)

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
                if error.code not in action.gone:
                    raise refusal(op, error.code, error.words) from None
            except LabError as error:
                if "no interface" not in str(error) and "No such file" not in str(error):
                    raise
            if op.do == "link":
                for end in ends(op):
                    self.forget(*end)
                for _, name in host_ends(op):
                    machine.withdraw(self, name)

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def ask(self, node: str, requests: list[tuple[Op, bytes]]) -> None:
        """Send requests to a node's kernel. Raises LabError about the operation that is refused."""
        try:
            self.socket(node).send([request for _, request in requests])
        except wire.Refused as error:
            op = requests[error.number][0]
            raise refusal(op, error.code, error.words) from None

    def try_one(self, node: str, request: bytes) -> None:
        """Send a request that may be refused."""
        with contextlib.suppress(wire.Refused):
            self.socket(node).send([request])

    def delete_index(self, node: str, index: int) -> None:
        """Delete an interface, if it can be."""
        self.try_one(node, wire.message(wire.DELLINK, 0, wire.link_header(index)))


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

    Safe to call for a lab that is half made or half removed. The journal stays where an interface of this machine could
    not be brought back: taking the lab away again does it.
    """
    left: list[str] = []

    def work(stop: threading.Event) -> None:
        if journal.of("up"):
            journal.note(**{"is": "change", "plan": []})  # if it is cut off, the lab is not whole any more
        with Engine(journal, threading.Event()) as engine:
            processes.stop_all(journal)
            staying: dict[str, str] = {}
            for name, node in machine.borrowed(journal).items():
                try:
                    machine.bring_back(engine, name)
                except LabError as error:
                    staying[node] = str(error)
            waiting = machine.out_of_sight(engine)
            left.extend([waiting] if waiting else machine.remove_links(engine))
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
                if node in staying:
                    left.append(staying[node])
                    continue
                busy = processes.inside(entry["inode"]) if there else []
                if busy:
                    left.append(f"namespace {node} lives on in {', '.join(busy)}; its interfaces are removed")
                if busy or (there and _captured(engine, node)):
                    _empty(engine, node)
                engine.drop(node)
        if staying or waiting:
            journal.close()  # what stayed is still the lab's
        else:
            journal.remove()  # here, so that no second ^C comes between

    try:
        run(work)
    except BaseException:
        journal.close()  # the record stays, and can be worked on again
        raise
    return left


def _captured(engine: Engine, node: str) -> bool:
    """Whether there are packet sockets in a namespace: it would live as long as they do. A capture ends with its
    interfaces."""
    engine.enter(node)
    try:
        with open("/proc/thread-self/net/packet", encoding="ascii") as file:
            return len(file.readlines()) > 1
    except OSError:  # a kernel without packet sockets, or where they are a module that nobody needed yet
        return False


def _empty(engine: Engine, node: str) -> None:
    """Delete the interfaces of a namespace that somebody's process or socket keeps alive."""
    for index, name in machine.names_in(engine, node):
        if name != "lo":
            engine.delete_index(node, index)
