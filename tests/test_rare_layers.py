"""Flows and lines of frames that few captures hold: `captures/rare_layers.py` says what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commandline import run

import sniffkit as sk
from captures import rare_layers
from captures.rare_layers import FOLDER, ROUTER, A, B
from captures.wire import SECOND, T0, Frame, arp, eth, pcap


def flows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sk.open(FOLDER / f"{name}.pcap").flows().to_arrow().to_pylist()
    return rows


def test_the_script_gives_the_kept_captures(tmp_path: Path) -> None:
    rare_layers.write(tmp_path)
    for path in FOLDER.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_probe_that_carries_nothing_is_no_tunnel() -> None:
    table = sk.open(FOLDER / "probes.pcap").packets(["protocols", "malformed", "ip_version"]).to_arrow().to_pylist()
    over4 = [row for row in table if row["ip_version"] == 4]
    assert {row["protocols"] for row in over4} == {"eth:ip:udp", "eth:ip", "eth:ip:icmp"}
    assert not any(row["malformed"] for row in over4)
    rows = flows("probes")
    assert {row["tunnel_type"] for row in rows} == {None}
    assert len([row for row in rows if row["proto"] == "udp" and row["resp_p"]]) == len(rare_layers.TUNNEL_PORTS)


def test_ethernet_in_ip_is_followed() -> None:
    rows = flows("ethernet-in-ip")
    assert [(row["tunnel_type"], row["proto"], row["orig_h"], row["resp_p"]) for row in rows] == [
        ("ethernet", "tcp", A, 80),
        ("etherip", "tcp", A, 80),
    ]
    assert [row["orig_pkts"] for row in rows] == [2, 1]


def test_an_error_that_quotes_an_authentication_header_knows_its_flow() -> None:
    datagram, error = flows("authenticated")
    assert (datagram["proto"], datagram["resp_p"], error["orig_h"]) == ("udp", 9999, ROUTER)
    assert error["parent_uid"] == datagram["uid"]


def test_arp_is_arp_whatever_the_hardware() -> None:
    (row,) = flows("hardware")
    assert (row["proto"], row["orig_h"], row["resp_h"], row["orig_pkts"], row["resp_pkts"]) == ("arp", A, B, 4, 3)
    names = ["arp_opcode", "arp_src_hw", "arp_src_ip", "arp_dst_ip"]
    first, second, *_, last = sk.open(FOLDER / "hardware.pcap").packets(names).to_arrow().to_pylist()
    assert list(first.values()) == [1, None, A, B]
    assert list(second.values()) == [2, None, B, A]
    assert last["arp_src_hw"] == "02:00:00:00:00:01"


def test_lines(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "read", "-t", str(FOLDER / "ethernet-in-ip.pcap"))
    talk = f"IP {A}.40000 > {B}.80: Flags [S], seq 100, win 64000, length 0"
    assert code == 0
    assert out.splitlines() == [
        f"IP6 2001:db8::1 > 2001:db8:1::2: srcrt {talk}",
        f"IP6 2001:db8::1 > 2001:db8:1::2: {talk}",
        f"IP {A} > {B}: EtherIP: {talk}",
    ]


def test_arp_whose_addresses_were_cut_is_not_joined_by_them(tmp_path: Path) -> None:
    for name, first in (("one", 1), ("two", 4)):
        macs = [f"02:00:00:00:00:{number:02x}" for number in range(first, first + 3)]
        asked = [eth(0x0806, arp(1, mac, A, "00:00:00:00:00:00", B), src=mac) for mac in macs]
        frames = [Frame(T0 + at * SECOND, data) for at, data in enumerate(asked)]
        (tmp_path / f"{name}.pcap").write_bytes(pcap(frames, snap_len=24))
    both = sk.open([tmp_path / "one.pcap", tmp_path / "two.pcap"])
    assert both.packets(["arp_opcode", "arp_src_ip"]).to_arrow().to_pylist() == 6 * [
        {"arp_opcode": None, "arp_src_ip": None}
    ]
    assert both.trace().to_arrow()["hops"].to_pylist() == 6 * [1]
