"""ssh: an SSH server, by dropbear, with a host key and a user key of the lab's own.

The user is root, the key `$LAB/id` in commands that the lab runs: `dbclient -y -i $LAB/id root@10.0.0.2 ip address`.
Nothing of the machine's own ~/.ssh is used: the server sees a passwd file whose home is in the lab's directory.
"""

from __future__ import annotations

from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Int, Key
from sniffkit.lab.services.service import Service, Start

SCRIPT = """set -e
cd {dir}
umask 077
mkdir -p NODE.home/.ssh
mkdir id.lock 2>/dev/null && { dropbearkey -t ed25519 -f id.new >/dev/null 2>&1; mv id.new id; } || true
while [ ! -e id ]; do sleep 0.05; done
[ -e NODE.hostkey ] || dropbearkey -t ed25519 -f NODE.hostkey >/dev/null 2>&1
dropbearkey -y -f id | grep '^ssh-' > NODE.home/.ssh/authorized_keys
exec dropbear -F -E -s -p PORT -r {dir}/NODE.hostkey -P ''
"""


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """Makes the keys, then becomes dropbear."""
    port = given.get("port", 22)
    passwd = f"root:x:0:0:lab:{{dir}}/{node.name}.home:/bin/sh\n"
    script = SCRIPT.replace("NODE", node.name).replace("PORT", str(port))
    name = f"{node.name}.passwd"
    return Start(["sh", "-c", script], {name: passwd}, [(name, "/etc/passwd")], ready={"tcp": port})


SERVICE = Service(
    "ssh",
    "SSH server",
    {"port": Key(Int(1, 65535), "TCP port (22)")},
    start,
    shorthand="port",
    tool="dropbear",
    package="dropbear-bin",
)
