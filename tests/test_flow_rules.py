"""The rules of the flow table, one tiny capture each: `captures/flow_cases.py` says what happens in it."""

from __future__ import annotations

import io
import statistics
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from captures import flow_cases
from captures.wire import (
    ACK,
    CLIENT_MAC,
    MS,
    ROUTER_MAC,
    RST,
    SECOND,
    SERVER_MAC,
    SYN,
    T0,
    Frame,
    eth,
    ip4,
    pcapng,
    tcp,
)

Row = dict[str, Any]
A, B, C = flow_cases.A, flow_cases.B, flow_cases.C
STATS = ("min", "mean", "std", "max")


def table(name: str, kind: str = "flows") -> list[Row]:
    """The rows of a case; times as ns since its beginning."""
    arrow = getattr(sk.open(flow_cases.FOLDER / f"{name}.pcap"), kind)().to_arrow()
    for at, column in enumerate(arrow.column_names):
        if column in ("ts", "ts_end"):
            arrow = arrow.set_column(at, column, arrow[column].cast("int64"))
    rows: list[Row] = arrow.to_pylist()
    return [{k: v - T0 if k in ("ts", "ts_end") else v for k, v in row.items()} for row in rows]


def only(name: str) -> Row:
    (row,) = table(name)
    return row


def same(row: Row, **expected: Any) -> None:
    got = {key: row[key] for key in expected}
    assert got == expected


def sides(row: Row, suffix: str) -> tuple[Any, Any]:
    return row[f"orig_{suffix}"], row[f"resp_{suffix}"]


def test_the_script_gives_the_kept_captures(tmp_path: Path) -> None:
    flow_cases.write(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in flow_cases.FOLDER.iterdir()}
    assert made == kept


@pytest.mark.parametrize("name", flow_cases.CASES)
def test_every_frame_counts_in_one_row_and_names_it(name: str) -> None:
    flows, packets = table(name), table(name, "packets")
    assert sum(row["orig_pkts"] + row["resp_pkts"] for row in flows) == len(packets)
    assert sum(row["orig_bytes"] + row["resp_bytes"] for row in flows) == sum(row["frame_len"] for row in packets)
    for row in flows:
        own = [packet for packet in packets if packet["uid"] == row["uid"]]
        assert len(own) == row["orig_pkts"] + row["resp_pkts"]
        assert (own[0]["frame_number"], own[-1]["frame_number"]) == (row["first_frame"], row["last_frame"])
        assert (min(p["ts"] for p in own), max(p["ts"] for p in own)) == (row["ts"], row["ts_end"])
    assert len({row["uid"] for row in flows}) == len(flows)
    assert [row["first_frame"] for row in flows] == sorted(row["first_frame"] for row in flows)


def test_a_complete_connection() -> None:
    row = only("complete")
    same(row, orig_h=A, orig_p=40_000, resp_h=B, resp_p=80, proto="tcp", ip_proto=6, ip_version=4, service="http")
    same(row, orig_l2_addr=CLIENT_MAC, resp_l2_addr=SERVER_MAC, vlan=None, inner_vlan=None, vni=None, tunnel_type=None)
    same(row, netns=None, interface=None, parent_uid=None, icmp_type=None, icmp_code=None)
    same(row, ts=0, ts_end=70 * MS, duration=70 * MS, first_frame=1, last_frame=8)
    same(row, orig_pkts=5, resp_pkts=3, orig_bytes=4 * 60 + 72, resp_bytes=2 * 60 + 92)
    same(row, orig_ip_bytes=44 + 3 * 40 + 58, resp_ip_bytes=44 + 40 + 78, orig_payload_bytes=18, resp_payload_bytes=38)
    same(row, orig_win_init=64_000, resp_win_init=65_000, orig_mss=1460, resp_mss=1400)
    same(row, orig_tcp_flags=0x1B, resp_tcp_flags=0x1B, orig_ttl_min=64, orig_ttl_max=64)
    same(row, conn_state="SF", history="ShADdFf", end_reason="fin")
    for suffix in ("retrans_pkts", "ooo_pkts", "dup_acks", "zero_window", "truncated_pkts"):
        assert sides(row, suffix) == (0, 0), suffix


