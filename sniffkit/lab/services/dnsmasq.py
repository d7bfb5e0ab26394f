"""dnsmasq: DHCP, DNS and IPv6 router advertisements, by dnsmasq(8)."""

from __future__ import annotations

from typing import Any

from sniffkit.lab.model import LabSpec, NodeSpec
from sniffkit.lab.schema import Flag, Ip, Key, Keys, ListOf, Mac, MapOf, Name, Text
from sniffkit.lab.services.service import Service, Start

DNS, DHCP, DHCPV6 = 53, 67, 547  # RFC 1035, 4.2.1; RFC 2131, 4.1; RFC 8415, 7.2
RANGE = Keys(
    {
        "from": Key(Ip, "first address", required=True),
        "to": Key(Ip, "last address", required=True),
        "lease": Key(Text("a time such as 2m, 1h", r"[0-9]+[mhd]?"), "how long a lease lasts (1h)"),
    }
)
HOST = Text("a host name", r"[A-Za-z0-9._-]{1,253}")


def check(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> str | None:
    """A range is of one version of IP."""
    mixed = [one for one in given.get("dhcp", []) if (":" in one["from"]) != (":" in one["to"])]
    return f"dhcp from {mixed[0]['from']} to {mixed[0]['to']}: IPv4 and IPv6" if mixed else None


def start(node: NodeSpec, given: dict[str, Any], spec: LabSpec) -> Start:
    """dnsmasq in the foreground with no file of the machine's own."""
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"]
    argv += ["--log-facility=-", "--pid-file=", "--bind-dynamic", "--no-ping", "--dhcp-broadcast"]
    others = [one for name, one in node.settings["services"] if name == "dnsmasq"]
    number = next(number for number, one in enumerate(others) if one is given)
    argv += [f"--dhcp-leasefile={{dir}}/{node.name}.leases{number or ''}"]
    if number:  # the node's own address is the first one's
        argv.append("--except-interface=lo")
    argv += [f"--interface={name}" for name in given.get("interfaces", [])]
    for one in given.get("dhcp", []):
        argv.append(f"--dhcp-range={one['from']},{one['to']},{one.get('lease', '1h')}")
    if given.get("dhcp"):
        argv.append("--dhcp-authoritative")
    if "router" in given:
        argv.append(f"--dhcp-option=option:router,{given['router']}")
    for mac, address in given.get("reserve", {}).items():
        argv.append(f"--dhcp-host={mac},{f'[{address}]' if ':' in address else address}")
    if given.get("ra"):
        argv += ["--enable-ra", "--ra-param=*,4"]
        argv += [f"--dhcp-range=::,constructor:{name},ra-only,1h" for name in given.get("interfaces", [])]
    argv += [f"--host-record={name},{address}" for name, address in given.get("names", {}).items()]
    argv += [f"--server={address}" for address in given.get("upstream", [])]
    if "domain" in given:
        argv.append(f"--domain={given['domain']}")
    ports = [DHCPV6 if ":" in one["from"] else DHCP for one in given.get("dhcp", [])]
    return Start(argv, ready={"udp": min(ports, default=DNS)})


SERVICE = Service(
    "dnsmasq",
    "DHCP, DNS and router advertisements",
    {
        "interfaces": Key(ListOf(Name), "where it serves", required=True),
        "dhcp": Key(ListOf(RANGE), "addresses to lease"),
        "router": Key(Ip, "default router for the clients"),
        "reserve": Key(MapOf(Mac, Ip), "MAC address: the address it always gets"),
        "names": Key(MapOf(HOST, Ip), "host name: address"),
        "domain": Key(HOST, "domain of the clients"),
        "upstream": Key(ListOf(Ip), "name servers for all other names"),
        "ra": Key(Flag(), "router advertisements with the prefixes of its interfaces (false)"),
    },
    start,
    tool="dnsmasq",
    package="dnsmasq-base",
    interfaces=("interfaces",),
    check=check,
)
