"""Lab files that say what is not done, or what the kernel, nft or a program would refuse: one line with the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from labfile import refused

from sniffkit.lab import parse
from sniffkit.lab.spec import build
from sniffkit.lab.yamlfile import parse as parse_yaml

PAIR = "links:\n  - {a/eth0: 10.0.0.1/24, b/eth0: 10.0.0.2/24}\n"
NAT = "nodes:\n  a:\n    nat:\n      - {%s}\nlinks: [{a/e, b/e}]\n"

# what is wrong → (the file, the line it is on, what the message must say)
WRONG: dict[str, tuple[str, int, str]] = {
    "hops of a ping": (
        PAIR + "expect:\n  - from: a\n    ping: b\n    hops: [9.9.9.9]\n",
        6,
        "hops says nothing of ping, only of path",
    ),
    "a status of a command": (PAIR + "expect: [{from: a, run: 'true', status: 404}]\n", 3, "only of http"),
    "output of a connection": (PAIR + "expect: [{from: a, tcp: 'b:80', output: x}]\n", 3, "only of run and http"),
    "a count of a fetch": (
        PAIR + "traffic: [{from: a, http: 'http://b/', count: 3}]\n",
        3,
        "count says nothing of http",
    ),
    "an end that is there": ("links:\n  - {a/e, b/e}\n  - {a/lo, b/f}\n", 3, "a/lo: lo is in every namespace"),
    "a tag of Python's": ("name: x\nnodes: !!python/object:os.system {}\n", 2, "unknown tag tag:yaml.org,2002:python/"),
    "a tag of one's own": ("nodes: [a]\nlinks:\n  - {a/e: !secret x, b/e}\n", 3, "unknown tag !secret"),
    "a tagged key": ("!!binary nodes: [a]\n", 1, "unknown tag tag:yaml.org,2002:binary"),
    "a responder of IPv6": (
        "links: [a/t: {kind: tun}]\nnodes:\n  a: {services: {responder: {interface: t, address: 'fd00::9'}}}\n",
        3,
        "'fd00::9' is not an IPv4 address",
    ),
    "nothing to run": ("nodes:\n  a: {services: {run: ' '}}\n", 2, "' ' is not a shell command"),
    "two versions of a vxlan": (
        "links:\n  - a/v:\n      kind: vxlan\n      id: 1\n      remote: 10.0.0.2\n      local: 'fd00::1'\n",
        6,
        "a/v: local fd00::1 and 10.0.0.2 are of two IP versions",
    ),
    "an fdb of IPv6": (
        "links:\n  - a/v: {kind: vxlan, id: 1, fdb: ['fd00::2']}\n",
        2,
        "fd00::2: this one is over IPv4",
    ),
    "an fdb of IPv4": (
        "links:\n  - a/v: {kind: vxlan, id: 1, remote: 'fd00::3', fdb: [10.0.0.2]}\n",
        2,
        "10.0.0.2: this one is over IPv6",
    ),
    "a bridge in a bridge": ("bridges:\n  a/b: []\n  a/c: [b]\n", 3, "a/b is a bridge, which is no port"),
    "a tun in a bridge": ("links: [a/t: {kind: tun}]\nbridges:\n  a/c: [t]\n", 3, "a/t is a tun, which is no port"),
    **{
        f"a route twice: {two}": (
            f"nodes:\n  a:\n    routes:\n      - {one}\n      - {two}\n",
            5,
            "of this table and metric is there already",
        )
        for one, two in (
            ("10.9.0.0/16 via 10.0.0.3", "10.9.0.0/16 via 10.0.0.4 metric 0"),
            ("default via 10.0.0.3 table main", "blackhole 0.0.0.0/0"),
            ("default via fd00::3", "'::/0 via fd00::4 metric 1024'"),
            ("fd09::/64 via fd00::3 table 7", "{to: 'fd09::/64', table: 7, nexthops: ['fd00::3', 'fd00::4']}"),
        )
    },
    "nat: snat of all": (NAT % "snat: default, out: e, to: 10.0.0.1", 4, "'default' is not a network"),
}
# what of nat is wrong → (the entry, what the message must say)
WRONG_NAT = {
    "a masquerade with a port": ("masquerade: e, port: 80", "port says nothing of masquerade"),
    "an snat with a port": ("snat: 10.0.0.0/24, out: e, to: 10.0.0.1, port: 80", "port says nothing of snat"),
    "a dnat by an interface": ("dnat: 10.0.0.1, to: 10.0.0.2, out: e", "out says nothing of dnat"),
    "a protocol of no port": ("dnat: 10.0.0.1, to: 10.0.0.2, protocol: udp", "protocol needs port"),
    "another version": ("dnat: 10.0.0.1, to: 'fd00::1'", "to: 'fd00::1' is no IPv4 address"),
    "another version back": ("snat: 'fd00::/64', out: e, to: 10.0.0.1", "to: '10.0.0.1' is no IPv6 address"),
    "no address": ("dnat: 'fd00::1', to: '::::'", "to: '::::' is no IPv6 address, nor one with its port"),
    "a name": ("dnat: 10.0.0.1, to: fe", "to: 'fe' is no IPv4 address"),
    "a port over 65535": ("dnat: 10.0.0.1, to: '10.0.0.2:65536', port: 80", "to: '10.0.0.2:65536' is no"),
    "a port for all": ("dnat: 10.0.0.1, to: '10.0.0.2:80'", "to: '10.0.0.2:80' needs port"),
    "a port of an snat": ("snat: 10.0.0.0/24, out: e, to: '10.0.0.2:80'", "to: '10.0.0.2:80' is of addresses"),
    "a hairpin of another version": ("dnat: 10.0.0.1, to: 10.0.0.2, hairpin: 'fd00::/64'", "hairpin: fd00::/64 is"),
}
WRONG |= {f"nat: {name}": (NAT % entry, 4, f"a: nat: {said}") for name, (entry, said) in WRONG_NAT.items()}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_file_and_line(name: str, tmp_path: Path) -> None:
    refused(tmp_path / "lab.yaml", *WRONG[name])


@pytest.mark.parametrize(
    "name", ["hops of a ping", "a count of a fetch", "nat: a protocol of no port", "an fdb of IPv6"]
)
def test_what_came_up_before_is_shown_all_the_same(name: str) -> None:
    build(*parse_yaml(WRONG[name][0], "lab.yaml", stored=True), None)


def test_routes_beside_each_other_are_taken() -> None:
    routes = [
        "default via 10.0.0.1",
        "default via fd00::1",
        "default via 10.0.0.1 metric 1",
        "default via 10.0.0.1 table 7",
    ]
    routes += ["local 10.0.0.0/8 dev lo", "blackhole 10.0.0.0/8", "blackhole fd00::/8", "blackhole fd00::/8 metric 5"]
    parse({"nodes": {"a": {"routes": routes}, "b": {"routes": routes}}})


def test_tags_of_yaml_itself_are_taken() -> None:
    assert parse_yaml("{a: !!map {!!str b: !!seq []}, c: ! d}", "x")[0] == {"a": {"b": []}, "c": "d"}


@pytest.mark.parametrize(
    "entry",
    [
        "dnat: 'fd00::1', to: '[fd00::2]'",
        "dnat: 'fd00::1', to: '[fd00::2]:80', port: 80, protocol: udp",
        "dnat: 10.0.0.1, to: 10.0.0.2, hairpin: 10.0.0.0/24",
        "snat: 0.0.0.0/0, out: e, to: 10.0.0.2",
        "snat: '::/0', out: e, to: '[fd00::2]'",
    ],
)
def test_what_nft_takes_is_taken(entry: str) -> None:
    build(*parse_yaml(NAT % entry, "lab.yaml"), None)
