"""What holds of the flow table whatever the packets are."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import sniffkit as sk
from captures import flow_cases
from captures.wire import MS, T0, Frame, eth, icmp, ip4, pcap, tcp, udp, vxlan

Row = dict[str, Any]
HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

ports = st.integers(0, 3).map(lambda port: port * 1000)
hosts = st.sampled_from(HOSTS)
payloads = st.binary(max_size=40)
flags = st.integers(0, 63)
numbers = st.integers(0, 400)


@st.composite
def packets(draw: Callable[..., Any]) -> bytes:
    """An IPv4 packet of one of few flows."""
    src, dst = draw(hosts), draw(hosts)
    kind = draw(st.sampled_from(["tcp", "udp", "icmp", "other"]))
    if kind == "tcp":
        segment = tcp(src, draw(ports), dst, draw(ports), draw(flags), draw(numbers), draw(numbers), draw(payloads))
        return ip4(src, dst, 6, segment)
    if kind == "udp":
        return ip4(src, dst, 17, udp(src, draw(ports), dst, draw(ports), draw(payloads)))
    if kind == "icmp":
        return ip4(src, dst, 1, icmp(draw(st.sampled_from([0, 3, 8, 11])), 0, draw(numbers), draw(payloads)))
    offset = draw(st.integers(0, 3)) * 8
    return ip4(src, dst, 17, draw(payloads), offset=offset, more=draw(st.booleans()), ident=draw(st.integers(0, 2)))


@st.composite
def captures(draw: Callable[..., Any]) -> list[Frame]:
    """Frames with and without tags and tunnels, times mostly forward, some cut."""
    frames, now = [], T0
    for packet in draw(st.lists(packets(), min_size=1, max_size=40)):
        now += draw(st.sampled_from([0, 1, MS, 30_000 * MS, 70_000 * MS, -5 * MS]))
        frame = eth(0x0800, packet, vlans=draw(st.sampled_from([(), (5,), (6, 5)])))
        if draw(st.booleans()):
            frame = vxlan(draw(st.integers(1, 2)), frame)
        frames.append(Frame(now, frame))
    return frames


def table(frames: list[Frame], kind: str = "flows", snap_len: int = 262_144, **rules: float) -> list[Row]:
    arrow = getattr(sk.open(io.BytesIO(pcap(frames, snap_len))), kind)(**rules).to_arrow()
    for name in {"ts", "ts_end"} & set(arrow.column_names):
        arrow = arrow.set_column(arrow.column_names.index(name), name, arrow[name].cast("int64"))
    rows: list[Row] = arrow.to_pylist()
    return rows


@settings(max_examples=60, deadline=None)
@given(captures(), st.sampled_from([40, 60, 80, 262_144]))
def test_every_frame_is_in_one_row(frames: list[Frame], snap_len: int) -> None:
    flows, packets = table(frames, snap_len=snap_len), table(frames, "packets", snap_len)
    assert sum(row["orig_pkts"] + row["resp_pkts"] for row in flows) == len(frames)
    assert sum(row["orig_bytes"] + row["resp_bytes"] for row in flows) == sum(len(frame.data) for frame in frames)
    by_uid: dict[str, list[Row]] = {}
    for packet in packets:
        by_uid.setdefault(packet["uid"], []).append(packet)
    assert set(by_uid) == {row["uid"] for row in flows}
    for row in flows:
        own = by_uid[row["uid"]]
        assert len(own) == row["orig_pkts"] + row["resp_pkts"]
        assert (own[0]["frame_number"], own[-1]["frame_number"]) == (row["first_frame"], row["last_frame"])
        times = [packet["ts"] for packet in own]
        assert (min(times), max(times), max(times) - min(times)) == (row["ts"], row["ts_end"], row["duration"])


@settings(max_examples=60, deadline=None)
@given(captures())
def test_series_and_counters_agree(frames: list[Frame]) -> None:
    for row in table(frames):
        for side in ("orig", "resp"):
            pkts, stat = row[f"{side}_pkts"], {name: row[f"{side}_len_{name}"] for name in ("min", "mean", "max")}
            if not pkts:
                assert set(stat.values()) == {None}
                continue
            assert stat["min"] <= stat["mean"] <= stat["max"]
            assert abs(stat["mean"] * pkts - row[f"{side}_bytes"]) < 1e-6 * row[f"{side}_bytes"]
            assert row[f"{side}_payload_bytes"] < row[f"{side}_ip_bytes"] <= row[f"{side}_bytes"]
            if pkts > 1:
                assert row[f"{side}_iat_min"] <= row[f"{side}_iat_mean"] <= row[f"{side}_iat_max"]
                assert row[f"{side}_iat_mean"] * (pkts - 1) <= row["duration"] * (1 + 1e-9)
            else:
                assert row[f"{side}_iat_max"] is None


def turned(frames: list[Frame]) -> list[Frame]:
    """The same traffic with the addresses of the first two hosts exchanged."""
    low, high = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    swap = bytes([10, 0, 0, 9])
    return [Frame(f.ts, f.data.replace(low, swap).replace(high, low).replace(swap, high)) for f in frames]


@settings(max_examples=60, deadline=None)
@given(captures())
def test_which_address_is_the_smaller_one_does_not_matter(frames: list[Frame]) -> None:
    names = {HOSTS[0]: HOSTS[1], HOSTS[1]: HOSTS[0]}
    hidden = {"uid", "parent_uid", "community_id"}

    def rows(of: list[Frame], rename: dict[str, str]) -> list[Row]:
        found = [{key: value for key, value in row.items() if key not in hidden} for row in table(of)]
        return [{**row, **{key: rename.get(row[key], row[key]) for key in ("orig_h", "resp_h")}} for row in found]

    assert rows(turned(frames), names) == rows(frames, {})


SCRIPTS = ["complete", "closed_then_late", "aborted", "trouble", "wrapped", "missing"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_other_flows_between_do_not_change_a_row(data: st.DataObject) -> None:
    """Two conversations in any interleaving give the rows that each gives alone."""
    one = flow_cases.CASES[data.draw(st.sampled_from(SCRIPTS))]()
    two = [Frame(frame.ts, eth(0x0800, frame.data[14:], vlans=(9,))) for frame in one]
    order = data.draw(st.permutations([0] * len(one) + [1] * len(two)))
    sides = [iter(one), iter(two)]
    mixed = [next(sides[which]) for which in order]
    numbering = {"first_frame", "last_frame"}
    # Both stand at the same times, so an interleaving changes neither order nor time within one of them.
    alone = [{k: v for k, v in row.items() if k not in numbering} for row in table(one) + table(two)]
    got = [{k: v for k, v in row.items() if k not in numbering} for row in table(mixed)]
    key = str
    assert sorted(got, key=key) == sorted(alone, key=key)


@settings(max_examples=40, deadline=None)
@given(captures(), st.integers(1, 5))
def test_a_small_table_evicts_and_loses_nothing(frames: list[Frame], max_flows: int) -> None:
    rows = table(frames, max_flows=max_flows)
    assert sum(row["orig_pkts"] + row["resp_pkts"] for row in rows) == len(frames)
    arrow = sk.open(io.BytesIO(pcap(frames))).flows(max_flows=max_flows).to_arrow()
    evicted = sum(row["end_reason"] == "evicted" for row in rows)
    assert int(arrow.schema.metadata[b"sniffkit.evicted_flows"]) == evicted
