"""Making a lab and taking it away again. Only what was made here is ever removed."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from sniffkit.errors import LabError, PrivilegeError
from sniffkit.lab.spec import LabSpec, Veth
from sniffkit.netlink import NETNS_DIR, run_in


class Node:
    """A namespace of a running lab."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self._lab = lab

    def run(self, command: Sequence[str], check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace and wait for it. Raises LabError with its output if it fails (check)."""
        options = {"text": True, "capture_output": True, **options}
        done: subprocess.CompletedProcess[str] = subprocess.run(self._in_netns(command), check=False, **options)
        if check and done.returncode != 0:
            said = " ".join(f"{done.stderr or ''} {done.stdout or ''}".split())
            raise LabError(f"{self.name}: {' '.join(command)}: exit {done.returncode}: {said}")
        return done

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command in the namespace; it is ended with the lab if it still runs then."""
        process: subprocess.Popen[Any] = subprocess.Popen(self._in_netns(command), **options)
        self._lab.started(process)
        return process

    def _in_netns(self, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]


class Lab:
    """A lab: `up()` makes it, `down()` removes what `up()` made; as a `with` block it does both."""

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        self._made: list[str] = []
        self._processes: list[subprocess.Popen[Any]] = []

    def __getitem__(self, name: str) -> Node:
        if name not in self.spec.nodes:
            raise LabError(f"no node {name!r}; there are: {' '.join(self.spec.nodes)}")
        return Node(self, name)

    def started(self, process: subprocess.Popen[Any]) -> None:
        """Remember a process that ends with the lab."""
        self._processes.append(process)

    def up(self) -> Lab:
        """Make every namespace and link. If anything fails, what was made before is removed and LabError says why."""
        for name in self.spec.nodes:
            if (NETNS_DIR / name).exists():
                raise LabError(f"namespace {name!r} exists already and is not this lab's: nothing was changed")
        try:
            for name in self.spec.nodes:
                self._make_namespace(name)
            for link in self.spec.links:
                make_veth(link)
        except BaseException:
            self.down()
            raise
        return self

    def _make_namespace(self, name: str) -> None:
        from pyroute2 import netns

        self._made.append(name)  # before it is made: an interruption in between leaves nothing behind
        try:
            netns.create(name)
        except OSError as error:
            if error.errno == errno.EEXIST:
                self._made.remove(name)  # somebody else was quicker: it is theirs
            raise _system(f"making namespace {name!r}", error) from None
        run_in(name, lambda: _set_up("lo"))

    def down(self) -> None:
        """End the lab's processes and remove its namespaces, and with them its links. Safe to call twice."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        from pyroute2 import netns

        while self._made:
            name = self._made[-1]
            if (NETNS_DIR / name).exists():
                netns.remove(name)
            self._made.pop()

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def _system(what: str, error: OSError) -> LabError | PrivilegeError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return PrivilegeError(f"{what}: not permitted: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing; run it with sudo")
    return LabError(f"{what}: {error.strerror or error}")


def _set_up(name: str) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        ip.link("set", index=ip.link_lookup(ifname=name)[0], state="up")


def make_veth(link: Veth) -> None:
    """Make a pair with both ends directly in their namespaces, give the addresses, set both up."""

    def create() -> None:
        from pyroute2 import IPRoute

        fd = os.open(NETNS_DIR / link.b.node, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with IPRoute() as ip:
                ip.link("add", ifname=link.a.name, kind="veth", peer={"ifname": link.b.name, "net_ns_fd": fd})
        finally:
            os.close(fd)

    def configure(name: str, addresses: tuple[str, ...]) -> None:
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            index = ip.link_lookup(ifname=name)[0]
            for address in addresses:
                host, _, prefix = address.partition("/")
                ip.addr("add", index=index, address=host, prefixlen=int(prefix or (128 if ":" in host else 32)))
            ip.link("set", index=index, state="up")

    from pyroute2.netlink.exceptions import NetlinkError

    try:
        run_in(link.a.node, create)
        for end in (link.a, link.b):
            run_in(end.node, lambda end=end: configure(end.name, end.addresses))  # type: ignore[misc]
    except NetlinkError as error:
        raise LabError(f"{link.a.node}/{link.a.name} – {link.b.node}/{link.b.name}: {error.args[-1]}") from None
