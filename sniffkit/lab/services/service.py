"""What a service declares. Its file holds one `SERVICE`; its line in services/__init__.py makes it known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Key


@dataclass(frozen=True)
class Start:
    """How to start a program. `{dir}` in words and files is the lab's directory below /run.

    files: name → text, written before. binds: (name, target): file of the lab's directory mounted over target, for
    this program alone. ready: `tcp` or `udp` port it must listen on, `file` it must have written, `tap` it must hold.
    late: after the services that others wait for. undo: the command that takes away what it left, once it has ended.
    gives: an interface, and the file of the lab's directory with the address that it has from this program, if any.
    needs: ids of operations with whose results goes what it left.
    """

    argv: list[str]
    files: dict[str, str] = field(default_factory=dict)
    binds: list[tuple[str, str]] = field(default_factory=list)
    ready: dict[str, Any] = field(default_factory=dict)
    late: bool = False
    undo: list[str] = field(default_factory=list)
    gives: tuple[str, str] | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """A program that runs in a node. tool, package: what it needs of the machine and the Debian package that has it.

    interfaces: keys that name an interface of the node. check: what is wrong with its settings, as the whole lab shows.
    lacks: what this machine does not have of what it needs, looked for before a lab is made.
    """

    name: str
    doc: str
    keys: dict[str, Key]
    start: Callable[[NodeSpec, dict[str, Any], LabSpec], Start]
    shorthand: str | None = None
    tool: str | None = None
    package: str = ""
    interfaces: tuple[str, ...] = ()
    check: Callable[[NodeSpec, dict[str, Any], LabSpec], str | None] | None = None
    lacks: Callable[[dict[str, Any], LabSpec], str | None] | None = None

    def named(self, given: dict[str, Any]) -> list[str]:
        """The interfaces that its settings name."""
        out: list[str] = []
        for key in self.interfaces:
            out += [given[key]] if isinstance(given.get(key), str) else given.get(key, [])
        return out
