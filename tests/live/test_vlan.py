"""The tag that the kernel takes off is put back, and a filter says the same of the wire and of the file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from livenet import A_MAC, B_MAC, Net, frame, tool

import sniffkit as sk

V5, V6 = bytes.fromhex("81006005"), bytes.fromhex("81000006")  # VLAN 5 with priority 3, VLAN 6
S9 = bytes.fromhex("88a80009")
Q9 = bytes.fromhex("91000009")

# Those of 10.231.0.0/24, and one that is none.
BROADCASTS = ["10.231.0.255", "10.231.0.0", "255.255.255.255", "0.0.0.0", "10.231.0.127"]

# name -> tags in wire order, protocol
SENT = {
    "udp": (b"", 17),
    "icmp": (b"", 1),
    "vlan 5 udp": (V5, 17),
    "vlan 5 icmp": (V5, 1),
    "vlan 6 icmp": (V6, 1),
    "802.1ad icmp": (S9, 1),
    "qinq icmp": (S9 + V5, 1),
    "9100 icmp": (Q9 + V5, 1),
}
FRAMES = [frame(n, tags, 80, proto) for n, (tags, proto) in enumerate(SENT.values())]


def test_frames_are_as_they_were_sent(net: Net) -> None:
    with sk.capture(net.veth2, net.veth1) as live:
        net.send(FRAMES)
    assert [bytes(packet) for packet in live.capture.scapy()] == [one for one in FRAMES for _ in range(2)]
    rows = live.packets(["vlan_id", "frame_len", "cap_len", "direction"]).to_arrow().to_pylist()
    assert [row["vlan_id"] or [] for row in rows[::2]] == [[], [], [5], [5], [6], [9], [9, 5], [9, 5]]
    assert {(row["frame_len"], row["cap_len"]) for row in rows} == {(80, 80)}
    assert [row["direction"] for row in rows] == ["out", "in"] * len(FRAMES)


def test_cooked_frames_keep_every_tag(net: Net) -> None:
    """A socket without link headers is not even told of the inner tags of what is sent."""
    length = B_MAC + A_MAC + b"\x00\x30" + b"\x42\x42\x03" + bytes(45)  # 802.3, with the LLC header of STP
    frames = [*FRAMES, length, length[:12] + V5 + length[12:]]
    with sk.capture("any", netns=net.a) as sent, sk.capture("any", netns=net.b) as received:
        net.send(frames)
    for live, direction in ((sent, "out"), (received, "in")):
        rows = live.packets(["vlan_id", "frame_len", "direction", "malformed"]).to_arrow().to_pylist()
        assert [row["vlan_id"] or [] for row in rows] == [[], [], [5], [5], [6], [9], [9, 5], [9, 5], [], [5]]
        # SLL2's 20 bytes stand for the addresses and the EtherType.
        assert [row["frame_len"] for row in rows] == [len(one) + 6 for one in frames]
        assert {row["direction"] for row in rows} == {direction}
        assert [row["malformed"] for row in rows[:-2]] == [None] * len(FRAMES)
        cooked = [bytes(packet) for packet in live.capture.scapy()]
        assert [one[20:] for one in cooked] == [one[14:] for one in frames]
        assert [one[:2] for one in cooked] == [*(one[12:14] for one in FRAMES), b"\x00\x04", b"\x81\x00"]


@pytest.mark.parametrize("filter", ["vlan 5 and icmp", "icmp", "vlan 9 and vlan 5 and icmp"])
def test_a_filter_sees_more_than_is_kept(net: Net, tmp_path: Path, filter: str) -> None:
    """A snap length says what is kept of a frame, and not which ones are."""
    with (
        sk.capture(net.veth2, filter=filter) as whole,
        sk.capture(net.veth2, filter=filter, snap_len=16, write=tmp_path / "cut.pcapng") as cut,
    ):
        net.send(FRAMES)
        net.send([frame(9, b"", 80, 1)])
    matching = whole.packets(["ts"]).to_arrow().num_rows
    assert matching
    kept = cut.packets(["cap_len", "frame_len"]).to_arrow().to_pylist()
    assert kept == [{"cap_len": 16, "frame_len": 80}] * matching
    assert [len(one) for one in cut.capture.scapy()] == [16] * matching
    (point,) = cut.stats
    assert point.captured + point.rejected + point.dropped == point.received


def test_a_filter_sees_more_of_cooked_frames_than_is_kept(net: Net) -> None:
    with sk.capture("any", netns=net.b, filter="udp port 4097", snap_len=30) as live:
        net.send([frame(1), frame(2, b"", 60, 1)])
    assert live.packets(["cap_len", "frame_len"]).to_arrow().to_pylist() == [{"cap_len": 30, "frame_len": 66}]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("icmp", ["icmp"]),
        ("vlan", ["vlan 5 udp", "vlan 5 icmp", "vlan 6 icmp", "802.1ad icmp", "qinq icmp", "9100 icmp"]),
        ("vlan 5 and icmp", ["vlan 5 icmp"]),
        ("vlan 9 and vlan 5 and icmp", ["qinq icmp", "9100 icmp"]),
        ("icmp or (vlan and icmp)", ["icmp", "vlan 5 icmp", "vlan 6 icmp", "802.1ad icmp"]),
        ("udp", ["udp"]),
        ("not vlan", ["udp", "icmp"]),
        ("greater 81", []),
    ],
)
def test_live_and_file_agree(net: Net, tmp_path: Path, filter: str, expected: list[str]) -> None:
    """tcpdump reading a file is the judge: it sees the tags there. Live, its `icmp` also takes tagged frames."""
    with (
        sk.capture(net.veth2, write=tmp_path / "all.pcapng") as everything,
        sk.capture(net.veth2, write=tmp_path / "some.pcapng", filter=filter) as filtered,
    ):
        net.send(FRAMES)
    everything.stop()
    ids = filtered.packets(["ip_id"]).to_arrow()["ip_id"].to_pylist()
    assert [list(SENT)[n] for n in ids] == expected
    assert everything.capture.packets(["ip_id"], filter).to_arrow()["ip_id"].to_pylist() == ids
    assert len(tool("tcpdump", "-nr", str(tmp_path / "all.pcapng"), filter).splitlines()) == len(ids)
    (stats,) = filtered.stats
    assert stats.captured + stats.rejected == stats.received


@pytest.mark.parametrize("filter", ["geneve or icmp", "vlan or geneve or icmp", "ip protochain 1 or geneve"])
def test_a_filter_that_the_kernel_refuses(net: Net, tmp_path: Path, filter: str) -> None:
    """It has a loop, or reads memory words not yet written: 0 on a file; live, tcpdump filters itself then."""
    header = bytes.fromhex("0000655800000500")
    ports = bytes.fromhex("03e817c1") + (8 + len(header) + 60).to_bytes(2, "big") + b"\0\0"
    geneve = frame(20)[:16] + (36 + 60).to_bytes(2, "big") + frame(20)[18:34] + ports + header + frame(1)
    with (
        sk.capture(net.veth2, write=tmp_path / "all.pcapng"),
        sk.capture(net.veth2, filter=filter, direction="in", snap_len=30) as some,
        sk.capture(net.veth2, filter=filter, direction="out") as none,
    ):
        net.send([*FRAMES, geneve])
    rows = some.packets(["ip_id", "cap_len"]).to_arrow().to_pylist()
    assert len(rows) == len(tool("tcpdump", "-nr", str(tmp_path / "all.pcapng"), filter).splitlines()) > 0
    assert {row["cap_len"] for row in rows} == {30}
    (stats,) = some.stats
    assert (stats.captured, stats.captured + stats.rejected, stats.received) == (len(rows), len(FRAMES) + 1, 9)
    assert none.stats[0].received == 0


def test_broadcasts_of_the_network_of_an_interface(own_net: Net, refused: Callable[..., tuple[int, str]]) -> None:
    """pcap-filter(7): `ip broadcast` looks up the netmask of the interface."""
    sent = [frame(n)[:30] + bytes(map(int, to.split("."))) + frame(n)[34:] for n, to in enumerate(BROADCASTS)]
    with sk.capture(own_net.veth2, filter="ip broadcast") as live:
        own_net.send(sent)
    found = live.packets(["ip_dst"]).to_arrow()["ip_dst"].to_pylist()
    assert found == BROADCASTS[:4]
    own_net.run(own_net.b, "ip", "address", "flush", "dev", "veth2")
    for interface in ("veth2", "any"):  # without an address, and of several interfaces: none is known
        code, said = refused("--netns", own_net.b, "-i", interface, "ip broadcast")
        assert (code, "netmask not known" in said) == (2, True)


def test_any_keeps_the_tag_behind_its_own_header(net: Net) -> None:
    with sk.capture("any", netns=net.b) as live:
        net.send([frame(1, V5, 80), frame(2, b"", 80)])
    rows = live.packets(["protocols", "vlan_id", "ip_id"]).to_arrow().to_pylist()
    assert [(row["protocols"].split(":")[:3], row["vlan_id"] or []) for row in rows] == [
        (["sll", "vlan", "ip"], [5]),
        (["sll", "ip", "udp"], []),
    ]


def test_a_snap_length_counts_the_tag(net: Net, tmp_path: Path) -> None:
    with sk.capture(net.veth2, snap_len=64, write=tmp_path / "x.pcapng") as live:
        net.send([frame(1, V5, 200), frame(2, b"", 200), frame(3, S9 + V5, 60)])
    rows = live.packets(["frame_len", "cap_len", "vlan_id"]).to_arrow().to_pylist()
    assert [(row["frame_len"], row["cap_len"]) for row in rows] == [(200, 64), (200, 64), (60, 60)]
    # less than the addresses: no place for the tag, but it is still counted
    with sk.capture(net.veth2, snap_len=8) as live:
        net.send([frame(1, V5, 200)])
    (row,) = live.packets(["frame_len", "cap_len"]).to_arrow().to_pylist()
    assert row == {"frame_len": 200, "cap_len": 8}


def test_what_tcpdump_does_live(net: Net, tmp_path: Path) -> None:
    """The difference that docs/decisions tells of: if this fails, tcpdump has changed and the page must."""
    command = [
        "ip",
        "netns",
        "exec",
        net.b,
        "tcpdump",
        "-i",
        "veth2",
        "-U",
        "-c",
        "3",
        "-w",
        str(tmp_path / "t"),
        "icmp",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "listening" in process.stderr.readline()
    net.send(FRAMES)
    process.communicate(timeout=20)
    with_file = tool("tcpdump", "-nr", str(tmp_path / "t"), "icmp").splitlines()
    assert (len(tool("tcpdump", "-nr", str(tmp_path / "t")).splitlines()), len(with_file)) == (3, 1)
