"""dhcp_client: gets an address, a default route and name servers for an interface, by busybox's udhcpc."""

from __future__ import annotations

import re
from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.ops import address_id
from sniffkit.lab.schema import Key, Name
from sniffkit.lab.services.service import Service, Start

# Called by udhcpc with the event and the lease in its environment. The lab's directory has the node's resolv.conf, and
# the address that the lease gave: the file's own stay. 16 is RTPROT_DHCP. The routes of a node's first client go before
# those of its others, and so do its name servers; without any of theirs the file's are asked.
SCRIPT = """#!/bin/sh
dev=INTERFACE own=OWN conf=RESOLV
name() {
  flock 9 # another client may be about it
  cat CLIENTS > $own.names 2>/dev/null
  [ -s $own.names ] || for server in SERVERS; do echo "nameserver $server"; done > $own.names
  if [ -s $own.names ]; then mv $own.names $conf; else rm -f $own.names $conf; fi
} 9> $conf.lock
forget() {
  ip route flush dev $dev proto 16
  [ ! -e $own.given ] || ip address del "$(cat $own.given)" dev $dev
  rm -f $own.given $own.lease $own.dns
}
case "$1" in
bound|renew)
  address="$ip/${mask:-24}"
  [ ! -e $own.given ] || [ "$(cat $own.given)" = "$address" ] || forget
  ip address add "$address" dev $dev 2>/dev/null && echo "$address" > $own.given
  for router in $router; do ip route replace default via "$router" dev $dev proto 16 metric PLACE; done
  for server in $dns; do echo "nameserver $server"; done > $own.dns
  name
  echo "$ip" > $own.lease
  ;;
deconfig) forget; name ;;
esac
"""


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """udhcpc in the foreground, ready when it has a lease."""
    interface = given["interface"]
    own = f"{node.name}.{interface}"
    clients = [one["interface"] for name, one in node.settings["services"] if name == SERVICE.name]
    words = {
        "OWN": f"{{dir}}/{own}",
        "RESOLV": f"{{dir}}/{node.name}.resolv.conf",
        "INTERFACE": interface,
        "PLACE": str(clients.index(interface)),
        "CLIENTS": " ".join(f"{{dir}}/{node.name}.{name}.dns" for name in clients),
        "SERVERS": " ".join(node.settings.get("nameserver", [])),
    }
    text = re.sub("[A-Z]+", lambda found: words[found[0]], SCRIPT)
    argv = ["udhcpc", "-f", "-i", interface, "-s", f"{{dir}}/{own}.udhcpc", "-t", "8", "-T", "1", "-A", "1"]
    # The kernel takes a lease's address with the first of its subnet, and its route when the interface goes down; in a
    # lab made afresh the address is behind the file's.
    addresses = [one for one in spec.interfaces[node.name, interface].addresses if ":" not in one]
    return Start(
        argv,
        files={f"{own}.udhcpc": text},
        ready={"file": f"{own}.lease"},
        late=True,
        undo=["sh", f"{{dir}}/{own}.udhcpc", "deconfig"],
        gives=(interface, f"{own}.given"),
        needs=(f"up:{node.name}/{interface}", *(address_id(node.name, interface, one) for one in addresses)),
    )


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
