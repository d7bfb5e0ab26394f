"""http: a web server, of one text or of a directory."""

from __future__ import annotations

import os
import sys
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Int, Key, Text
from sniffkit.lab.services.service import Service, Start


def directory(given: dict[str, Any], spec: LabSpec) -> str:
    """The directory, from that of the lab's file where its path is relative."""
    return os.path.abspath(os.path.join(os.path.dirname(spec.file or ""), given["directory"]))


def lacks(given: dict[str, Any], spec: LabSpec) -> str | None:
    """The directory must be there."""
    missing = "directory" in given and not os.path.isdir(directory(given, spec))
    return f"{directory(given, spec)}: no such directory" if missing else None


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """The program sniffkit.lab.programs.web."""
    port = given.get("port", 80)
    argv = [sys.executable, "-m", "sniffkit.lab.programs.web", str(port)]
    if "directory" in given:
        argv += ["--directory", directory(given, spec)]
    else:
        argv += ["--text", given.get("text", f"{node.name}\n")]
    return Start(argv, ready={"tcp": port})


SERVICE = Service(
    "http",
    "web server",
    {
        "port": Key(Int(1, 65535), "TCP port (80)"),
        "text": Key(Text(), "what every URL gives (the node's name)"),
        "directory": Key(Text("a directory"), "serve the files of this directory instead; from the lab's file"),
    },
    start,
    shorthand="port",
    lacks=lacks,
)
