"""`lab from-host` of namespaces that no lab made: what is written, what is named as left out, what builds again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import P, ip, sniffkit

from sniffkit.lab.spec import parse

A, B = f"{P}fa", f"{P}fb"
COMMANDS = """
ip link add v0 type veth peer name v1
ip link set v0 address 02:aa:00:00:00:01 up; ip link set v1 mtu 1400 up
ip address add 10.5.0.1/24 dev v0; ip address add fe80::77/64 dev v0; ip address add 10.77.0.1/32 dev lo
ip address add 2001:db8:5::1/64 dev v0 nodad; ip address add 2001:db8:5::3/64 dev v0 nodad
ip address add 2001:db8:5::2/64 dev v0 nodad
ip -6 route add unreachable default metric 9000; ip -6 rule add ipproto ipv6-icmp table 50 priority 51
ip address add 10.0.0.1 peer 10.0.0.2/32 dev v1; ip address add 10.9.0.1/24 dev v0 valid_lft 100 preferred_lft 50
ip route add 10.200.0.0/24 dev v0; ip route add default via 10.200.0.1
ip route add 10.88.0.0/16 via 10.99.0.1 dev v0 onlink; ip route add 10.89.0.0/16 via 10.5.0.2 mtu 1300
ip route add 10.90.0.0/16 nexthop via 10.5.0.3 weight 3 nexthop via 10.5.0.4
ip rule add not from 10.0.0.0/8 table 100; ip rule add oif v0 table 12 priority 77
ip link add link v1 name mv.1 type macvlan mode vepa; ip tuntap add dev tp0 mode tap
ip link add vx9 type vxlan id 9 dstport 8472 remote 10.5.0.9
echo 1 > /proc/sys/net/ipv4/ip_forward; echo '4096 5000 6000' > /proc/sys/net/ipv4/tcp_rmem
echo 2 > /proc/sys/net/ipv4/conf/mv.1/rp_filter
tc qdisc add dev v0 root tbf rate 3333kbit burst 5000 latency 77ms; tc qdisc add dev v1 root handle 5: pfifo
tc qdisc add dev v0 ingress
tc filter add dev v0 parent ffff: protocol ip u32 match ip src 1.2.3.4 action mirred egress mirror dev v1
tc qdisc add dev vx9 root handle 8: htb default 20
tc class add dev vx9 parent 8: classid 8:20 htb rate 7mbit ceil 9mbit
tc qdisc add dev tp0 ingress
tc filter add dev tp0 parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev v1
nft 'add table ip x; add chain ip x c { type filter hook input priority 5; }'
nft 'add rule ip x c counter log prefix "a: b #" drop'
"""


def found(path: Path, *only: str) -> tuple[str, Any]:
    """The text and the lab of what from-host writes."""
    done = sniffkit("lab", "from-host", *(word for name in only for word in ("--netns", name)), "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path.read_text(), parse(path)


@pytest.fixture(name="foreign")
def foreign_namespaces() -> Iterator[None]:
    """Two namespaces that somebody made by hand; B has one end of a cable to A."""
    try:
        for name in (A, B):
            ip("netns", "add", name)
        ip("netns", "exec", A, "sh", "-ec", COMMANDS)
        ip("-n", A, "link", "add", "far", "type", "veth", "peer", "name", "eth0", "netns", B)
        ip("-n", B, "link", "add", "link", "eth0", "name", "mv", "netns", A, "type", "macvlan")
        yield
    finally:
        for name in (A, B):
            ip("netns", "del", name)


def test_what_somebody_made_by_hand(foreign: None, tmp_path: Path) -> None:
    text, spec = found(tmp_path / "x.yaml", A, B)
    one = spec.interfaces
    v0, v1 = one[A, "v0"], one[A, "v1"]
    assert v0.peer == (A, "v1")
    assert v0.addresses == ["10.5.0.1/24", *(f"2001:db8:5::{number}/64" for number in (1, 3, 2)), "fe80::77/64"]
    assert (v0.mac, v1.mac, v1.mtu) == ("02:aa:00:00:00:01", None, 1400)
    assert v0.qdisc == {"tbf": {"rate": "3333kbit", "burst": "5000b", "latency": "77ms"}}
    assert one[A, "vx9"].qdisc == {"htb": {"rate": "7mbit", "ceil": "9mbit"}}
    assert one[A, "vx9"].data == {"id": 9, "port": 8472, "remote": "10.5.0.9"}
    assert one[A, "tp0"].ingress == {"redirect": "v1"}
    assert one[A, "mv.1"].parent == (A, "v1")
    assert one[A, "far"].peer == (B, "eth0")
    assert one[A, "mv"].parent == (B, "eth0")
    node = spec.nodes[A].settings
    assert node["sysctls"] == {
        "net.ipv4.ip_forward": "1",
        "net.ipv4.tcp_rmem": "4096 5000 6000",
        "net/ipv4/conf/mv.1/rp_filter": "2",
    }
    assert [route["to"] for route in node["routes"]] == ["10.200.0.0/24", "::/0", "default", "10.90.0.0/16"]
    assert node["routes"][1] == {"to": "::/0", "type": "unreachable", "metric": 9000}
    assert node["routes"][3]["nexthops"][0] == {"via": "10.5.0.3", "dev": "v0", "weight": 3}
    assert node["rules"] == [
        {"oif": "v0", "table": 12, "priority": 77},
        {"from": "::/0", "ipproto": "icmpv6", "table": 50, "priority": 51},
    ]
    assert 'log prefix "a: b #" drop' in node["nft"]
    for said in (
        f"{A}/v0: 10.9.0.1/24, which it was given for a time",
        f"{A}/v0: ingress with such filters",
        f"{A}/v1: qdisc pfifo",
        f"{A}: v1: 10.0.0.1/32 with the peer 10.0.0.2",
        f"{A}/lo: 10.77.0.1/32",
        f"{A}: the route to 10.88.0.0/16",
        f"{A}: the route to 10.89.0.0/16",
        f"{A}: the rule of priority ",
    ):
        assert f"#   {said}" in text


UNSAID = """
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip link set v1 promisc on allmulticast on arp off txqueuelen 77 alias x group 5
ip link add sw type bridge group_fwd_mask 8 mcast_igmp_version 3
ip link set v0 master sw
ip link set v0 type bridge_slave bcast_flood off mcast_flood off neigh_suppress on proxy_arp on
ip link add vx type vxlan id 5 remote 10.0.0.1 dstport 4789 tos 8 noudpcsum df set gbp
ip link add vy type vxlan id 6 dstport 4799 dev v1 srcport 1000 2000 proxy l2miss ageing 77 maxaddress 5
ip link add mv link v1 type macvlan mode passthru nopromisc; ip link add mt link vx type macvtap bcqueuelen 50
ip neighbour add 10.0.0.5 lladdr 02:00:00:00:00:05 dev v1; ip neighbour add proxy 10.0.0.6 dev v1
ip neighbour add 10.0.0.7 lladdr 02:00:00:00:00:07 dev v0 nud noarp; ip tuntap add tn mode tun
ip link set dev tn up; ip neighbour add 10.0.0.8 lladdr 02:00:00:00:00:08 dev tn nud permanent
ip tuntap add tp mode tap multi_queue user 65534
ip link property add dev v1 altname w1
ip address add 10.0.1.1/24 dev v0 noprefixroute; ip address add 10.0.2.1/24 dev v0 scope link label v0:x metric 7
ip address add 10.0.3.1/24 dev v0; ip -6 route add fd69::/64 from fd02::/64 dev v0 table 7
ip route add 10.9.0.0/16 via 10.0.3.9 tos 0x10; ip route add 10.8.0.0/16 via 10.0.3.9 realms 5
ip rule add tos 0x10 table 100 priority 100; ip rule add fwmark 5/0xf table 100 priority 101
ip rule add fwmark 0/0xf table 100 priority 102; ip rule add fwmark 6 table 100 priority 103
ip rule add sport 7 table 100 priority 104; ip rule add dport 7-8 table 100 priority 105
bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.3 port 1234 vni 99
bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.4
"""
SAID = {
    "/v1: arp off, promisc on, allmulticast on, txqueuelen 77, alias x, altname w1",
    "/sw: group_fwd_mask 8, mcast_igmp_version 3",
    "/sw: its port v0: proxy_arp 1, mcast_flood 0, bcast_flood 0, neigh_suppress 1",
    "/vx: tos 8, udpcsum 0, gbp, df 1",
    "/vy: ageing 77, maxaddress 5, srcport 1000 2000, proxy 1, l2miss 1",
    "/mv: nopromisc 1 or nodst 2: 1",
    "/mt: bcqueuelen 50",
    "/tp: user 65534, multi_queue 1",
    ": v1: the neighbour 10.0.0.5 at 02:00:00:00:00:05",
    ": v1: the neighbour 10.0.0.6, for which it answers (proxy)",
    ": v0: the neighbour 10.0.0.7 at 02:00:00:00:00:07",
    ": tn: the neighbour 0.0.0.0",
    ": v0: 10.0.1.1/24 with noprefixroute",
    ": v0: 10.0.2.1/24 with scope link, label v0:x, metric 7",
    ": the route to fd69::/64, with from fd02::/64",
    ": the route to 10.9.0.0/16, with tos 0x10",
    ": the route to 10.8.0.0/16, with realms",
    *(f": the rule of priority {number}" for number in (100, 101, 102, 104, 105)),
    ": vx: the entry 00:00:00:00:00:00 dst 10.0.0.3, with a port, a VNI or a link of its own",
}


def test_what_no_key_stands_for_is_named(tmp_path: Path) -> None:
    ip("netns", "add", A)
    try:
        ip("netns", "exec", A, "sh", "-ec", UNSAID)
        text, spec = found(tmp_path / "x.yaml", A)
    finally:
        ip("netns", "del", A)
    assert spec.nodes[A].settings["rules"] == [{"fwmark": 6, "table": 100, "priority": 103}]
    left = text.partition("# Left out:\n")[2].splitlines()
    assert {line.removeprefix(f"#   {A}") for line in left} == SAID


MTUS = """
ip link add v0 mtu 9000 type veth peer name v1 mtu 9000; ip link add sw type bridge; ip link set v0 master sw
ip link add vx type vxlan id 5 dev sw remote 10.0.0.1 dstport 4789; ip link set vx mtu 8000
ip link add e0 mtu 9000 type veth peer name e1
ip link add vy type vxlan id 6 dev e0 remote 10.0.0.1 dstport 4789
ip link add link vy name mv mtu 8900 type macvlan
ip link set e0 mtu 2000
"""


def test_mtus_that_fit_are_written_and_others_named(tmp_path: Path) -> None:
    ip("netns", "add", A)
    try:
        ip("netns", "exec", A, "sh", "-ec", MTUS)
        text, spec = found(tmp_path / "x.yaml", A)
    finally:
        ip("netns", "del", A)
    mtus = {one.name: one.mtu for one in spec.interfaces.values() if one.mtu is not None}
    assert mtus == {"v0": 9000, "v1": 9000, "sw": 9000, "vx": 8000, "e0": 2000}
    assert f"#   {A}/vy: its mtu 8950, over the 1950 that what it stands on lets it have" in text
    assert f"#   {A}/mv: its mtu 8900, over the 1950 that what it stands on lets it have" in text


def test_it_builds_again_and_is_found_the_same(tmp_path: Path) -> None:
    lines = [line for line in COMMANDS.splitlines() if "onlink" not in line and "peer 1" not in line]
    path = tmp_path / f"{P}lab.yaml"
    ip("netns", "add", A)
    try:
        ip("netns", "exec", A, "sh", "-ec", "\n".join(lines))
        _, first = found(path, A)
    finally:
        ip("netns", "del", A)
    try:
        done = sniffkit("lab", "up", str(path))
        assert done.returncode == 0, done.stderr
        _, second = found(tmp_path / "again.yaml", A)
    finally:
        sniffkit("lab", "down", str(path))
    assert second.nodes[A].settings == first.nodes[A].settings
    one, other = (
        {
            str(one): (one.data, one.addresses, one.qdisc, one.ingress, one.mac, one.mtu)
            for one in spec.interfaces.values()
        }
        for spec in (first, second)
    )
    assert one == other


def test_what_is_not_asked_for_takes_with_it_what_leads_there(foreign: None, tmp_path: Path) -> None:
    text, spec = found(tmp_path / "x.yaml", A)
    assert (A, "far") not in spec.interfaces
    assert f"#   {A}/far: its other end {B}/eth0 is left out" in text
    assert f"#   {A}/mv: what it stands on, {B}/eth0, is left out: {{kind: macvlan" in text


def test_a_namespace_that_is_not_there() -> None:
    done = sniffkit("lab", "from-host", "--netns", f"{P}none")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"no network namespace '{P}none'" in done.stderr


def test_this_whole_machine(tmp_path: Path) -> None:
    """Whatever runs here makes a file that can be read."""
    text, _ = found(tmp_path / "all.yaml")
    assert "this machine's own routes, rules, nftables and sysctls" in text
