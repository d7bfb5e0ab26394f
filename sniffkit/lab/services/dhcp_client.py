"""dhcp_client: gets an address, a default route and name servers for an interface, by busybox's udhcpc."""

from __future__ import annotations

from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Key, Name
from sniffkit.lab.services.service import Service, Start

# Called by udhcpc with the event and the lease in its environment. The lab's directory has the node's resolv.conf, and
# the address that the lease gave: the file's own stay. 16 is RTPROT_DHCP.
SCRIPT = """#!/bin/sh
given={dir}/NODE.INTERFACE.given
forget() {
  [ -e $given ] || return 0
  ip route flush dev INTERFACE proto 16
  ip address del "$(cat $given)" dev INTERFACE
  rm $given
}
case "$1" in
bound|renew)
  address="$ip/${mask:-24}"
  [ ! -e $given ] || [ "$(cat $given)" = "$address" ] || forget
  ip address add "$address" dev INTERFACE 2>/dev/null && echo "$address" > $given
  for router in $router; do ip route replace default via "$router" dev INTERFACE proto 16; done
  if [ -n "$dns" ]; then
    for server in $dns; do echo "nameserver $server"; done > {dir}/NODE.resolv.conf.new
    mv {dir}/NODE.resolv.conf.new {dir}/NODE.resolv.conf
  fi
  echo "$ip" > {dir}/NODE.INTERFACE.lease
  ;;
deconfig) forget ;;
esac
"""


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """udhcpc in the foreground, ready when it has a lease."""
    interface = given["interface"]
    script = f"{node.name}.{interface}.udhcpc"
    lease = f"{node.name}.{interface}.lease"
    text = SCRIPT.replace("NODE", node.name).replace("INTERFACE", interface)
    argv = ["udhcpc", "-f", "-i", interface, "-s", f"{{dir}}/{script}", "-t", "8", "-T", "1", "-A", "1"]
    undo = ["sh", f"{{dir}}/{script}", "deconfig"]
    return Start(argv, files={script: text}, ready={"file": lease}, late=True, undo=undo)


SERVICE = Service(
    "dhcp_client",
    "DHCP client of an interface",
    {"interface": Key(Name, "the interface", required=True)},
    start,
    shorthand="interface",
    tool="udhcpc",
    package="udhcpc",
    interfaces=("interface",),
)
