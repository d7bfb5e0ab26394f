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


MAC = "02:00:00:00:00:0a"


def leasing(file: Path, given: list[str], client: dict[str, Any], **more: Any) -> str:
    """A server of 10.5.0.0/24 and a client with these addresses and settings. more: the server's settings."""
    services = server("eth0", "10.5.0")
    services["dnsmasq"] |= more
    end = {f"{B}/eth0": {"address": given, "mac": MAC}}
    return write(
        file, nodes={A: {"services": services}, B: client}, links=[{f"{A}/eth0": ["10.5.0.1/24", "10.7.0.9/24"]} | end]
    )


def default_route() -> str:
    return ip("-n", B, "route", "show", "default").strip()


CLIENT: dict[str, Any] = {"services": {"dhcp_client": "eth0"}}
DEFAULT = "default via 10.5.0.1 dev eth0 proto dhcp"


def test_a_lease_outlives_changes_of_the_addresses_beside_it(file: Path) -> None:
    beside, other = "10.5.0.9/24", "10.7.0.1/24"
    for given in ([beside], [other, beside], [other], [other, beside], [beside, other]):
        up(leasing(file, given, CLIENT))
        found = addresses(B)
        (lease,) = {*found} - {*given}
        assert found == [*given, lease], "as in a lab made afresh"
        assert default_route() == DEFAULT
        assert ip("netns", "exec", B, "ping", "-c1", "-W2", "10.5.0.1")


def test_a_lease_that_somebody_took_away_is_taken_anew(file: Path) -> None:
    path = leasing(file, ["10.6.0.2/24"], CLIENT)
    up(path)
    _, lease = there = addresses(B)
    for damage in (f"address del {lease} dev eth0", "link set eth0 down", "address flush dev eth0"):
        ip("-n", B, *damage.split())
        up(path)
        assert addresses(B) == there
        assert default_route() == DEFAULT


def test_a_lease_of_an_address_of_the_file(file: Path) -> None:
    same = {"reserve": {MAC: "10.5.0.9"}}
    up(leasing(file, ["10.5.0.9/24"], CLIENT, **same))
    assert (addresses(B), default_route()) == (["10.5.0.9/24"], DEFAULT)
    up(leasing(file, ["10.5.0.9/24"], {}, **same))
    assert (addresses(B), default_route()) == (["10.5.0.9/24"], "")
    up(leasing(file, [], CLIENT, **same))  # now it has written down that the address is the lease's
    assert addresses(B) == ["10.5.0.9/24"]
    ip("netns", "del", B)
    for client in (CLIENT, {}):
        up(leasing(file, ["10.5.0.9/24"], client, **same))
        assert addresses(B) == ["10.5.0.9/24"]


@pytest.mark.parametrize("given", [[], ["1.1.1.1", "9.9.9.9"]])
def test_name_servers_go_with_the_client_that_got_them(file: Path, given: list[str]) -> None:
    def kept() -> str:
        return sniffkit("lab", "exec", A, "sh", "-c", f"cd $LAB; cat {B}.resolv.conf; ls {B}.eth0.*").stdout

    own = {"nameserver": given} if given else {}
    up(leasing(file, [], CLIENT | own))
    assert kept().startswith("nameserver 10.5.0.1\n")
    assert f"{B}.eth0.lease" in kept()
    up(leasing(file, [], own))
    assert kept() == "".join(f"nameserver {one}\n" for one in given) + f"{B}.eth0.udhcpc\n"


def test_two_clients_of_a_node(file: Path) -> None:
    nets = {f"e{number}": f"10.{number}.0" for number in (1, 2)}
    nodes = {A: {"services": [server(name, net) for name, net in nets.items()]}}
    links = [{f"{A}/{name}": f"{net}.1/24", f"{B}/{name}": None} for name, net in nets.items()]
    for clients in (["e1", "e2"], ["e1"], ["e2", "e1"], ["e1"]):
        node = {"services": [{"dhcp_client": name} for name in clients]}
        up(write(file, nodes=nodes | {B: node}, links=links))
        routes = [line.split()[2] for line in default_route().splitlines()]
        asked = sniffkit("lab", "exec", B, "cat", "/etc/resolv.conf").stdout.split()[1::2]
        assert routes == asked == [f"{nets[name]}.1" for name in clients]


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