def test_round_trip_times_of_the_handshake() -> None:
    same(only("complete"), synack_rtt=10 * MS, ackdat_rtt=15 * MS, tcp_rtt=25 * MS)


def test_statistics_of_lengths_and_times_between() -> None:
    row = only("complete")
    lengths, between = [60, 60, 72, 60, 60], [25 * MS, 5 * MS, 20 * MS, 20 * MS]
    for name, values in (("len", lengths), ("iat", between)):
        expected = [min(values), statistics.mean(values), statistics.stdev(values), max(values)]
        assert [row[f"orig_{name}_{stat}"] for stat in STATS] == pytest.approx(expected, rel=1e-12), name
    assert [row[f"resp_len_{stat}"] for stat in ("min", "max")] == [60, 92]


def test_one_packet_has_no_deviation_and_no_time_between() -> None:
    row = table("half_open")[0]
    same(row, orig_len_min=60, orig_len_mean=60.0, orig_len_std=None, orig_len_max=60)
    assert [row[f"orig_iat_{stat}"] for stat in STATS] == [None] * 4
    assert [row[f"resp_{name}_{stat}"] for name in ("len", "iat") for stat in STATS] == [None] * 8
    same(row, resp_ttl_min=None, resp_ttl_max=None, resp_tcp_flags=None, resp_win_init=None, resp_mss=None)


def test_late_packets_belong_to_the_closed_row_for_a_minute() -> None:
    closed, later = table("closed_then_late")
    same(closed, orig_pkts=4 + 1, resp_pkts=2 + 1, conn_state="SF", history="ShAFfR", end_reason="fin")
    same(closed, resp_retrans_pkts=1, ts_end=1071 * MS)
    same(later, orig_h=A, orig_pkts=1, resp_pkts=0, conn_state="OTH", history="D", end_reason="eof")


def test_syn_ack_seen_first() -> None:
    row = only("synack_first")
    same(row, orig_h=A, orig_p=40_000, resp_h=B, resp_p=80, orig_pkts=1, resp_pkts=2, conn_state="OTH", history="hAd")
    same(row, synack_rtt=None, tcp_rtt=None, ackdat_rtt=15 * MS, orig_mss=None, resp_mss=1400, end_reason="eof")


def test_syn_behind_its_syn_ack() -> None:
    row = only("syn_behind_synack")
    same(row, orig_h=A, orig_pkts=2, resp_pkts=1, conn_state="S1", history="hSA", orig_mss=1460, orig_retrans_pkts=0)
    same(row, synack_rtt=10 * MS, ackdat_rtt=15 * MS, tcp_rtt=25 * MS)


def test_a_connection_met_in_the_middle() -> None:
    row = only("middle")
    same(row, orig_h=B, orig_p=80, resp_h=A, resp_p=40_000, conn_state="OTH", history="Da", service="http")
    same(row, synack_rtt=None, tcp_rtt=None, ackdat_rtt=None, orig_mss=None)


def test_a_refused_connection() -> None:
    same(only("refused"), conn_state="REJ", history="Sr", end_reason="rst", orig_pkts=1, resp_pkts=1)


def test_an_aborted_connection() -> None:
    same(only("aborted"), conn_state="RSTO", history="ShADR", end_reason="rst", orig_payload_bytes=10)


def test_a_new_syn_on_used_ports_is_a_new_row() -> None:
    old, new = table("port_reuse")
    same(old, orig_pkts=2, resp_pkts=1, conn_state="S1", end_reason="reuse", duration=25 * MS)
    same(new, orig_pkts=4, resp_pkts=2, conn_state="SF", end_reason="fin", ts=20_000 * MS, tcp_rtt=25 * MS)
    assert old["community_id"] == new["community_id"]


def test_a_repeated_syn_is_the_same_connection() -> None:
    row = only("syn_again")
    same(row, orig_pkts=3, orig_retrans_pkts=1, history="ShA", conn_state="S1")
    same(row, synack_rtt=None, tcp_rtt=None, ackdat_rtt=15 * MS)


