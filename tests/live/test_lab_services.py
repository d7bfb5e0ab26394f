"""Programs of a lab beside what its file gives by itself, and beside each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from labs import P, ip, sniffkit, write

from sniffkit.lab import processes

A, B, C = (f"{P}{letter}" for letter in "abc")
FIXED = ["10.6.0.2/24", "2001:db8::2/64"]
ROUTES = ["10.77.0.0/16 via 10.6.0.1", "2001:db8:9::/48 via 2001:db8::1"]

MISSING = [tool for tool in ("udhcpc", "dnsmasq") if shutil.which(tool, path=processes.search_path()) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' '.join(MISSING)}")


def up(path: str) -> None:
    done = sniffkit("lab", "up", path)
    assert done.returncode == 0, done.stderr


def server(interface: str, net: str, router: str | None = None) -> dict[str, Any]:
    dhcp = {"from": f"{net}.100", "to": f"{net}.110"}
    return {"dnsmasq": {"interfaces": [interface], "dhcp": dhcp, "router": router or f"{net}.1"}}


def addresses(node: str) -> list[str]:
    found = json.loads(ip("-j", "-n", node, "address", "show", "eth0"))[0]["addr_info"]
    return [f"{one['local']}/{one['prefixlen']}" for one in found if one["scope"] == "global"]


def test_a_lease_stands_beside_the_addresses_of_the_file(file: Path) -> None:
    def lab(mac: str, services: dict[str, str]) -> str:
        nodes = {A: {"services": server("eth0", "10.5.0")}, B: {"services": services, "routes": ROUTES}}
        ends = {f"{A}/eth0": ["10.5.0.1/24", "10.6.0.1/24", "2001:db8::1/64"]}
        return write(file, nodes=nodes, links=[ends | {f"{B}/eth0": {"address": FIXED, "mac": mac}}])

    def leased() -> set[str]:
        routes = ip("-n", B, "route") + ip("-6", "-n", B, "route")
        assert all(route in routes for route in ROUTES)
        assert {*FIXED} <= {*addresses(B)}
        assert ("default via 10.5.0.1" in routes) == (len(addresses(B)) > len(FIXED))
        return {*addresses(B)} - {*FIXED}

    for mac in ("02:00:00:00:00:0a", "02:00:00:00:00:0a", "02:00:00:00:00:0c"):
        up(lab(mac, {"dhcp_client": "eth0"}))
        (lease,) = leased()
        assert lease.startswith("10.5.0.")
    file_of_it = sniffkit("lab", "exec", B, "sh", "-c", f"cat $LAB/{B}.eth0.lease").stdout.strip()
    assert lease == f"{file_of_it}/24"
    up(lab("02:00:00:00:00:0c", {}))
    assert leased() == set(), "it goes with the client"


def test_two_servers_of_leases_in_a_node(file: Path) -> None:
    services = [server("e0", "10.1.0", "10.1.0.254"), server("e1", "10.2.0", "10.2.0.254")]
    nodes = {
        A: {"services": services},
        B: {"services": {"dhcp_client": "eth0"}},
        C: {"services": {"dhcp_client": "eth0"}},
    }
    links = [{f"{A}/e0": "10.1.0.1/24", f"{B}/eth0": None}, {f"{A}/e1": "10.2.0.1/24", f"{C}/eth0": None}]
    up(write(file, nodes=nodes, links=links))
    for node, net in ((B, "10.1.0"), (C, "10.2.0")):
        assert ip("-n", node, "route", "show", "default").startswith(f"default via {net}.254 ")
    names = sniffkit("lab", "exec", A, "sh", "-c", "cat $LAB/*.leases $LAB/*.leases-2").stdout.split()
    assert {word.rpartition(".")[0] for word in names if word.startswith("10.")} == {"10.1.0", "10.2.0"}
