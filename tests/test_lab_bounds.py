"""Lab files with what the kernel or tc would refuse, or quietly make something else of: the line says which and why."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from sniffkit.errors import LabError
from sniffkit.lab.graph import text
from sniffkit.lab.report import interfaces, load
from sniffkit.lab.spec import build
from sniffkit.lab.yamlfile import parse as parse_yaml

MAC = "'02:00:00:00:00:05'"
PAIR = "links:\n  - {a/e: 10.0.0.1/24, b/e: 10.0.0.2/24}\n"
DOWN = "links:\n  - {a/e: {up: false}, b/e}\n"
DUMMY = "links:\n  - a/d:\n      kind: dummy\n      qdisc: "

# what is wrong → (the file, the line it is on, what the message must say)
WRONG: dict[str, tuple[str, int, str]] = {
    "a vxlan's mtu": (
        PAIR + "  - a/v:\n      kind: vxlan\n      id: 5\n      link: e\n      mtu: 1451\n",
        7,
        "a/v: mtu 1451 is over 1450: a/e has 1500, of which vxlan takes 50",
    ),
    "a vxlan's mtu over IPv6": (
        PAIR + "  - a/v: {kind: vxlan, id: 5, link: e, remote: 'fd00::2', mtu: 1431}\n",
        3,
        "mtu 1431 is over 1430: a/e has 1500, of which vxlan takes 70",
    ),
    "a vlan's mtu": (
        PAIR + "  - a/v: {kind: vlan, id: 5, link: e, mtu: 1501}\n",
        3,
        "a/v: mtu 1501 is over 1500: a/e has 1500",
    ),
    "a vlan's mtu on a bridge of a small port": (
        "links:\n  - {a/e: {mtu: 1400}, b/e}\n  - a/v: {kind: vlan, id: 5, link: br, mtu: 1401}\n"
        "bridges: {a/br: [e]}\n",
        3,
        "a/v: mtu 1401 is over 1400: a/br has 1400",
    ),
    "a vxlan's mtu on a bridge that has none": (
        "links:\n  - {a/e: {mtu: 9000}, b/e}\n  - a/v: {kind: vxlan, id: 5, link: br, mtu: 8000}\n"
        "bridges: {a/br: [e]}\n",
        3,
        "a/v: mtu 8000 is over 1450: a/br has 1500, of which vxlan takes 50; give a/br an mtu",
    ),
    "a vxlan's mtu on a small one": (
        "links:\n  - {a/e: {mtu: 100}, b/e}\n  - a/v: {kind: vxlan, id: 5, link: e, mtu: 69}\n",
        3,
        "a/v: mtu 69 is over 68: a/e has 100",
    ),
    "a macvlan's mtu on a vxlan": (
        PAIR + "  - a/x: {kind: vxlan, id: 5, link: e}\n  - b/m: {kind: macvlan, link: a/x, mtu: 1451}\n",
        4,
        "b/m: mtu 1451 is over 1450: a/x has 1450",
    ),
    "a macsec's mtu": (
        PAIR + "  - a/m: {kind: macsec, link: e, mtu: 1469}\n",
        3,
        "mtu 1469 is over 1468: a/e has 1500, of which macsec takes 32",
    ),
    "a MAC address of a passthru": (
        PAIR + f"  - a/m:\n      kind: macvtap\n      mode: passthru\n      link: e\n      mac: {MAC}\n",
        7,
        "a/m: with passthru it has the MAC address of what it stands on",
    ),
    "a MAC address of a passthru that its parent has not": (
        f"links:\n  - {{a/e: {{mac: '02:00:00:00:00:06'}}, b/e}}\n"
        f"  - a/m: {{kind: macvlan, mode: passthru, link: e, mac: {MAC}}}\n",
        3,
        "a/m: with passthru it has the MAC address of what it stands on",
    ),
    "a MAC address of an ipvlan": (
        PAIR + f"  - a/i: {{kind: ipvlan, link: e, mac: {MAC}}}\n",
        3,
        "a/i: an ipvlan has the MAC address of what it stands on",
    ),
    "two modes on one interface": (
        PAIR + "  - c/i: {kind: ipvlan, link: a/e, mode: l2}\n  - d/i: {kind: ipvtap, link: a/e}\n",
        4,
        "d/i: mode l3: all on one interface have the same, and c/i has l2",
    ),
    "two isolations on one interface": (
        PAIR + "  - c/i: {kind: ipvlan, link: a/e}\n  - d/i: {kind: ipvlan, link: a/e, isolation: vepa}\n",
        4,
        "d/i: isolation vepa: all on one interface have the same, and c/i has bridge",
    ),
    "a VNI twice": (
        PAIR + "  - a/v: {kind: vxlan, id: 5}\n  - b/w: {kind: vxlan, id: 5, port: 4789, link: a/e}\n",
        4,
        "b/w: id 5 is a/v's already, on port 4789",
    ),
    "a VLAN twice": (
        PAIR + "  - a/v: {kind: vlan, id: 5, link: e}\n  - b/w: {kind: vlan, id: 5, link: a/e, protocol: 802.1Q}\n",
        4,
        "b/w: id 5 on a/e is a/v's already",
    ),
    "a vlan on what is down": (
        DOWN + "  - a/v: {kind: vlan, id: 5, link: e}\n",
        3,
        "a/v cannot be up as a/e is not: give it loose: true, or up: false",
    ),
    "a loss over 100 %": (f"{DUMMY}{{netem: {{loss: 100.1%}}}}\n", 4, "'100.1%' is not a percentage such as 1%, up to"),
    "a delay over the kernel's": (
        f"{DUMMY}{{netem: {{delay: 275s}}}}\n",
        4,
        "'275s' is not a time such as 20ms, up to 274",
    ),
    "a latency over tc's": (
        f"{DUMMY}{{tbf: {{rate: 1mbit, latency: 4295s}}}}\n",
        4,
        "'4295s' is not a time such as 20ms, from 1us to 4294s",
    ),
    "a latency of too many bytes": (
        f"{DUMMY}\n        tbf:\n          rate: 1gbit\n          latency: 200s\n",
        7,
        "a/d: a latency of 200s at 1gbit is a queue of 4 GiB or more",
    ),
    "a burst of too many ticks": (
        f"{DUMMY}\n        htb:\n          rate: 1mbit\n          burst: 2048mb\n",
        7,
        "a/d: a burst of 2048mb is more than 1mbit sends in 274s",
    ),
    "a class's burst of too many ticks": (
        f"{DUMMY}{{htb: {{rate: 1gbit, classes: [{{rate: 1mbit, burst: 33mb, dport: 80}}]}}}}\n",
        4,
        "a/d: a burst of 33mb is more than 1mbit sends in 274s",
    ),
    "a rate too slow for the usual burst": (
        f"{DUMMY}{{tbf: {{rate: 800bit}}}}\n",
        4,
        "a/d: a burst of 32kb is more than 800bit sends in 274s",
    ),
    "a latency of nothing": (
        f"{DUMMY}{{tbf: {{rate: 1mbit, latency: 0ms}}}}\n",
        4,
        "'0ms' is not a time such as 20ms, from",
    ),
    "a burst of nothing": (
        f"{DUMMY}{{tbf: {{rate: 1mbit, burst: 0b}}}}\n",
        4,
        "'0b' is not a size such as 32kb, of at",
    ),
    "a rate of less than a byte": (
        f"{DUMMY}{{htb: {{rate: 7bit}}}}\n",
        4,
        "'7bit' is not a rate such as 10mbit, of at",
    ),
    "a rate of nothing": (f"{DUMMY}{{htb: {{rate: 0bit}}}}\n", 4, "'0bit' is not a rate such as 10mbit, of at"),
    "a rate without end": (f"{DUMMY}{{htb: {{rate: {'9' * 400}bit}}}}\n", 4, "bit' is not a rate such as 10mbit"),
    "a queue below sfq": (
        f"{DUMMY}\n        sfq:\n        netem: {{delay: 1ms}}\n",
        6,
        "a/d: netem cannot stand below sfq, which holds no other",
    ),
}

TAKEN = {
    "MTUs that fit": PAIR
    + "  - a/v: {kind: vxlan, id: 5, link: e, mtu: 1450}\n  - a/w: {kind: vxlan, id: 6, mtu: 9000}\n",
    "an ipvlan's MTU, which may be any": PAIR + "  - a/i: {kind: ipvlan, link: e, mtu: 9000}\n",
    "an MTU on what only the machine knows": "links:\n  - a/p: {kind: physical}\n"
    "  - a/v: {kind: vlan, id: 5, link: p, mtu: 9000}\n",
    "VNIs of several nodes and ports": PAIR
    + "  - a/v: {kind: vxlan, id: 5}\n  - a/w: {kind: vxlan, id: 5, port: 4790}\n"
    "  - b/v: {kind: vxlan, id: 5}\n",
    "VNIs of link-local addresses": PAIR + "  - {a/f, b/f}\n  - a/v: {kind: vxlan, id: 5, link: e, remote: 'fe80::1'}\n"
    "  - a/w: {kind: vxlan, id: 5, link: f, remote: 'fe80::1'}\n",
    "a VNI over IPv4 and over IPv6": PAIR + "  - a/v: {kind: vxlan, id: 9, remote: 10.9.0.2, link: e}\n"
    "  - a/w: {kind: vxlan, id: 9, remote: '2001:db8::2', link: e}\n",
    "the least of a vxlan's MTUs": "links:\n  - {a/e: {mtu: 68}, b/e}\n"
    "  - a/v: {kind: vxlan, id: 5, link: e, mtu: 68}\n  - a/w: {kind: vlan, id: 5, link: v, mtu: 68}\n",
    "the MAC address of what it stands on": f"links:\n  - {{a/e: {{mac: {MAC}}}, b/e: {{mac: {MAC}}}}}\n"
    f"  - a/i: {{kind: ipvlan, link: e, mac: {MAC}}}\n"
    f"  - b/m: {{kind: macvtap, mode: passthru, link: e, mac: {MAC}}}\n",
    "VLANs of several protocols": PAIR + "  - a/v: {kind: vlan, id: 5, link: e}\n"
    "  - a/w: {kind: vlan, id: 5, link: e, protocol: 802.1ad}\n  - b/v: {kind: vlan, id: 5, link: e}\n",
    "a loose vlan on what is down": DOWN + "  - a/v: {kind: vlan, id: 5, link: e, loose: true}\n",
    "a vlan as down as its link": DOWN + "  - a/v: {kind: vlan, id: 5, link: e, up: false}\n",
    "a vxlan beside a passthru": PAIR
    + "  - a/m: {kind: macvlan, link: e, mode: passthru}\n  - a/v: {kind: vxlan, id: 5, link: e}\n",
    "modes of several interfaces": PAIR
    + "  - c/i: {kind: ipvlan, link: a/e}\n  - d/i: {kind: ipvlan, link: b/e, mode: l2}\n",
    "a latency over netem's delays": f"{DUMMY}{{tbf: {{rate: 10mbit, latency: 300s}}}}\n",
    "the bounds of shapers": f"{DUMMY}{{htb: {{rate: 1mbit, burst: 32mb}}, tbf: {{rate: 1mbit, latency: 4294s}}}}\n",
    "the bounds": f"{DUMMY}{{netem: {{delay: 274s, loss: 100.0%, rate: 8bit}}, sfq: }}\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_would_be_refused_or_changed(name: str) -> None:
    given, line, said = WRONG[name]
    with pytest.raises(LabError) as error:
        build(*parse_yaml(given, "lab.yaml"), None)
    assert str(error.value).startswith(f"lab.yaml:{line}: "), error.value
    assert said in str(error.value)


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name: str) -> None:
    build(*parse_yaml(TAKEN[name], "lab.yaml"), None)


@pytest.mark.parametrize("name", WRONG)
def test_what_came_up_once_is_shown(name: str) -> None:
    spec = build(*parse_yaml(WRONG[name][0], "old", stored=True), None)
    assert interfaces(spec)
    assert text(spec)


def test_a_stored_description_is_as_complete_as_any() -> None:
    twice = PAIR + "  - a/v: {kind: vxlan, id: 5, link: e, mtu: 2000}\n  - a/w: {kind: vxlan, id: 5, link: e}\n"
    twice += "  - a/b: {kind: bridge, vlan_filtering: true, ports: {w: {pvid: 5}}}\n"
    spec = build(*parse_yaml(twice, "old", stored=True), None)
    assert [spec.interfaces["a", name].data["port"] for name in "vw"] == [4789, 4789]
    assert spec.interfaces["a", "b"].data["default_pvid"] == 0
    with pytest.raises(LabError, match="old:2: a/e: no interface"):
        build(*parse_yaml("links:\n  - a/e: {kind: vlan, id: 1, link: x}\n", "old", stored=True), None)


def test_a_capture_shows_the_lab_of_before(tmp_path: Path) -> None:
    said = f"lab:\n{DUMMY}{{netem: {{delay: 275s}}}}\n".encode()
    option = struct.pack("<HH", 1, len(said)) + said + bytes(-len(said) % 4) + bytes(4)
    size = 28 + len(option)
    head = struct.pack("<IIIHHq", 0x0A0D0D0A, size, 0x1A2B3C4D, 1, 0, -1)
    path = tmp_path / "old.pcapng"
    path.write_bytes(head + option + struct.pack("<I", size))
    assert load(str(path)).interfaces["a", "d"].qdisc == {"netem": {"delay": "275s"}}
