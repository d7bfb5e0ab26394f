"""`sniffkit trace`: the hops of real packets through the labs, and of made ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from captures.wire import ACK, MS, SECOND, T0, Frame, eth, ip4, pcap, pcapng, tcp, vxlan

Run = Callable[..., tuple[int, str, str]]


def hops(capture: str, filter: str | None = None) -> dict[int, list[dict[str, Any]]]:
    """The sightings of each packet."""
    packets: dict[int, list[dict[str, Any]]] = {}
    for row in sk.open(capture).trace(filter=filter).to_arrow().to_pylist():
        packets.setdefault(row["packet"], []).append(row)
    return packets


def path(sightings: list[dict[str, Any]]) -> list[str]:
    return [f"{one['netns']}/{one['interface']}" for one in sightings]


def test_every_frame_is_one_sighting() -> None:
    for capture in ("nat", "vlan", "vxlan", "qinq", "policy", "bridge", "macvlan"):
        table = sk.open(f"docs/labs/{capture}.pcapng").trace().to_arrow().to_pylist()
        count = sk.open(f"docs/labs/{capture}.pcapng").packets(columns=["frame_number"]).to_arrow().num_rows
        assert sorted(one["frame_number"] for one in table) == list(range(1, count + 1))
        for one, following in itertools.pairwise(table):
            same = one["packet"] == following["packet"]
            assert following["hop"] == (one["hop"] + 1 if same else 1)
            assert (following["delay"] is None) != same
            assert not same or following["delay"] >= 0
        for sightings in hops(f"docs/labs/{capture}.pcapng").values():
            assert len(set(path(sightings))) == len(sightings), "no point sees a packet twice"


def test_through_the_nat_lab() -> None:
    """A SYN from the client to the internet, and one that the router turns round to the server: hairpin."""
    packets = hops("docs/labs/nat.pcapng", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and not port 22")
    paths = {(rows[0]["ip_src"], rows[0]["ip_dst"]): (path(rows), rows) for rows in packets.values()}
    out, rows = paths["10.0.0.1", "203.0.113.2"]
    assert (out[0], out[-2:]) == ("client/eth0", ["router/wan", "internet/eth0"])
    changed = next(row["changes"] for row in rows if row["interface"] == "wan")
    assert changed[:2] == ["ip_src:10.0.0.1>203.0.113.1", "ip_ttl:64>63"]
    inward, rows = paths["203.0.113.2", "203.0.113.1"]
    assert (inward[0], inward[-1]) == ("internet/eth0", "server/eth0")
    changed = next(row["changes"] for row in rows if row["interface"] == "lan")
    assert changed[:3] == ["ip_dst:203.0.113.1>10.0.0.2", "dst_port:80>8080", "ip_ttl:64>63"]


def test_through_vlans() -> None:
    """An echo request between switches: untagged at the hosts, tagged on the trunk."""
    sighted = [rows for rows in hops("docs/labs/vlan.pcapng").values() if rows[0]["ip_dst"] == "10.0.20.2"]
    trunk = next(rows for rows in sighted if "sw1/trunk" in path(rows))
    said = [change for row in trunk for change in row["changes"] or [] if change.startswith("vlan_id")]
    assert {"vlan_id:>20", "vlan_id:20>"} == set(said)
    assert trunk[0]["vlan_id"] is None
    assert trunk[-1]["vlan_id"] is None


def test_through_vxlan() -> None:
    """An echo request enters the tunnel at one host and leaves it at the other."""
    packets = hops("docs/labs/vxlan.pcapng")
    request = next(rows for rows in packets.values() if path(rows)[0] == "h1/vx0" and rows[0]["ip_src"] == "10.0.0.1")
    assert path(request) == ["h1/vx0", "h1/eth0", "r/eth0", "r/eth1", "h2/eth0", "h2/vx0"]
    assert request[1]["changes"][0] == "vxlan_vni:>42"
    assert request[-1]["changes"][0] == "vxlan_vni:42>"
    assert request[-1]["elapsed"] == sum(row["delay"] for row in request[1:])


def sent(number: int) -> bytes:
    """A frame that is no other number's."""
    return eth(0x0800, ip4("10.0.0.1", "10.0.0.2", 6, tcp("10.0.0.1", 1, "10.0.0.2", 2, ACK, number)))


