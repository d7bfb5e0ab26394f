"""Programs that run in the nodes of a lab: one file each, one line here."""

from __future__ import annotations

import importlib
import shlex
import sys
from functools import cache
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.ops import SERVICE, Op, link_id, netns_id
from sniffkit.lab.schema import Keys, Type, nearest
from sniffkit.lab.services.service import Service
from sniffkit.lab.yamlfile import Path, Source

# service → its module, imported when a lab has one
SERVICES: dict[str, str] = {
    "http": "sniffkit.lab.services.http",
    "dnsmasq": "sniffkit.lab.services.dnsmasq",
    "dhcp_client": "sniffkit.lab.services.dhcp_client",
    "ssh": "sniffkit.lab.services.ssh",
    "responder": "sniffkit.lab.services.responder",
    "run": "sniffkit.lab.services.run",
}


@cache
def service(name: str) -> Service:
    """The service of that name, which must be in SERVICES."""
    found: Service = importlib.import_module(SERVICES[name]).SERVICE
    return found


class Services(Type):
    """A mapping from services to their settings; a list of such mappings where one is wanted several times."""

    words = f"a mapping with {' '.join(SERVICES)}"

    def parse(self, value: Any, path: Path, source: Source) -> list[list[Any]]:
        out: list[list[Any]] = []
        items = value if isinstance(value, list) else [value]
        for number, item in enumerate(items):
            where = (*path, number) if isinstance(value, list) else path
            if not isinstance(item, dict):
                raise self.wrong(item, where, source)
            for name, given in item.items():
                if name not in SERVICES:
                    raise source.error((*where, name), f"unknown service {name!r}{nearest(str(name), SERVICES)}")
                found = service(name)
                settings = Keys(found.keys, found.shorthand).parse(given, (*where, name), source)
                out.append([name, settings])
        return out

    def schema(self) -> dict[str, Any]:
        properties = {}
        for name in SERVICES:
            found = service(name)
            properties[name] = {**Keys(found.keys, found.shorthand).schema(), "description": found.doc}
        one = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [one, {"type": "array", "items": one}]}


def check(spec: LabSpec, node: NodeSpec) -> None:
    """Interfaces that services name must be there."""
    names = [one.name for one in spec.of(node.name)]
    for name, given in node.settings.get("services", []):
        found = service(name)
        path = (*node.path, "services")
        for dev in found.named(given):
            if dev not in names:
                text = f"{node.name}: {name}: no interface {node.name}/{dev}{nearest(dev, names)}"
                raise spec.source.error(path, text)
        wrong = found.check(node, given, spec) if found.check else None
        if wrong:
            raise spec.source.error(path, f"{node.name}: {name}: {wrong}")


def operations(spec: LabSpec, node: NodeSpec) -> list[Op]:
    """One operation a service."""
    out = []
    for number, (name, given) in enumerate(node.settings.get("services", [])):
        found = service(name)
        start = found.start(node, given, spec)
        key = f"{name}-{number + 1}"
        args = {
            "argv": start.argv,
            "files": start.files,
            "binds": [list(pair) for pair in start.binds],
            "ready": start.ready,
            "tool": found.tool,
            "package": found.package,
        }
        if start.undo:
            args["undo"] = start.undo
        if start.gives:
            args["gives"] = list(start.gives)
        if "nameserver" in node.settings:  # which it reads when it starts
            args["nameserver"] = node.settings["nameserver"]
        words = ["python3" if word == sys.executable else word for word in start.argv]
        line = f"ip netns exec {node.name} {shlex.join(words)} &".replace("\n", "\\n")
        # A program that is bound to an interface knows it by its index: with another one it starts anew.
        needs = (netns_id(node.name), *(link_id(node.name, dev) for dev in found.named(given)), *start.needs)
        out.append(Op(SERVICE + 10 * start.late, "service", node.name, key, args, needs, line))
    return out