def test_half_open() -> None:
    alone, answered = table("half_open")
    same(alone, conn_state="S0", history="S", end_reason="eof", resp_pkts=0, synack_rtt=None)
    same(answered, conn_state="S1", history="Sh", end_reason="eof", synack_rtt=10 * MS, tcp_rtt=None, ackdat_rtt=None)


@pytest.mark.parametrize(("proto", "ends"), [("udp", "idle"), ("tcp", "eof"), ("arp", "idle")])
def test_idle_timeouts(proto: str, ends: str) -> None:
    first, second = (row for row in table("idle") if row["proto"] == proto)
    same(first, orig_pkts=2, end_reason="idle")
    same(second, orig_pkts=1, end_reason=ends)  # the capture goes on for more than the timeout of UDP and ARP


def test_echo_pairs_of_two_hosts_and_two_identifiers() -> None:
    rows = table("echo")
    found = [(row["orig_h"], row["resp_h"], row["orig_pkts"], row["resp_pkts"]) for row in rows]
    assert found == [(A, B, 2, 2), (A, C, 1, 1), (A, B, 1, 1), (B, A, 1, 1)]
    for row in rows:
        same(row, orig_p=None, resp_p=None, proto="icmp", icmp_type=8, icmp_code=0, conn_state="OTH")
        same(row, history=None, orig_tcp_flags=None, orig_retrans_pkts=None, service=None)


def test_icmp_errors_name_the_flow_they_speak_of() -> None:
    datagrams, unreachable, connection, exceeded = table("icmp_errors")
    same(datagrams, proto="udp", orig_pkts=2, resp_pkts=0, parent_uid=None)
    same(unreachable, proto="icmp", orig_h=B, icmp_type=3, icmp_code=3, orig_pkts=2, parent_uid=datagrams["uid"])
    same(connection, proto="tcp", conn_state="S0", orig_pkts=1, parent_uid=None)
    same(exceeded, proto="icmp", orig_h=C, icmp_type=11, icmp_code=0, parent_uid=connection["uid"])


def test_quoted_headers_are_not_the_packets() -> None:
    error = table("icmp_errors", "packets")[1]
    same(error, ip_src=B, ip_dst=A, ip_proto=1, src_port=None, dst_port=None, icmp_type=3, icmp_code=3, tcp_flags=None)


def test_arp_rows() -> None:
    asked, announced = table("arp_rows")
    same(asked, proto="arp", orig_h=A, resp_h=B, orig_pkts=1, resp_pkts=1)
    same(asked, orig_l2_addr=CLIENT_MAC, resp_l2_addr=SERVER_MAC)
    same(announced, orig_h=C, resp_h=C, orig_pkts=1, orig_l2_addr=ROUTER_MAC, resp_l2_addr=None)
    for row in (asked, announced):
        same(row, ip_version=None, ip_proto=None, orig_p=None, orig_ip_bytes=None, orig_payload_bytes=None)
        same(row, community_id=None, conn_state=None, history=None, orig_ttl_min=None)


def test_other_ethernet_types_have_rows() -> None:
    lldp, _, experiment, *_ = rows = table("other_types")
    assert [row["proto"] for row in rows] == ["lldp", "stp", "0x88b5", "eapol", "stp", "cdp"]
    assert [row["vlan"] for row in rows] == [None, None, None, None, 7, None]
    same(experiment, orig_pkts=1, resp_pkts=1, orig_l2_addr=CLIENT_MAC, resp_l2_addr=SERVER_MAC)
    same(lldp, orig_h=None, resp_h=None, orig_p=None, resp_l2_addr=None, orig_bytes=60)


def test_cooked_frames_name_their_senders() -> None:
    datagrams, lldp = table("cooked")
    same(datagrams, orig_h=A, resp_h=B, orig_pkts=1, resp_pkts=1, orig_l2_addr=CLIENT_MAC, resp_l2_addr=SERVER_MAC)
    same(lldp, proto="lldp", orig_pkts=1, orig_l2_addr=ROUTER_MAC, resp_l2_addr=None)
    same(table("cooked", "packets")[0], eth_src=None, eth_dst=None, eth_type=None, ip_src=A)