def test_files_are_points_where_they_name_no_interface(tmp_path: Path) -> None:
    frames = [Frame(T0 + n * MS, sent(n)) for n in range(9)]
    for hop in range(3):
        seen = [replace(one, ts=one.ts + hop * 1000) for one in frames if one is not frames[4] or hop != 1]
        inside = [replace(one, data=vxlan(7, one.data)) for one in seen] if hop == 1 else seen
        (tmp_path / f"{hop}.pcap").write_bytes(pcap(inside))
    table = sk.open(str(tmp_path / "*.pcap")).trace(columns=["packet", "hops", "delay"]).to_arrow().to_pylist()
    assert [one["hops"] for one in table if one["delay"] is None] == [3, 3, 3, 3, 2, 3, 3, 3, 3]
    assert [one["delay"] for one in table if one["packet"] == 5] == [None, 2000]


@pytest.fixture
def sniffkit(called: Run) -> Run:
    return partial(called, "trace")


def test_the_command(sniffkit: Run, golden: Any, tmp_path: Path) -> None:
    columns = "packet,hop,ts,netns,interface,delay,ip_src,ip_dst,changes"
    code, out, err = sniffkit("docs/labs/nat.pcapng", "-f", "icmp", "--columns", columns)
    assert (code, err) == (0, "")
    golden("trace/nat.tsv", out)
    assert sniffkit("docs/labs/nat.pcapng", "--seen", "7", "-o", str(tmp_path / "t.parquet")) == (0, "", "")
    code, out, _ = sniffkit("docs/labs/nat.pcapng", "--where", "delay > 80000", "--json", "--limit", "1")
    assert json.loads(out)["delay"] > 80_000
    assert sniffkit("docs/labs/nat.pcapng", "--seen", "99")[0] == 1, "nothing found"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch.pcap"], "nosuch.pcap: No such file"),
        (["docs/labs/nat.pcapng", "--where", "pakcet = 1"], '--where \'pakcet = 1\': at column 1: Referenced column'),
        (["docs/labs/nat.pcapng", "--where", ""], "--where is empty"),
        (["docs/labs/nat.pcapng", "--columns", "hopp"], "no column 'hopp'; did you mean 'hop'?"),
        (["docs/labs/nat.pcapng", "--seen", str(2**63)], "is not in the range 1<=x<=9223372036854775807"),
        (["docs/labs/nat.pcapng", "--window", "-1"], "window -1: it must be above 0 s"),
    ],
)  # fmt: skip
def test_a_bad_request_is_one_line(sniffkit: Run, arguments: list[str], says: str) -> None:
    code, out, err = sniffkit(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err


@pytest.mark.parametrize("first", [-280, 280])
def test_times_that_are_further_apart_than_int64_holds(tmp_path: Path, first: int) -> None:
    """A damaged clock is no packet that goes the other way."""
    year = 365 * 86400
    paths = [tmp_path / "a.pcapng", tmp_path / "b.pcapng"]
    for path, years in zip(paths, (first, -first), strict=True):
        path.write_bytes(pcapng([path.stem], [(0, Frame(0, sent(3)))], years * year))
    rows = sk.open([str(path) for path in paths]).trace().to_arrow().to_pylist()
    assert [row["hop"] for row in rows] == [1, 2]
    assert [(row["delay"], row["elapsed"]) for row in rows] == [(None, 0), (2**63 - 1, 2**63 - 1)]


LAB = """lab:
links:
  - {h1/eth0: 10.0.0.1/24, sw/p1}
  - {sw/p2, h2/eth0: 10.0.0.2/24}
  - {h2/lo0, h2/lo1}
  - h2/mv0: {kind: macvlan, link: eth0}
  - h3/mv0: {kind: macvlan, link: h2/eth0}
bridges:
  sw/br0: [p1, p2]
"""


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("lab", "seen"),
    [
        ("", "out:h1/vx0 out:h1/eth0:vxlan in:h2/eth0:vxlan in:h2/vx0"),
        ("", "out:h1/eth0.10 out:h1/eth0:vlan in:h2/eth0:vlan in:h2/eth0.10"),
        ("", "out:h1/eth0.10.20 out:h1/eth0.10:vlan out:h1/eth0:qinq in:sw/p1:qinq out:sw/p2:qinq in:h2/eth0:qinq"),
        ("", "out:h1/eth0 in:r/lan out:r/wan:63 in:s/lan:63 out:s/wan:62 in:h2/eth0:62"),
        (LAB, "out:h1/eth0 in:sw/p1 in:sw/br0 out:sw/p2 in:h2/eth0 in:h2/mv0"),
        (LAB, "out:h2/mv0 out:h2/eth0 in:sw/p2 out:sw/br0 out:sw/p1 in:h1/eth0"),
        (LAB, "out:h1/eth0 in:sw/p1 in:sw/br0:vlan out:sw/p2 in:h2/eth0 in:h3/mv0"),
        (LAB, "out:h3/mv0 out:h2/eth0"),
        (LAB, "out:sw/br0:vlan out:sw/p1 in:h1/eth0"),
        (LAB, "in:sw/p1:vxlan in:sw/br0:vxlan in:sw/vx0"),
        (LAB, "out:sw/vx0 out:sw/br0:vxlan out:sw/p1:vxlan"),
        (LAB, "out:h2/lo1 in:h2/lo0"),
        (LAB.replace("lab:\n", ""), "out:h1/eth0 in:h2/eth0"),
        ("lab:\n- [", "out:h1/eth0 in:h2/eth0"),
    ],
)  # fmt: skip
def test_sightings_at_one_time_are_in_the_order_of_the_way(tmp_path: Path, lab: str, seen: str, turned: bool) -> None:
    """The kernel stamps a frame that comes in once; clocks of other captures are coarser still."""
    plain = {
        ttl: ip4("10.0.0.1", "10.0.0.2", 6, tcp("10.0.0.1", 1, "10.0.0.2", 2, ACK, 3), ttl=ttl) for ttl in (62, 63, 64)
    }
    around = {"": eth(0x0800, plain[64]), "62": eth(0x0800, plain[62]), "63": eth(0x0800, plain[63])}
    around |= {"vlan": eth(0x0800, plain[64], vlans=(10,)), "qinq": eth(0x0800, plain[64], vlans=(20, 10))}
    around |= {"vxlan": vxlan(7, around[""])}
    points = [one.split(":") for one in seen.split()]
    frames = [
        (at, Frame(T0, around["".join(layers)], flags=1 if way == "in" else 2))
        for at, (way, _, *layers) in enumerate(points)
    ]
    file = tmp_path / "x.pcapng"
    file.write_bytes(pcapng([one[1] for one in points], frames[::-1] if turned else frames, comment=lab))
    assert [path(rows) for rows in hops(str(file)).values()] == [[one[1] for one in points]]


