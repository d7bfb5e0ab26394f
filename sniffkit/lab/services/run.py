"""run: any command, run by a shell, that lasts as long as the lab."""

from __future__ import annotations

from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Int, Key, Text
from sniffkit.lab.services.service import Service, Start


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """The command as it is."""
    ready: dict[str, Any] = {key: given[key] for key in ("tcp", "udp") if key in given}
    return Start(["sh", "-c", given["command"]], ready=ready, late=True)


SERVICE = Service(
    "run",
    "a command of your own",
    {
        "command": Key(Text("a shell command", r"[\s\S]*\S[\s\S]*"), "what to run; it must not end", required=True),
        "tcp": Key(Int(1, 65535), "ready once it listens on this TCP port"),
        "udp": Key(Int(1, 65535), "ready once it listens on this UDP port"),
    },
    start,
    shorthand="command",
)