def test_fragments_count_in_the_flow_of_their_datagram() -> None:
    row = only("fragments")
    same(row, orig_p=40_000, resp_p=9999, orig_pkts=3, resp_pkts=3, orig_payload_bytes=4000, resp_payload_bytes=4000)
    same(row, orig_ip_bytes=3 * 20 + 4008, first_frame=1, last_frame=6, conn_state="SF", history="Dd")


def test_one_row_of_packets_is_one_frame_even_of_a_fragment() -> None:
    rows = table("fragments", "packets")
    assert [row["src_port"] for row in rows] == [40_000, None, None, None, None, 9999]
    assert [row["ip_frag_offset"] for row in rows] == [0, 1480, 2960, 2960, 1480, 0]
    assert [row["ip_more_fragments"] for row in rows] == [True, True, False, False, True, True]
    assert [row["payload_len"] for row in rows] == [1472, 1480, 1048, 1048, 1480, 1472]


def test_fragments_without_their_first_have_a_row_without_ports() -> None:
    headless, whole = table("fragments_headless")
    same(headless, orig_h=A, orig_p=None, resp_p=None, proto="udp", orig_pkts=2, orig_payload_bytes=1480 + 1048)
    same(whole, orig_p=40_000, resp_p=9999, orig_pkts=1)
    metadata = sk.open(flow_cases.FOLDER / "fragments_headless.pcap").flows().to_arrow().schema.metadata
    assert metadata[b"sniffkit.orphan_fragments"] == b"2"


def test_fragments_of_two_flows_interleaved() -> None:
    second, first = table("fragments_crossed")
    same(second, orig_p=40_001, orig_pkts=2, orig_payload_bytes=2000, first_frame=1, last_frame=3)
    same(first, orig_p=40_000, orig_pkts=2, orig_payload_bytes=2000, first_frame=2, last_frame=4)


def test_fragments_of_ipv6_behind_options() -> None:
    row = only("fragments_ipv6")
    same(row, orig_h="2001:db8::1", orig_p=40_000, ip_version=6, ip_proto=17, orig_pkts=2, orig_payload_bytes=2000)
    packets = table("fragments_ipv6", "packets")
    assert [(p["ip_frag_offset"], p["ip_more_fragments"], p["ip_id"]) for p in packets] == [
        (1448, False, 77),
        (0, True, 77),
    ]


def test_a_fragmented_segment_leaves_no_hole() -> None:
    row = only("fragmented_segment")
    same(row, orig_pkts=5, orig_payload_bytes=2000, history="ShAD", orig_ooo_pkts=0, orig_retrans_pkts=0)


def test_lengths_are_of_the_wire_whatever_the_snap_length() -> None:
    datagrams, segments, cut = table("snap_length")
    same(datagrams, orig_pkts=2, orig_bytes=1042 + 60, orig_payload_bytes=1005, orig_truncated_pkts=1)
    same(segments, orig_pkts=2, orig_bytes=2 * 1054, orig_payload_bytes=2000, orig_truncated_pkts=2)
    same(segments, orig_retrans_pkts=0, orig_ooo_pkts=0, orig_len_max=1054)
    same(cut, orig_p=41_000, resp_p=80, vlan=1, inner_vlan=2, orig_tcp_flags=None, orig_win_init=None, history=None)
    packet = table("snap_length", "packets")[-1]
    same(packet, frame_len=566, cap_len=60, src_port=41_000, dst_port=80, tcp_flags=None, vlan_id=[1, 2, 3])
    same(packet, malformed="tcp@46: need 20 have 14 (cut by snap length)")


def test_times_that_run_back() -> None:
    row = only("time_runs_back")
    same(row, ts=0, ts_end=300 * MS, duration=300 * MS, first_frame=1, last_frame=4, orig_pkts=4)
    same(row, orig_iat_min=0, orig_iat_max=200 * MS)
    assert row["orig_iat_mean"] * 3 <= row["duration"]


