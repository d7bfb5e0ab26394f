"""What somebody changed in a lab that is up is seen, and `lab up` puts it right, it alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import P, ip, netns, sniffkit

from sniffkit.lab.running import Lab
from sniffkit.lab.spec import parse

A, B = f"{P}a", f"{P}b"
LAB = {
    "name": f"{P}lab",
    "nodes": {
        A: {
            "forward": True,
            "sysctls": {"net.ipv4.conf.eth0.rp_filter": 2, "net.ipv4.tcp_rmem": "4096 100000 200000"},
            "routes": [
                "default via 10.0.0.2",
                "10.9.0.0/16 via 10.0.0.2 table 100 metric 5",
                "blackhole 10.66.0.0/16",
                "2001:db8:9::/48 via 2001:db8::2",
                {"to": "10.2.0.0/16", "nexthops": [{"via": "10.0.0.2", "weight": 3}, "10.0.0.3"]},
                {"to": "10.3.0.0/16", "nexthops": ["10.0.0.2"]},
                {"to": "2001:db8:3::/48", "nexthops": [{"via": "2001:db8::2", "dev": "eth0"}], "metric": 0},
                "blackhole ::/0 table 100",
            ],
            "rules": [
                "from 10.9.0.0/16 table 100 priority 1000",
                "fwmark 2 table 100 priority 1001",
                "fwmark 0 table 100 priority 1002",
            ],
            "nat": [{"masquerade": "eth0"}],
            "firewall": {"forward": {"policy": "drop", "rules": ["ct state established accept"]}},
            "nft": "table inet mine {\n  chain c {\n    tcp dport 80 counter accept\n  }\n}\n",
            "nameserver": "10.0.0.2",
        },
        B: None,
    },
    "links": [
        {
            f"{A}/eth0": {
                "address": ["10.0.0.1/24", "2001:db8::1/64"],
                "mac": "02:00:00:00:00:01",
                "qdisc": {"htb": {"rate": "8mbit"}},
                "ingress": {"redirect": "ifb0"},
            },
            f"{B}/eth0": {"address": ["10.0.0.2/24", "2001:db8::2/64"], "mtu": 1400},
        },
        {f"{A}/ifb0": {"kind": "ifb", "qdisc": {"tbf": {"rate": "9mbit"}}}},
        {f"{B}/p1": None, f"{A}/p1": ["0.1.2.3/24", "239.1.2.3/24"]},
        {f"{A}/so0": {"kind": "macvlan", "link": "p1", "mode": "source", "sources": ["02:00:00:00:00:05"] * 2}},
        {f"{B}/vx0": {"kind": "vxlan", "id": 42, "fdb": ["10.0.0.1"], "address": "10.5.0.1/24"}},
        {f"{B}/mv0": {"kind": "macvlan", "link": "eth0", "mode": "vepa"}},
    ],
    "bridges": {f"{B}/br0": {"stp": True, "forward_delay": 4, "ports": {"p1": {"hairpin": True}}}},
}

# what is changed → (namespace, command, what `drift` must name)
CHANGES = {
    "address": (B, "ip address del 10.0.0.2/24 dev eth0", "address add 10.0.0.2/24"),
    "main table flushed": (A, "ip route flush table main", "address add 10.0.0.1/24"),
    "main table of IPv6 flushed": (A, "ip -6 route flush table main", "address add 2001:db8::1/64"),
    "route deleted": (A, "ip route del 10.9.0.0/16 table 100", "route add 10.9.0.0/16"),
    "route replaced": (A, "ip route replace default via 10.0.0.77", "route add default via 10.0.0.2"),
    "IPv6 route": (A, "ip -6 route del 2001:db8:9::/48", "route add 2001:db8:9::/48"),
    "route of a type": (A, "ip route del blackhole 10.66.0.0/16", "route add blackhole 10.66.0.0/16"),
    "a default route of IPv6": (A, "ip -6 route del blackhole default table 100", "route add blackhole ::/0"),
    "a single next hop": (A, "ip route del 10.3.0.0/16", "route add 10.3.0.0/16 via 10.0.0.2"),
    "next hops": (A, "ip route replace 10.2.0.0/16 via 10.0.0.2", "nexthop via 10.0.0.3"),
    "rule": (A, "ip rule del priority 1000", "rule add from 10.9.0.0/16"),
    "rule of a mark": (A, "ip rule del priority 1001", "rule add fwmark 2"),
    "sysctl": (A, "echo 0 > /proc/sys/net/ipv4/ip_forward", "sysctl -w net.ipv4.ip_forward=1"),
    "sysctl of an interface": (A, "echo 0 > /proc/sys/net/ipv4/conf/eth0/rp_filter", "eth0.rp_filter=2"),
    "nft flushed": (A, "nft flush ruleset", "nft -f -"),
    "nft rule": (A, "nft add rule ip lab_nat postrouting counter", "nft -f -"),
    "nft policy": (A, "nft 'add chain inet lab_filter forward { policy accept; }'", "nft -f -"),
    "own nft": (A, "nft delete table inet mine", "nft -f -"),
    "qdisc": (A, "tc qdisc replace dev ifb0 root handle 1: tbf rate 1mbit burst 32kb latency 50ms", "tc qdisc"),
    "another qdisc": (A, "tc qdisc del dev ifb0 root; tc qdisc add dev ifb0 root handle 1: htb", "tc qdisc"),
    "class": (A, "tc class change dev eth0 parent 1: classid 1:1 htb rate 1mbit", "tc class replace"),
    "ingress": (A, "tc qdisc del dev eth0 ingress", "qdisc replace dev eth0 handle ffff: ingress"),
    "filter": (A, "tc filter del dev eth0 ingress", "filter add dev eth0"),
    "set down": (B, "ip link set eth0 down", "link set dev eth0 up"),
    "mtu": (B, "ip link set eth0 mtu 1300", "link add name eth0"),
    "mtu that the file has not": (A, "ip link set eth0 mtu 1400", "link add name eth0"),
    "mtu too small for IPv6": (A, "ip link set eth0 mtu 1200", "link add name eth0"),
    "renamed": (A, "ip link set eth0 down; ip link set eth0 name x0", "link add name eth0"),
    "one end moved away": (A, f"ip link set p1 netns {B} name x0", "link add name p1"),
    "renamed, without another end": (A, "ip link set ifb0 down; ip link set ifb0 name x0", "link add name ifb0"),
    "mac": (A, "ip link set eth0 address 02:00:00:00:00:99", "link add name eth0"),
    "port taken out": (B, "ip link set p1 nomaster", "link set dev p1 master br0"),
    "port setting": (B, "ip link set p1 type bridge_slave hairpin off", "type bridge_slave hairpin on"),
    "bridge setting": (B, "ip link set br0 type bridge stp_state 0", "link add name br0"),
    "bridge time": (B, "ip link set br0 type bridge forward_delay 900", "link add name br0"),
    "forwarding entry": (B, "bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.0.0.1", "fdb append"),
    "macvlan mode": (B, "ip link set mv0 type macvlan mode private", "link add link eth0 name mv0"),
    "link deleted": (A, "ip link del ifb0", "link add name ifb0"),
    "link of another kind": (A, "ip link del ifb0; ip link add ifb0 type bridge", "link add name ifb0"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of a lab that is up for all tests."""
    found = tmp_path_factory.mktemp("drift") / f"{P}lab.yaml"
    found.write_text(json.dumps(LAB))
    done = sniffkit("lab", "up", str(found))
    assert done.returncode == 0, done.stderr
    yield found
    sniffkit("lab", "down", str(found))
    assert netns() == []