MACHINE = {
    "one file after another": [[("eth0", "in", 1)], [("eth0", "in", 9), ("eth1", "out", 9)]],
    "a file each": [[("eth0", "in", 9)], [("eth1", "out", 9)]],
    "another machine beside it": [
        [("eth0", "in", 1), ("eth1", "out", 8), ("eth0", "in", 8), ("eth1", "out", 9)],
        [("eth0", "in", 9), ("eth0", "out", 1)],
    ],
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("of", "way"),
    [
        ("one file after another", "0:eth0 / 1:eth0 1:eth1"),
        ("a file each", "0:eth0 1:eth1"),
        ("another machine beside it", "1:eth0 0:eth0 / 0:eth0 0:eth1 / 0:eth1 1:eth0"),
    ],
)
def test_a_machine_without_namespaces_is_entered_before_it_is_left(
    tmp_path: Path, of: str, way: str, turned: bool
) -> None:
    for number, seen in enumerate(MACHINE[of]):
        names = sorted({name for name, _, _ in seen})
        frames = [
            (names.index(name), Frame(T0 + at * SECOND, sent(at), flags=1 if way == "in" else 2))
            for name, way, at in seen
        ]
        (tmp_path / f"{number}.pcapng").write_bytes(pcapng(names, frames[::-1] if turned else frames))
    found = [
        " ".join(f"{Path(one['file']).stem}:{one['interface']}" for one in rows)
        for rows in hops(str(tmp_path / "*.pcapng")).values()
    ]
    assert " / ".join(found) == way


def test_files_of_microseconds_are_in_the_order_of_the_ttl(tmp_path: Path) -> None:
    for name, ttl in (("a", 62), ("b", 64), ("c", 63)):
        packet = ip4("10.0.0.1", "10.0.0.2", 6, tcp("10.0.0.1", 1, "10.0.0.2", 2, ACK, 3), ttl=ttl)
        (tmp_path / f"{name}.pcap").write_bytes(pcap([Frame(T0, eth(0x0800, packet))]))
    rows = sk.open(str(tmp_path / "*.pcap")).trace().to_arrow().to_pylist()
    assert [Path(row["file"]).stem for row in rows] == ["b", "c", "a"]