def test_duplicate_frames_count_and_are_told() -> None:
    row = only("duplicates")
    same(row, orig_pkts=6, resp_pkts=4, orig_retrans_pkts=2, resp_retrans_pkts=1, resp_dup_acks=0, history="ShADTa")
    same(row, synack_rtt=None, tcp_rtt=None, ackdat_rtt=None, conn_state="S1")


def test_tags_and_tunnels_keep_equal_addresses_apart() -> None:
    rows = table("tags_and_tunnels")
    where = [(row["vlan"], row["inner_vlan"], row["vni"], row["tunnel_type"]) for row in rows]
    expected = [(None, None, None, None), (10, None, None, None), (20, None, None, None), (30, 20, None, None)]
    assert where == [*expected, (None, None, 100, "vxlan"), (None, None, 200, "vxlan")]
    for row in rows:
        same(row, orig_h=A, orig_p=40_000, resp_h=B, resp_p=9999, orig_pkts=2, orig_payload_bytes=8)
    assert len({row["community_id"] for row in rows}) == 1
    packets = table("tags_and_tunnels", "packets")[:6]
    assert [p["vlan_id"] for p in packets] == [None, [10], [20], [30, 20], None, None]
    assert [p["vxlan_vni"] for p in packets] == [None, None, None, None, 100, 200]
    same(packets[4], outer_ip_src="172.16.0.1", outer_ip_dst="172.16.0.2", ip_src=A, eth_src=CLIENT_MAC)
    same(packets[0], outer_ip_src=None, outer_ip_dst=None, protocols="eth:ip:udp:data")


def test_capture_points_keep_equal_flows_apart() -> None:
    frame = flow_cases.udp_frame(0, b"same")
    data = pcapng(["ns1/veth1", "ns2/veth2"], [(0, frame), (1, frame), (0, frame)])
    rows = sk.open(io.BytesIO(data)).flows().to_arrow().to_pylist()
    found = [(row["netns"], row["interface"], row["orig_pkts"]) for row in rows]
    assert found == [("ns1", "veth1", 2), ("ns2", "veth2", 1)]
    assert len({row["uid"] for row in rows}) == 2
    assert len({row["community_id"] for row in rows}) == 1


def test_a_time_that_was_not_recorded_is_null() -> None:
    timed, simple = flow_cases.udp_frame(0, b"timed"), flow_cases.udp_frame(0, b"simple", sport=40_001)
    cap = sk.open(io.BytesIO(pcapng(["eth0"], [(0, timed), (None, simple), (None, simple)])))
    known, unknown = cap.flows().to_arrow().to_pylist()
    same(known, duration=0, orig_pkts=1)
    same(unknown, ts=None, ts_end=None, duration=None, orig_pkts=2, orig_iat_min=None, orig_len_min=60)
    cap = sk.open(io.BytesIO(pcapng(["eth0"], [(0, timed), (None, simple)])))
    assert cap.packets().to_arrow()["ts"].is_null().to_pylist() == [False, True]


def without_times(frames: list[Frame], *untimed: int) -> Row:
    """The one flow of a capture whose frames of these numbers, from 0, have no recorded time."""
    other = (0, flow_cases.udp_frame(-1000, b"another flow", sport=7))
    own = [(None if at in untimed else 0, frame) for at, frame in enumerate(frames)]
    arrow = sk.open(io.BytesIO(pcapng(["eth0"], [other, *own]))).flows().to_arrow()
    rows: list[Row] = [{**row, "at": at and at.value - T0} for row in arrow.to_pylist() for at in [row["ts"]]]
    assert len(rows) == 2, "frames without a time begin no row of their own"
    return rows[1]


