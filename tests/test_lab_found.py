"""How what is found on a machine is put into the words of a lab file. No root needed."""

from __future__ import annotations

import struct

import pytest

from sniffkit.lab import observe_tc
from sniffkit.lab.describe import plain
from sniffkit.lab.host import _vlans
from sniffkit.lab.links import kind
from sniffkit.lab.links.kind import unsaid
from sniffkit.lab.observe_tc import WORD, burst, percent, rate, size, time
from sniffkit.lab.sysctls import changed
from sniffkit.lab.yamlfile import parse

TEXTS = """
a
10.0.0.1/24
2001:db8::1/64
::1
02:00:00:00:00:01
yes
Null
12
1.5
0x10
300kbit
1.5mbit
a:
10
08
-x
fe80::
0.0.0.0
802.1ad
40ms
100%
eth0.10
12a:
a,b
a]b
1_000
~
net/ipv4/conf/eth0.10/x
default via 2001:db8::1 dev x
a: b
a #b
4096 1 2
10.0.0.0/8 via 1.2.3.4
1a: 2
"""


@pytest.mark.parametrize("text", [*TEXTS.strip().splitlines(), "", "a "])
def test_text_without_quotes_is_read_back(text: str) -> None:
    for written in (plain({"k": [text]}), f"k:\n  - {plain(text)}\n"):
        assert [str(one) for one in parse(written, "x")[0]["k"]] == [text], written
    assert parse(f"{plain(text)}: 1\n", "x")[0] == {text: 1}


def test_numbers_of_tc() -> None:
    assert [rate(one) for one in (250_000, 125_000_000, 1, 41_662)] == ["2mbit", "1gbit", "8bit", "333296bit"]
    assert [size(one) for one in (2048, 5000)] == ["2kb", "5000b"]
    assert [time(one) for one in (40_000, 2_000_000, 0.5, 1234)] == ["40ms", "2s", "0.5us", "1234us"]
    assert [percent(one) for one in (WORD, WORD // 2, round(WORD * 0.001))] == ["100%", "50%", "0.1%"]


@pytest.mark.parametrize("bytes_per_second", [1000, 37_500, 250_000, 12_500_000, 1_250_000_000])
@pytest.mark.parametrize("number", [1600, 2048, 5000, 32 * 1024])
def test_bursts_are_told_from_ticks(bytes_per_second: int, number: int) -> None:
    wait = 1_000_000 * (number / bytes_per_second)
    for ticks in (int(wait * 15.625), int(int(wait) * 15.625)):  # tc takes whole microseconds, as of iproute2 6.1
        back = burst(ticks, bytes_per_second)
        assert observe_tc._fits(back, ticks, bytes_per_second)
        assert number % 1024 or back == number


@pytest.mark.parametrize("bytes_per_second", [125, 875_000, 11_875_000, 112_500_000, 250_000_000])
def test_a_burst_that_is_tc_s_own_choice_is_left_out(bytes_per_second: int) -> None:
    wait = 1_000_000 * (1600 / bytes_per_second)
    in_microsecond, _ = observe_tc._clock()
    assert observe_tc._burst(int(int(wait) * in_microsecond), bytes_per_second) == {}
    assert observe_tc._burst(int(wait * in_microsecond), bytes_per_second) == {}
    assert observe_tc._burst(int(40 * wait * in_microsecond), bytes_per_second) != {}


def test_vlans_of_a_port() -> None:
    assert _vlans({10: 6}, 0) == {"pvid": 10}
    assert _vlans({10: 2, 20: 0, 30: 4}, 0) == {"pvid": 10, "untagged": [30], "tagged": [10, 20]}
    assert _vlans({1: 6}, 1) == {}
    assert _vlans({1: 6, 20: 0}, 1) == {"pvid": 1, "tagged": [20]}
    assert _vlans({1: 4, 20: 6}, 1) == {"pvid": 20, "untagged": [1]}


def test_attributes_that_no_key_stands_for() -> None:
    found = {2: struct.pack("=II", 1 | 2 | 4 | 8, 0x1F), 3: b"\0" * 12}  # IFLA_VLAN_FLAGS, IFLA_VLAN_EGRESS_QOS
    assert unsaid(kind("vlan").unsaid, found) == ["gvrp 2, mvrp 8 or bridge_binding 16: 10", "egress-qos-map"]
    assert unsaid(kind("vlan").unsaid, {2: struct.pack("=II", 1 | 4, 0x1F)}) == []
    assert unsaid(kind("vxlan").unsaid, {6: b"\0", 8: struct.pack("=I", 300), 29: b"longer"}) == []


def test_vlan_flags_that_are_all_off_are_not_shown() -> None:
    """8021q/vlan_netlink.c sends IFLA_VLAN_FLAGS only where one is set."""
    assert kind("vlan").differing({"id": 9, "reorder": False}, {1: b"\x09\0", 5: b"\x81\0"}) == {}
    assert kind("vlan").differing({"id": 9}, {1: b"\x09\0", 5: b"\x81\0"}) == {"reorder": (False, None)}


def test_sysctls_that_differ() -> None:
    base = {("ipv4", "x"): "1", ("ipv4", "conf", "default", "y"): "0"}
    there = {("ipv4", "x"): "2", ("ipv4", "conf", "default", "y"): "1", ("ipv4", "z"): "9"}
    there |= {("ipv4", "conf", name, "y"): value for name, value in (("eth0", "1"), ("eth0.5", "0"), ("gone", "0"))}
    assert changed(there, base, {"eth0", "eth0.5"}) == {
        "net.ipv4.x": "2",
        "net.ipv4.conf.default.y": "1",
        "net/ipv4/conf/eth0.5/y": "0",
    }
