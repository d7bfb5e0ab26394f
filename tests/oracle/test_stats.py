"""`sniffkit stats` against tshark's own figures on the captures of the corpus."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import sniffkit as sk

# Captures with many kinds of traffic: PPPoE with L2TP, VXLAN, IPv6, DNS, fragments, ARP.
CAPTURES = [
    "dpkt--nb6-http.pcap",
    "community-id-spec--ipv6.pcap",
    "ja4--badcurveball.pcap",
]

# Named by tshark from what it put together of several frames; our stacks are of one frame each.
REASSEMBLED = {"tls"}
# Ports are those of the innermost header, so a tunnel's own UDP conversation is not listed.
TUNNELS = {frozenset(("109.6.1.72:1701", "95.136.242.99:1701"))}


def tshark(path: Path, tap: str) -> str:
    command = ["tshark", "-n", "-q", "-z", tap, "-r", str(path), "-o", "ip.defragment:FALSE"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(params=CAPTURES)
def path(request: pytest.FixtureRequest, corpus: Path) -> Path:
    return corpus / "captures" / str(request.param)


def test_protocol_hierarchy(path: Path) -> None:
    """Every protocol that both name, in the same place, has tshark's frames and bytes; transports all are named."""
    stack: list[str] = []
    theirs: dict[str, tuple[int, int]] = {}
    for line in tshark(path, "io,phs").splitlines():
        found = re.match(r"( *)(\S+) +frames:(\d+) bytes:(\d+)", line)
        if found:
            stack[len(found[1]) // 2 :] = [found[2]]
            theirs[":".join(stack)] = (int(found[3]), int(found[4]))
    ours = {
        row["path"]: (row["frames"], row["bytes"]) for row in sk.open(path).stats.hierarchy().to_arrow().to_pylist()
    }
    shared = {name for name in ours.keys() & theirs.keys() if name.rpartition(":")[2] not in REASSEMBLED}
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    transport = {
        name for name in theirs if re.fullmatch(r"eth(:vlan)*(:(arp|ip|ipv6)(:(tcp|udp|icmp|icmpv6))?)?", name)
    }
    assert transport <= shared


def tunnel(key: tuple[object, ...]) -> bool:
    return key[0] in TUNNELS or frozenset(key[:2]) in TUNNELS


@pytest.mark.parametrize("layer", ["eth", "ip", "ipv6", "tcp", "udp"])
def test_conversations(path: Path, layer: str) -> None:
    theirs: Counter[tuple[object, ...]] = Counter()
    row = re.compile(r"(\S+) +<-> (\S+) +(\d+) (\d+) bytes +(\d+) (\d+) bytes +(\d+) (\d+) bytes")
    for found in row.finditer(tshark(path, f"conv,{layer}").replace(",", "")):
        ends = frozenset(found.group(1, 2))
        if ends in TUNNELS:
            continue
        theirs[(ends, "frames")] += int(found[7])
        theirs[(ends, "bytes")] += int(found[8])
        theirs[(found[1], found[2], "bytes")] += int(found[6])
        theirs[(found[2], found[1], "bytes")] += int(found[4])
    ours: Counter[tuple[object, ...]] = Counter()
    for one in sk.open(path).stats.conversations(layer).to_arrow().to_pylist():
        a, b = (f"{one[end]}:{one[f'{end}_port']}" if f"{end}_port" in one else one[end] for end in ("a", "b"))
        ours[(frozenset((a, b)), "frames")] += one["frames"]
        ours[(frozenset((a, b)), "bytes")] += one["bytes"]
        ours[(a, b, "bytes")] += one["a_to_b_bytes"]
        ours[(b, a, "bytes")] += one["b_to_a_bytes"]
    assert {key: count for key, count in (+ours).items() if key in theirs or not tunnel(key)} == dict(+theirs)


@pytest.mark.parametrize("layer", ["eth", "ip", "tcp"])
def test_endpoints(path: Path, layer: str) -> None:
    theirs = set()
    for line in tshark(path, f"endpoints,{layer}").replace(",", "").splitlines():
        words = line.split()
        if len(words) == (8 if layer == "tcp" else 7) and words[-1].isdigit():
            theirs.add((*words[: len(words) - 6], *map(int, words[-6:])))
    names = ("frames", "bytes", "tx_frames", "tx_bytes", "rx_frames", "rx_bytes")
    rows = sk.open(path).stats.endpoints(layer).to_arrow().to_pylist()
    ours = {
        (one["address"], *([str(one["port"])] if "port" in one else []), *(one[name] for name in names)) for one in rows
    }
    assert ours == theirs


def test_lengths_and_io(path: Path) -> None:
    theirs = re.findall(r"^ (\d+-\d+|5120 and greater) +(\d+) ", tshark(path, "plen,tree"), re.MULTILINE)
    lengths = sk.open(path).stats.lengths().to_arrow().to_pylist()
    assert [(one["length"], one["frames"]) for one in lengths] == [(name, int(count)) for name, count in theirs]
    table = re.findall(r"^\|[^|]*<>[^|]*\| +(\d+) \| +(\d+) \|", tshark(path, "io,stat,1"), re.MULTILINE)
    io = sk.open(path).stats.io(1.0).to_arrow().to_pylist()
    assert [(one["frames"], one["bytes"]) for one in io] == [(int(frames), int(size)) for frames, size in table]


def test_summary(path: Path) -> None:
    fields = subprocess.run(
        ["capinfos", "-T", "-M", "-r", "-c", "-d", "-u", "-S", "-a", "-e", str(path)],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout.strip().split("\t")  # fmt: skip
    one = sk.open(path).stats.summary().to_arrow().to_pylist()[0]
    _, packets, size, duration, *_ = fields
    assert (one["packets"], one["bytes"], one["duration"]) == (int(packets), int(size), round(float(duration) * 1e9))