def state() -> list[str]:
    """What ip, tc, nft, bridge and sysctl show of it, without what the kernel chooses and counts by itself."""
    out = []
    for node in (A, B):
        inside = ("netns", "exec", node)
        for one in json.loads(ip("-j", "-d", "-n", node, "link")):
            info = one.get("linkinfo", {})
            data, slave = info.get("info_data", {}), info.get("info_slave_data", {})
            kept = [one["mtu"], "UP" in one["flags"], one.get("master"), info.get("info_kind")]
            kept += [data.get(key) for key in ("stp_state", "forward_delay", "mode", "id", "port")] + [
                slave.get("hairpin")
            ]
            mac = one["address"] if one["address"].startswith("02:00:00:00:00") else ""
            out.append(f"{node} {one['ifname']} {mac} {kept}")
        for words in (
            "ip -br address",
            "ip route show table all proto static",
            "ip -6 route show proto static",
            "ip rule",
            "nft -s list ruleset",
            "tc qdisc",
            "tc class show dev eth0",
            "tc filter show dev eth0 ingress",
            "bridge fdb show",
            "sysctl net.ipv4.ip_forward net.ipv4.conf.eth0.rp_filter net.ipv4.tcp_rmem",
        ):
            for line in ip(*inside, *words.split()).splitlines():
                if not words.startswith("bridge") or " dst " in line:
                    line = re.sub(
                        r"fe80::\S+|(?:refcnt|direct_\w+_stat|index) \d+|@if\d+|\b(?:UP|UNKNOWN|(?:LOWERLAYER)?DOWN)\b",
                        "",
                        line,
                    )
                    out.append(f"{node} {words}: {' '.join(line.split())}")
    return sorted(out)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_put_right(name: str, path: Path) -> None:
    node, command, named = CHANGES[name]
    lab = Lab(parse(path))
    assert lab.drift() == []
    before, index = state(), indexes()
    ip("netns", "exec", node, "sh", "-ec", command)
    lost = lab.drift()
    assert any(named in op.line for op in lost), [op.line for op in lost]
    done = sniffkit("lab", "up", str(path))
    assert done.returncode == 0, done.stderr
    assert lab.drift() == []
    assert state() == before
    if not any(op.do == "link" for op in lost):
        assert indexes() == index, "no interface is made anew for it"


def indexes() -> dict[str, int]:
    return {
        f"{node}/{one['ifname']}": one["ifindex"] for node in (A, B) for one in json.loads(ip("-j", "-n", node, "link"))
    }


def test_what_was_added_stays(path: Path) -> None:
    ip("-n", A, "address", "add", "10.77.0.1/24", "dev", "eth0")
    ip("-n", A, "route", "add", "10.78.0.0/16", "via", "10.0.0.2")
    try:
        assert Lab(parse(path)).drift() == []
        assert sniffkit("lab", "up", str(path)).returncode == 0
        assert "10.78.0.0/16 via 10.0.0.2" in ip("-n", A, "route")
    finally:
        ip("-n", A, "route", "del", "10.78.0.0/16")
        ip("-n", A, "address", "del", "10.77.0.1/24", "dev", "eth0")


def test_a_port_of_somebody_else_s_leaves_the_bridge_as_it_is(path: Path) -> None:
    # A bridge without an MTU of its own takes the least of its ports.
    ip("-n", B, "link", "add", "user0", "mtu", "1300", "type", "veth", "peer", "name", "user1")
    try:
        ip("-n", B, "link", "set", "user0", "master", "br0")
        before = indexes()
        assert Lab(parse(path)).drift() == []
        assert sniffkit("lab", "up", str(path)).returncode == 0
        assert indexes() == before
        assert "master br0" in ip("-n", B, "link", "show", "user0")
    finally:
        ip("-n", B, "link", "del", "user0")
