"""The flow table against a capture whose flows are known: `make_big.py --truth` of ../shared/perf.

Every flow's packets and bytes each way and its first and last time must be the truth's, VLAN, QinQ and VXLAN included.
"""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import sniffkit as sk

PACKETS, FLOWS = 60_000, 3_000
IP_TYPES = {"dns": "udp", "http": "tcp", "tls": "tcp", "raw": "tcp", "media": "udp"}


@pytest.fixture(scope="module")
def big(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "big.pcap"
    script = corpus.parent / "perf" / "make_big.py"
    counts = ["--packets", str(PACKETS), "--flows", str(FLOWS), "--seed", "7", "--ipv6", "25", "--qinq", "5"]
    subprocess.run([sys.executable, script, path, *counts, "--nano", "--truth"], check=True, capture_output=True)
    return path


def truth(path: Path) -> Counter[tuple[object, ...]]:
    """One entry a flow: where, who, packets and bytes each way, first and last time. Tags and VNI follow its number."""
    found: Counter[tuple[object, ...]] = Counter()
    with gzip.open(f"{path}.flows.tsv.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            number, kind, six = int(row["flow"]), row["type"], ":" in row["client"]
            inner = 100 + (number & 15)
            vlan, inner_vlan, vni = {
                "plain": (None, None, None),
                "vlan": (inner, None, None),
                "qinq": (200 + (number & 3), inner, None),
                "vxlan": (None, None, 5000 + (number & 63)),
            }[row["l2"]]
            proto = IP_TYPES.get(kind) or {"icmp": "icmpv6" if six else "icmp", "arp": "arp"}[kind]
            ports = (int(row["cport"]), int(row["sport"])) if kind in IP_TYPES else (None, None)
            counts = (int(row[name]) for name in ("pk_up", "pk_down", "by_up", "by_down", "first_ns", "last_ns"))
            found[(vlan, inner_vlan, vni, proto, row["client"], ports[0], row["server"], ports[1], *counts)] += 1
    return found


def test_every_flow_is_the_true_one(big: Path) -> None:
    who = ["vlan", "inner_vlan", "vni", "proto", "orig_h", "orig_p", "resp_h", "resp_p"]
    counts = ["orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "ts", "ts_end"]
    table = sk.open(big).flows(columns=[*who, *counts]).to_arrow()
    for name in ("ts", "ts_end"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast("int64"))
    got = Counter(zip(*(table[name].to_pylist() for name in [*who, *counts]), strict=True))
    expected = truth(big)
    assert expected.total() == FLOWS
    assert sum(row[8] + row[9] for row in got.elements()) == PACKETS  # type: ignore[operator]
    wrong, missed = got - expected, expected - got
    assert not wrong, f"{wrong.total()} wrong rows, {missed.total()} missed: {next(iter(wrong))} {next(iter(missed))}"
    assert not missed
    layers = {(row[0] is not None, row[1] is not None, row[2] is not None) for row in got}
    assert layers == {(False, False, False), (True, False, False), (True, True, False), (False, False, True)}


def test_packets_name_their_flows(big: Path) -> None:
    cap = sk.open(big)
    flows = cap.flows(columns=["uid", "orig_pkts", "resp_pkts"]).to_arrow().to_pylist()
    named = Counter(cap.packets(columns=["uid"]).to_arrow()["uid"].to_pylist())
    assert {row["uid"]: row["orig_pkts"] + row["resp_pkts"] for row in flows} == named
