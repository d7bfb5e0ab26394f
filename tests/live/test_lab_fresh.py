"""A lab that was edited is as one made afresh, and what is somebody's own stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from labs import P, ip, netns, pair, sniffkit, write

from sniffkit.lab.running import Lab
from sniffkit.lab.spec import parse

A, B = f"{P}a", f"{P}b"
ADDRESSES = ["10.0.0.1/24", "2001:db8::1/64"]
NET = "from 10.0.0.0/8"
PORT, ALL = "ipproto tcp dport 80 table 102 priority 6", "table 102 priority 6"
HOP, SIX = "via 2001:db8::2", "2001:db8:7::/48"
OWN = {f"net/ipv{version}/conf/eth0/forwarding": "0" for version in (4, 6)}
ON = dict.fromkeys(OWN, "1")
# what the file gives a node before and after
EDITED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the second of two rules": ({"rules": [PORT, ALL]}, {"rules": [PORT]}),
    "the first of two rules": ({"rules": [PORT, ALL]}, {"rules": [ALL]}),
    "a rule behind one of an interface": (
        {"rules": [f"{NET} iif lo table 100 priority 0", f"{NET} table 100 priority 0", "table 9 priority 0"]},
        {"rules": [f"{NET} iif lo table 100 priority 0", "table 9 priority 0"]},
    ),
    "a rule behind one of a mark, of IPv6": (
        {"rules": ["from ::/0 fwmark 7 prohibit priority 6", "from ::/0 prohibit priority 6", ALL]},
        {"rules": ["from ::/0 fwmark 7 prohibit priority 6", ALL]},
    ),
    "rules in another order": ({"rules": [PORT, ALL, NET + " " + ALL]}, {"rules": [ALL, PORT, NET + " " + ALL]}),
    "a rule more in front": ({"rules": [ALL]}, {"rules": [PORT, ALL]}),
    "a rule behind one that says more": ({"rules": [ALL]}, {"rules": [f"{NET} {ALL}", ALL]}),
    "a route of IPv6 beside one of a metric": (
        {"routes": [f"{SIX} {HOP} metric 5", f"{SIX} {HOP}"]},
        {"routes": [f"{SIX} {HOP} metric 5"]},
    ),
    "a type of route beside one of a metric": (
        {"routes": [f"blackhole {SIX}", f"unreachable {SIX} metric 5"]},
        {"routes": [f"unreachable {SIX} metric 5"]},
    ),
    "forwarding comes": ({"sysctls": OWN}, {"sysctls": OWN, "forward": True}),
    "forwarding goes": ({"sysctls": ON, "forward": True}, {"sysctls": ON}),
    "forwarding goes, then what an interface has": ({"sysctls": OWN, "forward": True}, {}),
    "forwarding goes, which a sysctl says too": (
        {"sysctls": {"net.ipv4.conf.all.forwarding": "1"}, "forward": True},
        {"sysctls": {"net.ipv4.conf.all.forwarding": "1"}},
    ),
    "a default comes": ({}, {"sysctls": {"net.ipv4.conf.default.arp_ignore": 2}}),
    "a default goes": ({"sysctls": {"net.ipv6.conf.default.hop_limit": 9}}, {}),
    "a default changes below an interface's own": (
        {"sysctls": {"net.ipv4.conf.default.arp_ignore": 1, "net.ipv4.conf.eth0.arp_ignore": 2}},
        {"sysctls": {"net.ipv4.conf.default.arp_ignore": 3, "net.ipv4.conf.eth0.arp_ignore": 2}},
    ),
}


def up(file: Path, node: dict[str, Any], addresses: list[str] = ADDRESSES) -> str:
    """Make it, or change it into this; what is wrong, if anything."""
    links = [{f"{A}/eth0": {"address": addresses}, f"{B}/eth0": ["10.0.0.2/24", "2001:db8::2/64"]}]
    path = write(file, nodes={A: node, B: None}, links=links)
    done = sniffkit("lab", "up", path)
    if done.returncode == 0:
        assert Lab(parse(path)).drift() == []
    return "" if done.returncode == 0 else done.stderr


def rules() -> list[str]:
    return [line.expandtabs() for line in (ip("-n", A, "rule") + ip("-6", "-n", A, "rule")).splitlines()]


def sysctl(name: str) -> str:
    return ip("netns", "exec", A, "cat", f"/proc/sys/net/{name}").strip()


def seen() -> list[str]:
    kept = ("ipv4/conf/eth0/arp_ignore", "ipv6/conf/eth0/hop_limit")
    forwarding = [f"ipv{version}/conf/{name}/forwarding" for version in (4, 6) for name in ("all", "default", "eth0")]
    routes = ip("-n", A, "route") + ip("-6", "-n", A, "route", "show", "proto", "static")
    return [*rules(), *routes.splitlines(), *(f"{name} {sysctl(name)}" for name in (*kept, *forwarding))]


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_lab_is_as_one_made_afresh(file: Path, name: str) -> None:
    before, after = EDITED[name]
    assert up(file, before) == ""
    assert up(file, after) == ""
    edited = seen()
    sniffkit("lab", "down", f"{P}lab")
    assert up(file, after) == ""
    assert seen() == edited


def test_a_change_in_two_steps_is_as_one_made_afresh(file: Path) -> None:
    for node in ({"sysctls": OWN, "forward": True}, {"sysctls": OWN}, {}):
        assert up(file, node) == ""
    assert sysctl("ipv4/conf/eth0/forwarding") == "0", "and not what it was while `forward` was there"


def test_a_sysctl_that_somebody_changed_is_set_again_with_what_it_changes(file: Path) -> None:
    """But no link is made anew for it."""
    node = {"forward": True, "sysctls": {**OWN, "net.ipv4.conf.default.arp_ignore": 2}}
    assert up(file, node) == ""
    before, index = seen(), ip("-n", A, "-br", "link", "show", "eth0")
    ip("netns", "exec", A, "sh", "-c", "cd /proc/sys/net/ipv4; echo 0 > ip_forward; echo 1 > conf/default/arp_ignore")
    assert up(file, node) == ""
    assert (seen(), ip("-n", A, "-br", "link", "show", "eth0")) == (before, index)


def test_rules_of_somebody_stay_in_their_places(file: Path) -> None:
    """Also one that is more than the lab's, which the kernel would take for it."""
    assert up(file, {"rules": [f"{NET} table 100 priority 5"]}) == ""
    ip("-n", A, "rule", "del", "priority", "5")
    ip("-n", A, "rule", "add", *f"{NET} fwmark 7 table 100 priority 5".split())
    ip("-n", A, "rule", "add", *f"not {NET} iif lo sport 9-11 lookup 100 suppress_prefixlength 0 priority 5".split())
    own = [line for line in rules() if line.startswith("5:")]
    assert up(file, {"rules": [f"{NET} table 100 priority 5"]}) == ""
    assert [line for line in rules() if line.startswith("5:")] == [*own, f"5:      {NET} lookup 100"]
    ip("-n", A, "rule", "add", "ipproto", "tcp", "table", "7", "priority", "5")
    own.append("5:      from all ipproto tcp lookup 7")
    assert up(file, {}) == ""
    assert [line for line in rules() if line.startswith("5:")] == own


