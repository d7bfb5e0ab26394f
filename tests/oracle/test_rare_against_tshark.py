"""Layers and fields of frames that few captures hold, beside tshark's."""

from __future__ import annotations

import subprocess

import pytest

import sniffkit as sk
from captures.rare_layers import CAPTURES, FOLDER

pytestmark = pytest.mark.oracle

PORTS = ("udp", "tcp", "dccp")
FIELDS = (
    "frame.protocols",
    *(f"{proto}.{end}port" for proto in PORTS for end in ("src", "dst")),
    *("arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.hw_mac", "arp.dst.proto_ipv4"),
)
COLUMNS = ["protocols", "src_port", "dst_port"]
COLUMNS += ["arp_opcode", "arp_src_hw", "arp_src_ip", "arp_dst_hw", "arp_dst_ip"]


@pytest.mark.parametrize("name", sorted(CAPTURES))
def test_tshark_sees_the_same(name: str) -> None:
    path = str(FOLDER / f"{name}.pcap")
    command = ["tshark", "-n", "-r", path, "-T", "fields", *(word for field in FIELDS for word in ("-e", field))]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = []
    for line in out.splitlines():
        stack, *values = line.split("\t")
        ports, arp = values[: 2 * len(PORTS)], values[2 * len(PORTS) :]
        # Those of quoted headers are not the packet's.
        ends = ["", ""] if ":icmp:ip:" in stack else ["".join(ports[::2]), "".join(ports[1::2])]
        expected.append([stack.replace(":ethertype", ""), *(value or None for value in (*ends, *arp))])
    rows = sk.open(path).packets(COLUMNS).to_arrow().to_pylist()
    assert [[None if value is None else str(value) for value in row.values()] for row in rows] == expected
