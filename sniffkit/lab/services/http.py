"""http: a web server, of one text or of a directory."""

from __future__ import annotations

import sys
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Int, Key, Text
from sniffkit.lab.services.service import Service, Start


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """The program sniffkit.lab.programs.web."""
    port = given.get("port", 80)
    argv = [sys.executable, "-m", "sniffkit.lab.programs.web", str(port)]
    if "directory" in given:
        argv += ["--directory", given["directory"]]
    else:
        argv += ["--text", given.get("text", f"{node.name}\n")]
    return Start(argv, ready={"tcp": port})


SERVICE = Service(
    "http",
    "web server",
    {
        "port": Key(Int(1, 65535), "TCP port (80)"),
        "text": Key(Text(), "what every URL gives (the node's name)"),
        "directory": Key(Text("a directory"), "serve the files of this directory instead"),
    },
    start,
    shorthand="port",
)
