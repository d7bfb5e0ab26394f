"""A lab that is up, or will be: making it, changing it, running commands in its nodes, taking it away."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sniffkit.errors import LabError, SniffkitError
from sniffkit.lab import guard, namespaces, processes, state
from sniffkit.lab.engine import Engine, run, tear_down
from sniffkit.lab.model import HOST, LabSpec
from sniffkit.lab.ops import SERVICE, Op
from sniffkit.lab.plan import dependent, difference, ends, merged, named_as, on_host, plan

if TYPE_CHECKING:
    from sniffkit.lab.capturing import LabCapture
    from sniffkit.lab.check import Result
    from sniffkit.lab.drift import Links

_numbers = itertools.count(1)


class NoNodeError(LabError, KeyError):
    """A name that is none of a lab's nodes: a KeyError too, as a Lab is a Mapping."""

    __str__ = LabError.__str__


class Node:
    """A namespace of a lab."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self._lab = lab

    def run(
        self, command: Sequence[str | os.PathLike[str]], check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace and wait for it. Raises LabError with its output if it fails (check).

        options: as `subprocess.run`'s; both outputs are captured, but for one that goes elsewhere (stdout, stderr).
        """
        if "universal_newlines" in options:  # the older name of text
            options.setdefault("text", options.pop("universal_newlines"))
        options = {"text": True, "env": self._lab.environment, **options}
        if "capture_output" not in options:
            options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        if options["text"]:  # what a program says need not be text
            options.setdefault("errors", "replace")
        done: subprocess.CompletedProcess[str] = subprocess.run(self.argv(command), check=False, **options)
        if check and done.returncode != 0:
            said = " ".join(f"{done.stderr or ''} {done.stdout or ''}".split())
            raise LabError(f"{self.name}: {' '.join(map(os.fsdecode, command))}: exit {done.returncode}: {said}")
        return done

    def popen(self, command: Sequence[str | os.PathLike[str]], **options: Any) -> subprocess.Popen[Any]:
        """Start a command in the namespace; it is ended with the lab if it still runs then."""
        options = {"env": self._lab.environment, **options}
        process: subprocess.Popen[Any] = subprocess.Popen(self.argv(command), **options)
        self._lab.started(process)
        return process

    def argv(self, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """The command as it is run from outside. Raises LabError for a text, or a path, in place of words."""
        if isinstance(command, (str, bytes, os.PathLike)):
            text = os.fsdecode(command)
            raise LabError(f"{self.name}: a command is a list of words, such as ['sh', '-c', {text!r}]")
        settings = self._lab.spec.nodes[self.name].settings if self.name in self._lab.spec.nodes else {}
        leases = any(name == "dhcp_client" for name, _ in settings.get("services", []))
        own_names = bool(settings.get("nameserver")) or leases
        binds = processes.resolver(self._lab.directory, self.name) if own_names else []
        return processes.inside_argv(self.name, [os.fspath(word) for word in command], binds)

    @property
    def points(self) -> list[str]:
        """Its interfaces, as `sk.capture` takes them."""
        return [str(one) for one in self._lab.spec.of(self.name)]


class Lab(Mapping[str, Node]):
    """A lab: `up()` makes it, `down()` removes what `up()` made; as a `with` block it does both."""

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        if not spec.name:
            spec.name = f"lab-{os.getpid()}-{next(_numbers)}"
        self.name = spec.name
        self.directory = state.ROOT / self.name
        self._processes: list[subprocess.Popen[Any]] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._token = ""

    def __getitem__(self, name: str) -> Node:
        if name not in self.spec.nodes and name != HOST:
            raise NoNodeError(f"no node {name!r}; there are: {' '.join(self.spec.nodes)}")
        return Node(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spec.nodes)

    def __len__(self) -> int:
        return len(self.spec.nodes)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands in the lab: what tells them as the lab's, LAB, its directory, and SNIFFKIT."""
        if not self._token:
            journal = state.read_entries(self.directory / "journal")
            if not journal:
                raise LabError(f"lab {self.name} is not up")
            self._token = f"{self.name}:{journal[0]['token']}"
        return processes.environment(self._token, self.directory)

    def started(self, process: subprocess.Popen[Any]) -> None:
        """Remember a process that ends with the lab."""
        self._processes.append(process)

    def plan(self) -> list[Op]:
        """The operations that make it."""
        return plan(self.spec)

    def up(self, keep: bool = False) -> Lab:
        """Make it, or change a running lab of this name into it, only where it differs.

        If anything fails, or on ^C, what was made is removed and LabError says why. keep: it outlives this process.
        """
        from sniffkit.lab.kernel import preflight

        wanted = plan(self.spec)
        preflight(self.spec)
        try:
            journal = state.create(self.name)
        except FileExistsError:
            self._again(wanted, keep)
            return self
        try:
            first = {"is": "lab", "file": self._file(), "token": os.urandom(8).hex(), "pid": os.getpid()}
            journal.add(**first, home=namespaces.identity(), processes=namespaces.processes_seen())
            self._guard = guard.watch(self.name)
            links = run(lambda stop: _do(journal, stop, wanted))
            self._record(journal, wanted, links)
        except BaseException:
            tear_down(journal)
            self._release()
            raise
        journal.close()
        if keep:
            self._release()
        return self

    def _again(self, wanted: list[Op], keep: bool) -> None:
        """There is a lab of this name: change what differs, or clean up after a crash and start anew."""
        journal = state.Journal(self.directory)
        ups = journal.of("up")
        if not ups:
            left = tear_down(journal)
            if self.directory.is_dir():
                raise LabError(f"lab {self.name} was left half made: {'; '.join(left)}")
            self.up(keep)
            return
        if journal.entries[0]["file"] != self._file():
            journal.close()
            raise LabError(f"lab {self.name} is up already, from {journal.entries[0]['file'] or 'a Python program'}")
        whole, cut = _plans(journal)
        old, differ = merged(whole, *cut)
        wanted = named_as(old, wanted)
        try:
            lost = run(lambda stop: _lost(journal, stop, old, ups[-1])) | differ
            if any(on_host(op) for ops in difference(old, wanted, lost) for op in ops):
                need_home(self.name)
        except BaseException:
            journal.close()
            raise
        # What a change that was cut off left is nothing to go back to.
        also_lost = set() if cut else dependent(old, lost)
        there = [op for op in whole if op.id not in also_lost]
        watching, done = None, False
        try:
            journal.add(**{"is": "change", "plan": wanted})
            watching = guard.watch(self.name, "back")
            links = run(lambda stop: _change(journal, stop, old, wanted, lost, ups[-1]))
            self._record(journal, wanted, links)
            done = True
        except BaseException as error:
            try:
                run(lambda stop: _back(journal, there, [*cut, wanted], ups[-1]))
                done = True
            except SniffkitError as second:
                tear_down(journal)
                done = True
                raise LabError(f"{error}; going back failed too ({second}): lab {self.name} was taken down") from None
            raise
        finally:
            journal.close()
            if watching is not None:
                guard.release(watching, done)

    def drift(self) -> list[Op]:
        """The operations of a running lab whose result is gone or not as it was made; `up` does them again."""
        found = state.stored(self.name)
        if found is None:
            raise LabError(f"lab {self.name} is not up")
        journal = state.Journal(self.directory)
        try:
            old = state.operations(found)
            lost = run(lambda stop: _lost(journal, stop, old, found))
        finally:
            journal.close()
        return [op for op in old if op.id in lost]

    def _record(self, journal: state.Journal, wanted: list[Op], links: Links) -> None:
        from sniffkit.lab.drift import shown_now

        entry = {"is": "up", "time": state.now(), "plan": wanted, "yaml": self.yaml()}
        journal.add(**entry, shown=shown_now(wanted), links=links)

    def _file(self) -> str | None:
        return None if self.spec.file is None else os.path.abspath(self.spec.file)

    def yaml(self) -> str:
        """Its description, as a file that makes it again."""
        from sniffkit.lab.describe import to_yaml

        return to_yaml(self.spec)

    def _release(self) -> None:
        if self._guard is not None:
            guard.release(self._guard)
            self._guard = None

    def down(self) -> list[str]:
        """End its processes and remove what was made. Safe to call twice. Returns what was left alone, and why."""
        _stop(self._processes)
        self._processes.clear()
        left: list[str] = []
        if self.directory.is_dir():
            left = tear_down(state.Journal(self.directory))
        self._release()
        return left

    @property
    def is_up(self) -> bool:
        """Whether it is recorded as running."""
        return state.stored(self.name) is not None

    def capture(self, *points: str, **options: Any) -> LabCapture:
        """Capture at nodes (all their interfaces) or `NODE/IF`, everywhere by default; options as `sk.capture`'s."""
        from sniffkit.lab.capturing import LabCapture

        return LabCapture(self, points, options)

    def check(self, **options: Any) -> list[Result]:
        """Run the file's traffic and expectations; see sniffkit.lab.check.run."""
        from sniffkit.lab.check import check

        return check(self, **options)

    def __enter__(self) -> Lab:
        if self.is_up:
            raise LabError(f"lab {self.name} is up already: sniffkit lab down {self.name}")
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def need_home(name: str) -> None:
    """Raise LabError unless this is the namespace that a lab that is up was made from: its `host`."""
    if state.home(state.read_entries(state.ROOT / name / "journal")) not in (None, namespaces.identity()):
        raise LabError(
            f"lab {name} was made from another namespace and has interfaces there: "
            f"run it there (nsenter --net=…), or take it away first: sniffkit lab down {name}"
        )


def _do(journal: state.Journal, stop: threading.Event, wanted: list[Op]) -> Links:
    from sniffkit.lab.drift import links_now

    with Engine(journal, stop) as engine:
        _make(engine, wanted)
        return links_now(engine, wanted)


def _make(engine: Engine, wanted: list[Op]) -> None:
    """Do operations, and see that links are what was asked for before programs run, which may change them."""
    from sniffkit.lab.drift import refuse_other

    first = list(itertools.takewhile(lambda op: op.stage < SERVICE, wanted))
    engine.do(first)
    refuse_other(engine, first)
    engine.do(wanted[len(first) :])


def _lost(journal: state.Journal, stop: threading.Event, old: list[Op], up: dict[str, Any]) -> set[str]:
    """What of `old` is gone. up: the entry of when it was made."""
    from sniffkit.lab.drift import gone

    with Engine(journal, stop) as engine:
        return gone(engine, old, up.get("shown", {}), up.get("links"))


def _plans(journal: state.Journal) -> tuple[list[Op], list[list[Op]]]:
    """What a lab that came up was made of last, and what it was to become by the changes since that were cut off."""
    cut = state.cut_off(journal.entries)
    return state.operations(journal.of("up")[-1]), [state.operations(entry) for entry in cut]


def _change(
    journal: state.Journal,
    stop: threading.Event,
    old: list[Op],
    new: list[Op],
    lost: set[str],
    up: dict[str, Any],
    strict: bool = True,
) -> Links:
    """Make of `old`, of which `lost` is not there, `new`. up: the entry of when `old` was made. strict: see that
    links are what was asked for."""
    from sniffkit.lab.drift import links_now, taken

    undo, do = difference(old, new, lost)
    # A namespace that is gone, or another's by now, took all with it: nothing is to be undone there.
    strange = {op.node for op in old if op.do == "netns" and op.id in lost}
    with Engine(journal, stop) as engine:
        engine.mend = lost
        made = {point: up.get("links", {}).get("/".join(point)) for op in undo if op.do == "link" for point in ends(op)}
        engine.made = {point: found[0] for point, found in made.items() if found}
        engine.undo([op for op in undo if op.node not in strange])
        doing = {op.id for op in do}
        doing |= taken(engine, [op for op in new if op.id not in doing], {op.node for op in undo})
        (_make if strict else Engine.do)(engine, [op for op in new if op.id in doing])
        return links_now(engine, new)


def _back(journal: state.Journal, old: list[Op], others: list[list[Op]], up: dict[str, Any]) -> None:
    """Make `old` again where some of it has become one of `others`. Nothing stops it."""
    found, differ = merged(old, *others)
    lost = _lost(journal, threading.Event(), found, up)
    _change(journal, threading.Event(), found, old, lost | differ, up, strict=False)
    journal.note(**{"is": "back"})


def take_back(journal: state.Journal) -> None:
    """Make a lab what it was before a change that was cut off."""
    ups = journal.of("up")
    if ups and state.cut_off(journal.entries):
        whole, cut = _plans(journal)
        run(lambda stop: _back(journal, whole, cut, ups[-1]))


def _stop(started: list[subprocess.Popen[Any]]) -> None:
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