def test_a_rule_of_somebody_that_says_more_is_not_taken_for_the_lab_s(file: Path) -> None:
    assert up(file, {"rules": [ALL]}) == ""
    ip("-n", A, "rule", "add", *f"{NET} {ALL}".split())
    ip("-n", A, "rule", "add", *f"fwmark 0/0xffffffff {ALL}".split())
    assert up(file, {"rules": [PORT, ALL]}) == ""
    shown = [line.partition(" ")[2].strip() for line in rules() if line.startswith("6:")]
    mine = ["from all ipproto tcp dport 80 lookup 102", "from all lookup 102"]
    assert shown == [f"{NET} lookup 102", "from all fwmark 0 lookup 102", *mine]
    assert up(file, {}) == ""
    assert [line.partition(" ")[2].strip() for line in rules() if line.startswith("6:")] == shown[:2]


def test_addresses_of_ipv6_change_places_below_a_route_from_one(file: Path) -> None:
    node = {"routes": [f"{SIX} {HOP} src 2001:db8::5"]}
    addresses = ["2001:db8::1/64", "2001:db8::5/64"]
    for given in (addresses, addresses[::-1]):
        assert up(file, node, given) == ""
        assert "src 2001:db8::5" in ip("-6", "-n", A, "route", "show", SIX)


def test_a_route_of_somebody_with_a_metric_stays(file: Path) -> None:
    assert up(file, {"routes": [f"{SIX} {HOP}"]}) == ""
    ip("-n", A, "-6", "route", "add", SIX, *HOP.split(), "metric", "5", "proto", "static")
    assert up(file, {}) == ""
    assert [line.split()[:7] for line in ip("-6", "-n", A, "route", "show", "proto", "static").splitlines()] == [
        [*f"{SIX} {HOP} dev eth0 metric 5".split()]
    ]


def test_an_update_that_fails_gives_back_the_sysctls_of_an_interface(file: Path) -> None:
    assert up(file, {"sysctls": ON}) == ""
    before = seen()
    assert "10.9.0.0/16" in up(file, {"sysctls": ON, "forward": True, "routes": ["10.9.0.0/16 via 10.99.0.1"]})
    assert seen() == before