def test_frames_without_a_time_give_their_flow_none() -> None:
    """Neither the frames before nor 1970 lend them theirs."""
    frames = flow_cases.CASES["complete"]()
    rtts = ("tcp_rtt", "synack_rtt", "ackdat_rtt")
    times = [frame.ts - T0 for frame in frames]
    tcp_rtt, synack_rtt, ackdat_rtt = times[2] - times[0], times[1] - times[0], times[2] - times[1]
    for untimed, expected in (
        ((), (tcp_rtt, synack_rtt, ackdat_rtt)),
        ((0,), (None, None, ackdat_rtt)),
        ((1,), (tcp_rtt, None, None)),
        ((2,), (None, synack_rtt, None)),
        ((0, 1, 2), (None, None, None)),
    ):
        row = without_times(frames, *untimed)
        known = [time for at, time in enumerate(times) if at not in untimed]
        same(row, at=known[0], duration=known[-1] - known[0], conn_state="SF", end_reason="fin")
        assert tuple(row[name] for name in rtts) == expected
        for side, own in (("orig", {0, 2}), ("resp", {1})):
            assert (row[f"{side}_iat_min"] is None, row[f"{side}_iat_std"] is None) == (bool(own & set(untimed)),) * 2
    same(without_times(frames, *range(len(frames))), at=None, duration=None, conn_state="SF", end_reason="fin")
    last = without_times(frames, len(frames) - 1)
    same(last, duration=max(times[:-1]) - times[0], conn_state="SF")


def test_frames_without_a_time_end_no_row() -> None:
    """How long a flow was quiet before or behind them is unknown: here an hour by the times of other frames."""
    frames = [flow_cases.udp_frame(at, b"x") for at in (0, 0, 3_600_000)]
    same(without_times(frames, 1), duration=3600 * SECOND, orig_pkts=3, end_reason="eof")
    first = pcapng(["eth0"], [(None, frames[0]), (0, frames[2])])
    (row,) = sk.open(io.BytesIO(first)).flows().to_arrow().to_pylist()
    same(row, duration=0, orig_pkts=2, orig_iat_max=None, end_reason="eof")


def test_rows_that_begin_without_a_time_have_uids_of_their_own() -> None:
    a, b = "192.0.2.1", "192.0.2.2"

    def pair(seq: int) -> list[Frame]:
        syn, reset = tcp(a, 1000, b, 80, SYN, seq), tcp(b, 80, a, 1000, RST | ACK, 0, seq + 1)
        return [Frame(T0 + seq * MS, eth(0x0800, ip4(*ends, 6, one))) for ends, one in (((a, b), syn), ((b, a), reset))]

    frames = [(None if at in (0, 4) else 0, one) for at, one in enumerate([*pair(100), *pair(200), *pair(100)])]
    rows = sk.open(io.BytesIO(pcapng(["eth0"], frames))).flows().to_arrow()
    assert rows["first_frame"].to_pylist() == [1, 3, 5]
    assert len(set(rows["uid"].to_pylist())) == 3


def test_lost_late_and_repeated_segments() -> None:
    row = only("trouble")
    same(row, orig_ooo_pkts=1, orig_retrans_pkts=1, resp_dup_acks=2, resp_zero_window=1, history="ShADawT")
    same(row, orig_dup_acks=0, orig_zero_window=0, resp_retrans_pkts=0)


def test_a_segment_missing_from_the_capture() -> None:
    same(only("missing"), history="ShADGa", orig_ooo_pkts=0, orig_retrans_pkts=0, orig_payload_bytes=200)


def test_flags_that_do_not_go_together() -> None:
    same(only("odd_flags"), history="Qirr", end_reason="rst")


def test_sequence_numbers_that_wrap() -> None:
    row = only("wrapped")
    same(row, conn_state="SF", history="ShADaFf", end_reason="fin", orig_retrans_pkts=0, orig_ooo_pkts=0)


def test_service_by_content_then_by_port() -> None:
    assert [row["service"] for row in table("services")] == ["http", "tls", None, "dns"]


def test_udp_one_way_and_both() -> None:
    rows = table("unanswered")
    assert [(row["conn_state"], row["history"]) for row in rows] == [("S0", "D"), ("SF", "Dd"), ("S0", "D")]
