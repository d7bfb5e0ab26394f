"""When rows end, and what an error or a tag says of a flow: time is the packets' own, at each capture point."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commandline import run

import sniffkit as sk
from captures.flow_cases import A, B, C, udp_frame
from captures.wire import ACK, MS, SECOND, SYN, T0, Frame, arp, eth, icmp, ip4, pcap, pcapng, tcp, udp

Row = dict[str, Any]
DAY = 86_400 * SECOND


def rows(data: bytes, table: str = "flows", **rules: float) -> list[Row]:
    found: list[Row] = getattr(sk.open(io.BytesIO(data)), table)(**rules).to_arrow().to_pylist()
    return found


@pytest.mark.parametrize("apart", [0, 125, 300])
def test_the_clock_of_another_interface_ends_no_flow(apart: int) -> None:
    frames: list[tuple[int | None, Frame]] = []
    for n in range(10_000):
        one = udp_frame(20 * n, b"x")
        frames += [(0, one), (1, Frame(one.ts - apart * SECOND, one.data))]
    found = rows(pcapng(["h1", "h2"], frames))
    assert [(row["interface"], row["orig_pkts"], row["end_reason"]) for row in found] == [
        ("h1", 10_000, "eof"),
        ("h2", 10_000, "eof"),
    ]


@pytest.mark.parametrize("at", [10, 4100, 8190])
def test_one_frame_of_another_day_ends_no_flow(at: int) -> None:
    frames = [udp_frame(n, b"x") for n in range(9000)]
    frames.insert(at, Frame(T0 + DAY, udp_frame(0, b"x", sport=7).data))
    found = {row["orig_p"]: (row["orig_pkts"], row["end_reason"]) for row in rows(pcap(frames))}
    assert found == {40_000: (9000, "eof"), 7: (1, "eof")}
    begin = [Frame(T0, eth(0x0800, ip4(A, B, 6, tcp(A, 5, B, 6, SYN, 1))))]
    data = [Frame(T0 + n * MS, eth(0x0800, ip4(A, B, 6, tcp(A, 5, B, 6, ACK, 1 + n, 1, b"x")))) for n in range(1, 9000)]
    talk = begin + data
    talk.insert(at, frames[at])
    assert [(row["conn_state"], row["end_reason"]) for row in rows(pcap(talk))] == [("S0", "eof")] * 2


def test_flows_that_are_quiet_end_while_others_go_on() -> None:
    frames = [udp_frame(0, b"x", sport=1)] + [udp_frame(1000 * n, b"x") for n in range(20_000)]
    first, second = rows(pcap(frames))
    assert (first["end_reason"], second["orig_pkts"], second["end_reason"]) == ("idle", 20_000, "eof")


def test_errors_about_a_tunnel_that_cannot_be_read_name_its_flow() -> None:
    for proto, what in ((47, bytes.fromhex("000088b5") + b"zz" * 10), (4, b"\x45\0"), (41, b"\x60\0")):
        sent = ip4(A, B, proto, what)
        error = ip4(B, A, 1, icmp(3, 3, 0, sent[:28]))
        tunnel, about = rows(pcap([Frame(T0, eth(0x0800, sent)), Frame(T0 + MS, eth(0x0800, error))]))
        assert about["parent_uid"] == tunnel["uid"]


def test_an_error_may_stand_before_the_flow_that_it_speaks_of() -> None:
    sent = ip4(A, B, 17, udp(A, 1000, B, 9999, b"hi"))
    error = eth(0x0800, ip4(C, A, 1, icmp(3, 3, 0, sent[:28])))
    about, flow = rows(pcap([Frame(T0, error), Frame(T0 + 1, eth(0x0800, sent)), Frame(T0 + 2, error)]))
    assert (about["parent_uid"], about["orig_pkts"]) == (flow["uid"], 2)


def test_a_priority_without_a_vlan_is_no_part_of_the_key() -> None:
    """IEEE 802.1Q, table 9-2: the tag of the request names no VLAN, and the reply has none."""
    there = eth(0x0800, ip4(A, B, 17, udp(A, 1000, B, 9999, b"q")), vlans=(5 << 13,))
    back = eth(0x0800, ip4(B, A, 17, udp(B, 9999, A, 1000, b"a")))
    data = pcap([Frame(T0, there), Frame(T0 + MS, back)])
    (row,) = rows(data)
    assert (row["vlan"], row["orig_pkts"], row["resp_pkts"], row["conn_state"]) == (None, 1, 1, "SF")
    assert [packet["vlan_id"] for packet in rows(data, "packets")] == [[0], None]
    inner = eth(0x0800, ip4(A, B, 17, udp(A, 1000, B, 9999, b"q")), vlans=(0, 7))
    (row,) = rows(pcap([Frame(T0, inner)]))
    assert (row["vlan"], row["inner_vlan"]) == (7, None)


def test_arp_with_a_priority_is_of_the_same_segment() -> None:
    macs = [f"02:00:00:00:00:0{n}" for n in (1, 2)]
    said = [eth(0x0806, arp(2, one, A, macs[1], B), vlans=tags) for one, tags in zip(macs, [(0,), ()], strict=True)]
    found = rows(pcap([Frame(T0 + n * SECOND, one) for n, one in enumerate(said)]), "arp")
    assert [row["vlan"] for row in found] == [None, None]
    assert found[0]["finding"] == "new"
    assert found[1]["finding"] not in (None, "new")


def test_timeouts_are_options_of_commands(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.pcap").write_bytes(pcap([udp_frame(at, b"x") for at in (0, 5000, 10_000)]))
    names = {"--udp-idle": b"udp_icmp_idle_s", "--active": b"active_s", "--tcp-idle": b"tcp_idle_s"}
    for given, ends in (
        ((), ["eof"]),
        (("--udp-idle", "4"), ["idle", "idle", "eof"]),
        (("--active", "7"), ["active", "eof"]),
        (("--tcp-idle", "1"), ["eof"]),
    ):
        code, _, said = run(capfd, "flows", "c.pcap", *given, "-o", "f.parquet")
        assert code == 0, said
        table = pq.read_table("f.parquet")
        assert table["end_reason"].to_pylist() == ends
        for option, value in zip(given[::2], given[1::2], strict=True):
            assert float(table.schema.metadata[b"sniffkit." + names[option]]) == float(value)
        assert run(capfd, "packets", "c.pcap", *given, "--columns", "uid", "-o", "p.parquet")[0] == 0
        assert len(set(pq.read_table("p.parquet")["uid"].to_pylist())) == len(ends)
    assert run(capfd, "flows", "c.pcap", "--udp-idle", "0")[:2] == (2, "")
    code, _, said = run(capfd, "capture", "-i", "lo", "--no-save", "--udp-idle", "1")
    assert (code, "--udp-idle is of the flow table" in said) == (2, True)
