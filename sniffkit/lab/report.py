"""What there is to say about labs: which are up, their interfaces and how they are now, which lab a node belongs to."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from sniffkit.errors import LabError, PrivilegeError
from sniffkit.lab import processes, state, yamlfile
from sniffkit.lab.links import kind
from sniffkit.lab.model import HOST, Interface, LabSpec
from sniffkit.lab.namespaces import identity, inode
from sniffkit.lab.plan import difference, named_as, plan
from sniffkit.lab.running import Lab, need_home
from sniffkit.lab.schema import nearest
from sniffkit.lab.spec import build, parse

if TYPE_CHECKING:
    from sniffkit.lab.observe import Seen

# column → type (sniffkit.rows.TYPES)
LABS = {"name": "text", "state": "text", "nodes": "u32", "interfaces": "u32", "since": "text", "file": "text"}
INTERFACES = {
    "node": "text", "name": "text", "kind": "text", "address": "names", "leads_to": "text", "details": "text",
    "state": "text",
}  # fmt: skip


def labs() -> list[dict[str, Any]]:
    """The labs that are recorded; `broken` are those whose making, or changing, was cut off, or a namespace of which is
    gone.

    Of one that this user may not read there is the name, and nothing else.
    """
    out = []
    for name in state.names():
        try:
            found = state.stored(name)
        except PrivilegeError:
            out.append(dict.fromkeys(LABS) | {"name": name})
            continue
        entries = state.read_entries(state.ROOT / name / "journal")
        file = state.file_of(name)
        made = {one["node"]: one.get("inode") for one in entries if one["is"] in ("netns", "gone")}
        lost = any(inode(node) != there for node, there in made.items() if there)
        whole = found and not state.cut_off(entries) and not lost
        row: dict[str, Any] = {"name": name, "state": "up" if whole else "broken", "file": file or None}
        ops = state.operations(found) if found else []
        row["nodes"] = sum(op.do == "netns" for op in ops)
        row["interfaces"] = sum(1 + ("peer" in op.args) for op in ops if op.do == "link")
        since = found["time"] if found else 0
        row["since"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(since)) if found else None
        out.append(row)
    return out


def load(text: str) -> LabSpec:
    """A lab from a YAML file, the name of one that is up, or a capture whose section comment carries it."""
    if os.path.isfile(text):
        with open(text, "rb") as file:
            start = file.read(4)
        if start == b"\x0a\x0d\x0d\x0a":
            return of_capture(text)
        return parse(text)
    return running(text)


def running(name: str) -> LabSpec:
    """The description of a lab that is up."""
    found = state.stored(name) if name in state.names() else None
    if found is None:
        raise LabError(f"no lab {name!r}: neither a file nor up; up are: {' '.join(state.names()) or 'none'}")
    return build(*yamlfile.parse(found["yaml"], name, stored=True), None)


def of_capture(path: str) -> LabSpec:
    """The lab that a capture was made in."""
    from sniffkit.lab.capturing import section_comments

    for text in section_comments(path):
        if text.startswith("lab:\n"):
            return build(*yamlfile.parse(text.removeprefix("lab:\n"), path, stored=True), None)
    raise LabError(f"{path}: the capture carries no lab")


def outdated(spec: LabSpec) -> str | None:
    """What to say of a lab that is up, if its file says something else by now, or it is half changed."""
    found = state.stored(spec.name)
    if found is None or spec.file is None or state.file_of(spec.name) != os.path.abspath(spec.file):
        return None
    if state.cut_off(state.read_entries(state.ROOT / spec.name / "journal")):
        return f"a change of lab {spec.name} was cut off: sniffkit lab up {spec.file}"
    old = state.operations(found)
    if difference(old, named_as(old, plan(spec))) == ([], []):
        return None
    return f"{spec.file} has changed since lab {spec.name} came up: sniffkit lab up {spec.file}"


def details(one: Interface) -> str:
    """The words of `ip link`, and what its bridge says of it."""
    said = [kind(one.kind).line(one.data)]
    if one.bridge is not None:
        said.append(f"port of {one.bridge}")
        for key, value in one.port.items():
            said.append(f"{key} {','.join(map(str, value)) if isinstance(value, list) else value}")
    return " ".join(word for word in said if word)


def leads_to(spec: LabSpec, one: Interface) -> str:
    """The other end of a pair, or what it stands on."""
    if one.peer is not None:
        return "/".join(one.peer)
    if one.parent is not None:
        return one.parent[1] if one.parent[0] == one.node else "/".join(one.parent)
    return ""


def _look() -> Seen:
    from sniffkit.lab import observe, wire

    asked = wire.Socket()
    try:
        return observe.see_addresses(asked)
    finally:
        asked.close()


def interfaces(spec: LabSpec) -> list[dict[str, Any]]:
    """A row an interface, with its state if the lab is up."""
    now: dict[tuple[str, str], tuple[str | None, list[str]]] = {}
    found = state.stored(spec.name)
    if found is not None:
        from sniffkit.netlink import namespaces, run_in

        made = {op.node for op in state.operations(found) if op.do == "netns"} & set(namespaces())
        home = state.home(state.read_entries(state.ROOT / spec.name / "journal"))
        if home in (None, identity()):  # of another namespace's interfaces nothing is known here
            made.add(HOST)
        for node in {one.node for one in spec.interfaces.values()} & made:
            seen = run_in(None if node == HOST else node, _look)
            for there in seen.links.values():
                now[node, there.name] = (there.state, seen.addresses.get(there.name, []))
    rows = []
    for one in spec.interfaces.values():
        known, addresses = now.get(one.point, (None, one.addresses))
        rows.append(
            {
                "node": one.node,
                "name": one.name,
                "kind": one.kind,
                "address": list(dict.fromkeys([*one.addresses, *addresses])),
                "leads_to": leads_to(spec, one) or None,
                "details": details(one) or None,
                "state": known,
            }
        )
    return rows


def find_node(text: str, command: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command that runs `command` in a node of a lab that is up, and its environment."""
    wanted, _, node = text.rpartition("/")
    known: dict[str, str] = {}
    for name in state.names():
        if wanted not in ("", name) or state.stored(name) is None:
            continue
        spec = running(name)
        for one in spec.nodes:
            known[one] = name
        if node in spec.nodes or (node == HOST and wanted):
            if node == HOST:
                need_home(name)
            lab = Lab(spec)
            env = processes.environment(lab.environment[state.TOKEN], lab.directory)
            return lab[node].argv(command), env
    raise LabError(f"no node {text!r} in a lab that is up{nearest(node, known) if known else '; none is up'}")
