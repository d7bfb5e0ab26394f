"""Lab files: what is accepted, and the one line that says what is wrong with the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from labfile import refused

from sniffkit.errors import LabError
from sniffkit.lab import lab, parse
from sniffkit.lab.describe import to_yaml
from sniffkit.lab.expectations import address_of
from sniffkit.lab.filekeys import json_schema
from sniffkit.lab.kernel import missing_tools
from sniffkit.lab.links import KINDS, kind
from sniffkit.lab.plan import plan
from sniffkit.lab.spec import build
from sniffkit.lab.yamlfile import Source
from sniffkit.lab.yamlfile import parse as parse_yaml

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "docs" / "labs").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())
PAIR = "links:\n  - {a/eth0: 10.0.0.1/24, b/eth0: 10.0.0.2/24}\n"

# what is wrong → (the file, the line it is on, what the message must say)
WRONG: dict[str, tuple[str, int, str]] = {
    "unknown kind": ("links:\n  - a/x: {kind: vxlam, id: 1}\n", 2, "unknown kind 'vxlam'; did you mean 'vxlan'?"),
    "unknown key": (
        "links:\n  - a/x:\n      kind: dummy\n      adress: 1\n",
        4,
        "unknown key 'adress'; did you mean 'address'?",
    ),
    "unknown top key": ("nodse: [a]\n", 1, "unknown key 'nodse'; did you mean 'nodes'?"),
    "unknown node key": ("nodes:\n  a:\n    forwad: true\n", 3, "did you mean 'forward'?"),
    "unknown service": ("nodes:\n  a:\n    services: {htpp: 80}\n", 3, "unknown service 'htpp'; did you mean 'http'?"),
    "unknown route word": (
        "nodes:\n  a:\n    routes: [default vai 10.0.0.1]\n",
        3,
        "no word 'vai'; did you mean 'via'?",
    ),
    "unknown qdisc": ("links:\n  - a/x: {kind: dummy, qdisc: {htbb: {rate: 1mbit}}}\n", 2, "did you mean 'htb'?"),
    "address twice": ("links:\n  - {a/e: 10.0.0.1/24, b/e: 10.0.0.1/24}\n", 2, "address 10.0.0.1 is a/e's already"),
    "overlap on a cable": (
        "links:\n  - {a/e: 10.0.0.1/24, b/e: 10.0.0.2/16}\n",
        2,
        "10.0.0.0/16 overlaps 10.0.0.0/24 of a/e",
    ),
    "overlap over a bridge": (
        "links:\n  - {a/e: 10.0.0.1/24, s/p}\n  - {b/e: 10.0.0.200/25, s/q}\n  - s/br: {kind: bridge, ports: [p, q]}\n",
        3,
        "10.0.0.128/25 overlaps 10.0.0.0/24 of a/e",
    ),
    "a group's MAC address": (
        "links:\n  - {a/e: {mac: '01:00:5e:00:00:01'}, b/e}\n",
        2,
        "is not a MAC address that an",
    ),
    "VLAN id 4095": (
        "links:\n  - {a/e, b/e}\n  - a/v: {kind: vlan, link: e, id: 4095}\n",
        3,
        "4095 is not a number from 0 to 4094",
    ),
    "VNI of 25 bits": (
        "links:\n  - a/x: {kind: vxlan, id: 16777216}\n",
        2,
        "16777216 is not a number from 0 to 16777215",
    ),
    "node twice": ("nodes: [a, b, a]\n", 1, "node 'a' is there twice"),
    "interface twice": ("links:\n  - {a/e, b/e}\n  - {a/e, c/e}\n", 3, "interface a/e is there twice"),
    "key twice": ("nodes:\n  a:\n  a:\n", 3, "'a' is there twice"),
    "name of 16 characters": ("links:\n  - {a/abcdefghijklmnop, b/e}\n", 2, "'abcdefghijklmnop' is over 15 characters"),
    "a bad name": ("links:\n  - {'a/x y': , b/e}\n", 2, "is not an interface's name"),
    "host as a node": ("nodes: [host]\n", 1, "this machine's own namespace"),
    "no such port": (
        "links:\n  - {a/e, s/p1}\n  - s/br: {kind: bridge, ports: [p2]}\n",
        3,
        "no interface s/p2; there are: p1",
    ),
    "no such parent": (
        "links:\n  - {a/eth0, b/e}\n  - a/v: {kind: vlan, link: eth1, id: 1}\n",
        3,
        "did you mean 'a/eth0'?",
    ),
    "its own parent": ("links:\n  - a/v: {kind: vlan, link: v, id: 1}\n", 2, "a/v stands on itself"),
    "no parent": (
        "links:\n  - a/v: {kind: vlan, id: 1}\n",
        2,
        "link is missing (the interface it stands on, IF or NODE/IF)",
    ),
    "no id": ("links:\n  - a/v: {kind: vxlan}\n", 2, "id is missing"),
    "one end of a veth": ("links:\n  - a/v: 10.0.0.1/24\n", 2, "veth has two ends, this has 1"),
    "VLANs without filtering": (
        "links:\n  - {a/e, s/p}\n  - s/b: {kind: bridge, ports: {p: {pvid: 1}}}\n",
        3,
        "need vlan_filtering: true",
    ),
    "bridges as a list": ("bridges: [a/br0]\n", 1, "a mapping from NODE/IF to ports, or to the settings of a bridge"),
    "a bridge without a node": ("bridges:\n  br0: []\n", 2, "an end is NODE/INTERFACE, not 'br0'"),
    "unknown key of a bridge": ("bridges:\n  s/b:\n    prots: [p]\n", 3, "unknown key 'prots'; did you mean 'ports'?"),
    "another kind among bridges": ("bridges:\n  s/b: {kind: vlan}\n", 2, "a vlan is an item of links, no bridge"),
    "a bridge's port twice": ("links: [{a/e, s/p}]\nbridges:\n  s/b:\n    - p\n    - p\n", 5, "port p is there twice"),
    "a port of two bridges": (
        "links: [{a/e, s/p}]\nbridges:\n  s/b: [p]\n  s/c: [p]\n",
        4,
        "s/p is a port of b already",
    ),
    "a bridge twice": ("links: [s/b: {kind: bridge}]\nbridges: {s/b: []}\n", 2, "interface s/b is there twice"),
    "a bridge without such a port": ("bridges: {s/b: [p]}\n", 1, "no interface s/p; there is none"),
    "group and remote": (
        "links:\n  - a/x: {kind: vxlan, id: 1, group: 239.1.1.1, remote: 10.0.0.1}\n",
        2,
        "contradict each other",
    ),
    "passthru beside another": (
        "links:\n  - {a/e, b/e}\n  - a/m: {kind: macvlan, link: e, mode: passthru}\n"
        "  - a/n: {kind: macvlan, link: e}\n",
        3,
        "passthru takes its parent alone, but a/n is on it too",
    ),
    "no address": ("links:\n  - {a/e: 10.0.0.300/24, b/e}\n", 2, "'10.0.0.300/24' is not an address with its prefix"),
    "an address of no host": (
        "links:\n  - {a/e: 0.0.0.0/0, b/e}\n",
        2,
        "a/e: '0.0.0.0/0': no interface has the unspecified address",
    ),
    "a zone": ("links:\n  - {a/e: 'fe80::1%e/64', b/e}\n", 2, "'fe80::1%e/64': it stands here without %INTERFACE"),
    "a subnet's zone": (
        "nodes:\n  a:\n    routes: ['fe80::%e/64 dev e']\n",
        3,
        "'fe80::%e/64': it stands here without %INTERFACE",
    ),
    "a next hop's zone": (
        "nodes:\n  a:\n    routes: ['2001:db8::/32 via fe80::2%e']\n",
        3,
        "via: 'fe80::2%e': it stands here without %INTERFACE",
    ),
    "a name of sysctls": (PAIR + "  - {a/all: 10.1.0.1/24, b/e1}\n", 3, "a/all: no interface can be called 'all'"),
    "two remotes of a host": (
        PAIR + "  - a/v:\n      kind: vxlan\n      id: 1\n      fdb: ["
        "{dst: 10.0.0.2, mac: '02:00:00:00:00:01'}, {dst: 10.0.0.3, mac: '02:00:00:00:00:01'}]\n",
        6,
        "a/v: fdb: 02:00:00:00:00:01 is behind 10.0.0.2 already",
    ),
    "a route without a way": ("nodes:\n  a: {routes: [10.0.0.0/8]}\n", 2, "a route needs via, dev or nexthops"),
    "two things at once": (PAIR + "expect:\n  - {from: a, ping: b, tcp: 'b:80'}\n", 4, "one of ping"),
    "a node that is not there": (PAIR + "expect:\n  - a -> 10.0.0.2\n  - c -> b\n", 5, "no node 'c'; there are: a b"),
    "a ping of no one": (
        PAIR + "expect:\n  - a !> bb\n",
        4,
        "'bb' is neither an address nor a node; did you mean 'b'?",
    ),
    "a way to no one": (PAIR + "traffic:\n  - {from: a, path: www}\n", 4, "'www' is neither an address nor a node"),
    "a ping of a node without address": ("links: [{a/e: 10.0.0.1/24, b/e}]\nexpect: [a -> b]\n", 2, "b has no address"),
    "a point that is not there": (
        PAIR + "expect:\n  - {from: a, ping: b, sees: {b/f: icmp}}\n",
        4,
        "no interface b/f; there are: a/eth0 b/eth0",
    ),
    "a flush below nat": (
        "nodes:\n  a:\n    nat: [{snat: fd00::/64, out: e, to: 'fd00::1'}]\n    nft: |\n      flush ruleset ip6\n"
        "links: [{a/e, b/e}]\n",
        4,
        "a: nft: flush ruleset takes away what nat and firewall made: ip6 lab_nat",
    ),
    "a flush of all below a firewall": (
        "nodes:\n  a: {firewall: {input: []}, nft: 'table ip t { }; flush ruleset'}\n",
        2,
        "a: nft: flush ruleset takes away what nat and firewall made: inet lab_filter",
    ),
    "a lease of no interface": (PAIR + "expect: [{from: a, lease: f}]\n", 3, "no interface a/f"),
    "a lease in no network": (PAIR + "expect: [{from: a, lease: e, in: 10.0.0.1/24}]\n", 3, "is not a network"),
    "a port over 65535": (PAIR + "expect: [{from: a, tcp: 'b:65616'}]\n", 3, "with a port from 1 to 65535"),
    "no regular expression": (
        PAIR + "expect: [{from: a, run: 'true', output: '('}]\n",
        3,
        "'(' is not a regular expression: missing ), unterminated subpattern",
    ),
    "a MAC address of a tun": (
        "links:\n  - a/t: {kind: tun, mac: '02:00:00:00:00:01'}\n",
        2,
        "a tun has no MAC address",
    ),
    "a sysctl that is not ASCII": (
        "nodes: {a: {sysctls: {net.core.somaxconn: é}}}\n",
        1,
        "'é' is not a value, in ASCII",
    ),
    "stp without delay": ("bridges:\n  s/b:\n    stp: true\n    forward_delay: 1\n", 4, "is 2 or more"),
    "jitter without delay": (
        "links:\n  - a/x: {kind: dummy, qdisc: {netem: {jitter: 1ms}}}\n",
        2,
        "netem: jitter needs delay",
    ),
    "nat by no interface": ("nodes: {a: {nat: [{masquerade: wan}]}}\n", 1, "nat: no interface a/wan"),
    "a rule for no interface": ("nodes: {a: {rules: [iif e table 9 priority 1]}}\n", 1, "no interface a/e"),
    "a range of both versions": (
        "nodes: {a: {services: {dnsmasq: {interfaces: [], dhcp: {from: 10.0.0.1, to: 'fd00::2'}}}}}\n",
        1,
        "dhcp from 10.0.0.1 to fd00::2: IPv4 and IPv6",
    ),
    "no YAML": ("links: [\n", 2, "did not find expected node content"),
    "not a mapping": ("- a\n", 1, "a lab is a mapping with nodes and links"),
    "a macsec sender without mac": (
        "links:\n  - {a/e, b/e}\n  - a/m:\n      kind: macsec\n      link: e\n"
        "      receive: {from: b/e, key: '00000000000000000000000000000000'}\n",
        6,
        "b/e needs a mac",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_file_and_line(name: str, tmp_path: Path) -> None:
    refused(tmp_path / "lab.yaml", *WRONG[name])


@pytest.mark.parametrize("via", ["10.0.0.300", "10.0.0.3%e", "x%e"])
def test_a_zone_is_blamed_only_where_it_is_all_that_is_wrong(via: str) -> None:
    with pytest.raises(LabError, match=f"via: '{via}' is not an IP address$"):
        parse({"nodes": {"a": {"routes": [f"default via {via}"]}}})


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(LabError, match=r"nosuch\.yaml: No such file"):
        parse("nosuch.yaml")


def test_aliases_cannot_multiply_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(LabError, match="too many"):
        parse_yaml("\n".join(lines), "bomb.yaml")
    with pytest.raises(LabError, match="nested"):
        parse_yaml("a: &a [*a]", "loop.yaml")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_without_end_is_refused_before_it_is_built(opening: str) -> None:
    with pytest.raises(LabError, match=r"lab\.yaml:1: too many or too deeply nested values"):
        parse_yaml(opening * 200_000, "lab.yaml")


def test_a_ping_may_name_an_interface() -> None:
    spec = lab(
        {"links": [{"a/e": "10.0.0.1/24", "host/v": "10.0.0.2/24"}], "expect": ["a -> host/v", "a -> ::1%e"]}
    ).spec
    assert [address_of(spec, one["ping"]) for one in spec.expect] == ["10.0.0.2", "::1%e"]


def test_a_directory_to_serve_is_found_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("nodes: {a: {services: {http: {directory: www}}}}\n")
    spec = parse(path)
    assert str(tmp_path / "www") in plan(spec)[-1].args["argv"]
    with pytest.raises(LabError, match=f"a: http: {tmp_path}/www: no such directory"):
        missing_tools(spec)
    (tmp_path / "www").mkdir()
    missing_tools(spec)


def test_scalars_keep_what_they_mean() -> None:
    data, _ = parse_yaml("[10:20:30:40:50:01, 0123, 12, 0x10, yes, '1', 1.5, ~, 81818181818181818181818181818181]", "x")
    assert data == ["10:20:30:40:50:01", "0123", 12, 16, True, "1", 1.5, None, "81818181818181818181818181818181"]


def test_a_veth_pair_takes_less_than_ten_lines() -> None:
    assert len((ROOT / "docs" / "labs" / "veth.yaml").read_text().splitlines()) < 10


def test_routes_and_rules_are_as_the_kernel_has_them() -> None:
    routes = ["10.1.0.0/16 via 10.0.0.2 metric 0", {"to": "10.2.0.0/16", "nexthops": ["10.0.0.2"]}]
    routes += [{"to": "10.3.0.0/16", "nexthops": [{"via": "10.0.0.2", "dev": "e", "weight": 3}]}]
    routes += [{"to": "10.4.0.0/16", "nexthops": ["10.0.0.2", "10.0.0.3"]}]
    rules = ["fwmark 0 table 100 priority 5", "from ::/0 ipproto ipv6-icmp fwmark 1 table 100 priority 6"]
    found = parse({"nodes": {"a": {"routes": routes, "rules": rules}}, "links": [{"a/e": None, "b/e": None}]})
    assert found.nodes["a"].settings == {
        "routes": [
            {"to": "10.1.0.0/16", "via": "10.0.0.2"},
            {"to": "10.2.0.0/16", "via": "10.0.0.2"},
            {"to": "10.3.0.0/16", "via": "10.0.0.2", "dev": "e"},
            {"to": "10.4.0.0/16", "nexthops": [{"via": "10.0.0.2"}, {"via": "10.0.0.3"}]},
        ],
        "rules": [
            {"table": 100, "priority": 5},
            {"from": "::/0", "ipproto": "icmpv6", "fwmark": 1, "table": 100, "priority": 6},
        ],
    }
    lines = [op.line for op in plan(found) if op.do == "rule"]
    assert lines[1] == "ip -6 -n a rule add from ::/0 fwmark 1 ipproto ipv6-icmp table 100 priority 6"


def test_a_group_s_address_has_several_remotes() -> None:
    macs = ("01:00:5e:00:00:01", "00:00:00:00:00:00", "02:00:00:00:00:01")
    fdb = [{"mac": mac, "dst": far} for mac in macs[:2] for far in ("10.0.0.2", "10.0.0.3")]
    fdb += [{"mac": macs[2], "dst": "10.0.0.2"}] * 2
    links = [{"a/e": None, "b/e": None}, {"a/v": {"kind": "vxlan", "id": 1, "fdb": fdb}}]
    assert parse({"links": links}).interfaces["a", "v"].data["fdb"] == fdb


def test_the_same_lab_from_a_mapping() -> None:
    made = lab({"nodes": ["ns1", "ns2"], "links": [{"ns1/veth1": "10.0.0.1/24", "ns2/veth2": ["10.0.0.2/24"]}]})
    assert list(made.spec.nodes) == ["ns1", "ns2"]
    assert made.spec.interfaces["ns2", "veth2"].addresses == ["10.0.0.2/24"]
    with pytest.raises(LabError, match=r"links\[0\]\.ns1/veth1: .* is not an address"):
        lab({"links": [{"ns1/veth1": "x", "ns2/veth2": None}]})


def test_bridges_are_links_of_kind_bridge() -> None:
    cables = "links:\n  - {a/e: 10.0.0.1/24, s/p}\n  - {b/e: 10.0.0.2/24, s/q}\n"
    long = "  - s/b: {kind: bridge, ports: [p, q]}\n  - s/c: {kind: bridge, stp: true, address: 10.1.0.1/24}\n"
    short = "bridges:\n  s/b: [p, q]\n  s/c: {stp: true, address: 10.1.0.1/24}\n"
    one, two = (build(*parse_yaml(cables + more, "x"), None) for more in (long, short))
    assert plan(one) == plan(two)
    assert to_yaml(one) == to_yaml(two)
    assert 's/b: ["p", "q"]' in to_yaml(one)
    assert VALIDATOR.is_valid(parse_yaml(cables + short, "x")[0])
    assert not VALIDATOR.is_valid({"bridges": {"s/b": {"prots": []}}})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_as_the_schema_says_and_survives_being_written(path: Path) -> None:
    data, _ = parse_yaml(path.read_bytes(), str(path))
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []
    spec = parse(path)
    again = build(*parse_yaml(to_yaml(spec), "again"), None)
    assert to_yaml(again) == to_yaml(spec)
    assert spec.description or len(path.read_text()) < 400, "an example says what it shows"
    assert spec.expect


def test_the_schema_refuses_what_the_parser_refuses() -> None:
    for bad in (
        {"nodse": []},
        {"links": [{"a/x": {"kind": "vlan", "link": "e", "id": 4095}}]},
        {"links": [{"a": None}]},
        {"expect": [{"from": "a", "ping": "b", "output": "x"}]},
        {"traffic": [{"from": "a", "http": "http://b/", "count": 3}]},
    ):
        assert not VALIDATOR.is_valid(bad)


@pytest.mark.parametrize(
    "taken",
    [
        {"nodes": None},
        {"nodes": [1, 2]},
        {"nodes": {"a": {"routes": [{"to": "default", "via": "10.0.0.1", "table": "7", "metric": "0x10"}]}}},
        {"nodes": {"a": {"rules": [{"fwmark": "0x1", "table": "12", "priority": "5"}]}}},
    ],
)
def test_the_schema_takes_what_the_parser_takes(taken: dict[str, Any]) -> None:
    build(taken, Source(), None)
    assert [error.message for error in VALIDATOR.iter_errors(taken)] == []


def test_the_published_schema_is_this_one() -> None:
    path = ROOT / "docs" / "labs" / "lab.schema.json"
    assert json.loads(path.read_text()) == json_schema(), "sniffkit lab schema > docs/labs/lab.schema.json"


def test_each_kind_says_what_the_kernel_needs_and_is_in_an_example() -> None:
    used = {one.kind for path in EXAMPLES for one in parse(path).interfaces.values()}
    for name in KINDS:
        found = kind(name)
        assert found.name == name
        assert found.doc
        if found.how != "physical":
            assert found.option.startswith("CONFIG_")
            assert found.module
            assert name in used, f"no example has a {name}"


def test_an_error_without_a_place_names_the_file() -> None:
    assert str(Source("x.yaml").error((), "no")) == "x.yaml: no"


def test_the_file_in_the_readme_is_a_lab() -> None:
    text = (ROOT / "docs" / "labs" / "README.md").read_text()
    block = text.split("```yaml\n")[1].split("```")[0]
    spec = build(*parse_yaml(block, "README.md"), None)
    assert VALIDATOR.is_valid(parse_yaml(block, "README.md")[0])
    assert spec.interfaces["h2", "mv0"].parent == ("r1", "lan")
    for path in EXAMPLES:
        assert f"({path.name})" in text, f"docs/labs/README.md does not name {path.name}"