def test_a_route_of_ipv6_goes_with_the_address_that_makes_it_possible(file: Path) -> None:
    """The kernel keeps such a route, and would not make it again."""
    node = {"routes": [f"{SIX} {HOP}", "2001:db8:8::/48 dev eth0"]}
    assert up(file, node) == ""
    before = seen()
    assert f"{SIX} {HOP} proto static: No route to host" in up(file, node, ADDRESSES[:1])
    assert seen() == before
    assert up(file, node, [*ADDRESSES[:1], "2001:db8::5/64"]) == ""


def test_an_interface_may_have_ipv6_where_others_have_not(file: Path) -> None:
    off = {"net.ipv6.conf.default.disable_ipv6": "1"}
    own = {"net.ipv6.conf.eth0.disable_ipv6": "0"}
    assert up(file, {"sysctls": off | own}) == ""
    assert ADDRESSES[1] in ip("-n", A, "address", "show", "eth0")
    for name in ("default", "all"):  # refused, as it is in a lab made afresh
        assert "IPv6 is disabled" in up(file, {"sysctls": {f"net.ipv6.conf.{name}.disable_ipv6": "1"}})
    assert ADDRESSES[1] in ip("-n", A, "address", "show", "eth0")


def test_an_interface_has_the_mtu_for_ipv6_that_it_was_given(file: Path) -> None:
    for mtu in ("1400", "1300"):
        assert up(file, {"sysctls": {"net.ipv6.conf.eth0.mtu": mtu}}) == ""
        assert sysctl("ipv6/conf/eth0/mtu") == mtu
    ip("-n", A, "link", "set", "eth0", "down")
    assert up(file, {"sysctls": {"net.ipv6.conf.eth0.mtu": "1300"}}) == ""
    assert sysctl("ipv6/conf/eth0/mtu") == "1300"


def test_interfaces_that_never_come_up_have_theirs_too(file: Path) -> None:
    nodes = {A: {"sysctls": {f"net.ipv6.conf.t{at}.mtu": "1300" for at in range(3)}}}
    path = write(file, nodes=nodes, links=[{f"{A}/t{at}": {"kind": "tap"}} for at in range(3)])
    assert sniffkit("lab", "up", path).returncode == 0
    assert [sysctl(f"ipv6/conf/t{at}/mtu") for at in range(3)] == ["1300"] * 3


def test_all_interfaces_are_written_to_before_their_default(file: Path) -> None:
    """In whatever order the file has them: the one writes over the other."""
    assert up(file, {"sysctls": {"net.ipv4.conf.default.forwarding": "0", "net.ipv4.conf.all.forwarding": "1"}}) == ""
    assert [sysctl(f"ipv4/conf/{name}/forwarding") for name in ("all", "default")] == ["1", "0"]


def test_what_packets_put_into_a_set_is_no_change(file: Path) -> None:
    sets = """
      set s { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
      set t { type ipv4_addr; elements = { 10.0.0.8, 10.0.0.9 }; }
      map m { type ipv4_addr : inet_service; flags dynamic; size 9; }
      chain c { type filter hook input priority 0; update @s { ip saddr } update @m { ip saddr : 7 }; }
    """
    assert up(file, {"nft": f"table inet mine {{{sets}}}\n"}) == ""
    assert sniffkit("lab", "exec", B, "ping", "-c1", "-W5", "10.0.0.1").returncode == 0
    assert up(file, {"nft": f"table inet mine {{{sets}}}\n"}) == ""
    shown = ip("netns", "exec", A, "nft", "list", "table", "inet", "mine")
    assert ("10.0.0.2 timeout" in shown or "10.0.0.2 expires" in shown, "10.0.0.2 : 7" in shown) == (True, True)
    ip("netns", "exec", A, "nft", "delete", "element", "inet", "mine", "t", "{ 10.0.0.8 }")
    assert [op.id for op in Lab(parse(json.loads(file.read_text()))).drift()] == [f"command:{A}/nft"]


def test_what_the_kernel_makes_of_a_link_by_itself_is_told(file: Path) -> None:
    """Here the bridge takes the MTU of its port, and what stands on it follows: each `up` would make that anew."""
    links = [*pair()["links"], {f"{P}a/vx0": {"kind": "vxlan", "id": 5, "link": "eth0"}}]
    links += [{f"{P}a/mv0": {"kind": "macvlan", "link": "br0", "mtu": 1500}}]
    done = sniffkit("lab", "up", write(file, links=links, bridges={f"{P}a/br0": ["vx0"]}))
    assert (done.returncode, done.stderr) == (2, f"sniffkit: {P}a/mv0: the kernel gave it mtu 1450, not 1500\n")
    assert netns() == []
