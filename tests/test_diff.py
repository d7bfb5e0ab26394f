"""`sniffkit diff`: what is reported is what was dropped, delayed, rewritten, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sniffkit as sk
from captures.wire import ACK, MS, PSH, SECOND, SYN, T0, Frame, arp, eth, icmp, ip4, ip6, pcap, pcapng, tcp, udp, vxlan
from sniffkit.comparison import SECTIONS, Diff

CLIENT, SERVER, PUBLIC = "10.0.0.1", "203.0.113.2", "203.0.113.1"
OWN = ["captures/demo/demo.pcapng", *(f"docs/labs/{name}.pcapng" for name in ("nat", "vlan", "vxlan", "netem", "ra"))]


def rows(table: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = table.to_arrow().to_pylist()
    return listed


def compare(folder: Path, a: list[Frame], b: list[Frame], **options: Any) -> Diff:
    paths = folder / "a.pcap", folder / "b.pcap"
    for path, frames in zip(paths, (a, b), strict=True):
        path.write_bytes(pcap(sorted(frames, key=lambda frame: frame.ts)))
    return sk.open(paths[0]).diff(sk.open(paths[1]), **options)


@pytest.mark.parametrize("capture", [*OWN, *sorted(map(str, Path("captures/flows").glob("*.pcap")))])
def test_a_capture_does_not_differ_from_itself(capture: str) -> None:
    diff = sk.open(capture).diff(sk.open(capture))
    frames = sk.open(capture).packets(columns=["frame_number"]).to_arrow().num_rows
    assert (rows(diff.packets()), rows(diff.changes()), diff.clock_offset) == ([], [], None)
    assert [one["frame_b"] for one in rows(diff.matches())] == list(range(1, frames + 1))
    assert {row["delay"] for row in rows(diff.matches())} <= {0, None}
    assert {row["seen"] for row in rows(diff.flows())} <= {"both"}
    assert rows(diff.summary())[-1]["packets_both"] == frames


def message(kind: str, number: int, at: int) -> Frame:
    """A packet of one of several kinds; some are told apart by numbers in them, others by time only."""
    if kind == "tcp":
        return Frame(at, eth(0x0800, ip4(CLIENT, SERVER, 6, tcp(CLIENT, 4000, SERVER, 80, ACK | PSH, number * 100, 7,
                                                                b"x" * 100), ident=number)))  # fmt: skip
    if kind == "ping":
        return Frame(at, eth(0x0800, ip4(SERVER, CLIENT, 1, icmp(0, 0, 7 << 16 | number, b"p" * 56), ident=0)))
    if kind == "udp6":
        return Frame(at, eth(0x86DD, ip6("fd00::1", "fd00::2", 17, udp("fd00::1", 9, "fd00::2", 9, b"same"))))
    if kind == "udp":
        data = number.to_bytes(4, "big")
        return Frame(at, eth(0x0800, ip4(CLIENT, SERVER, 17, udp(CLIENT, 5000, SERVER, 53, data), ident=0)))
    if kind == "arp":
        return Frame(at, eth(0x0806, arp(1, "02:00:00:00:00:01", CLIENT, "00:00:00:00:00:00", SERVER)))
    return Frame(at, eth(0x88CC, b"lldp" + bytes(40), dst="01:80:c2:00:00:0e"))


KINDS = ["tcp", "ping", "udp6", "udp", "arp", "lldp"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_exactly_what_was_dropped_and_delayed_is_reported(tmp_path: Path, data: st.DataObject) -> None:
    """Frames 10 ms apart, some on one side only, those of b up to 4 ms later, in another order where that follows."""
    count = data.draw(st.integers(2, 40))
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=count, max_size=count))
    sides = data.draw(
        st.lists(st.sampled_from(["both", "both", "both", "both", "a", "b"]), min_size=count, max_size=count)
    )
    delays = data.draw(st.lists(st.integers(0, 4 * MS), min_size=count, max_size=count))
    sent = [message(kind, number, T0 + number * 10 * MS) for number, kind in enumerate(kinds, 1)]
    # What is on both sides from the start, so that something tells the usual delay.
    steady = [message("tcp", 1000 + number, T0 - SECOND + number * 10 * MS) for number in range(10)]
    a = [*steady, *(frame for frame, side in zip(sent, sides, strict=True) if side != "b")]
    later = [replace(frame, ts=frame.ts + delay) for frame, delay in zip(sent, delays, strict=True)]
    b = [*(replace(one, ts=one.ts + 2 * MS) for one in steady),
         *(frame for frame, side in zip(later, sides, strict=True) if side != "a")]  # fmt: skip
    diff = compare(tmp_path, a, b, window=0.005)
    number_a = {frame.ts: n for n, frame in enumerate(sorted(a, key=lambda one: one.ts), 1)}
    number_b = {frame.ts: n for n, frame in enumerate(sorted(b, key=lambda one: one.ts), 1)}
    expected = {
        (number_a[frame.ts], number_b[late.ts])
        for frame, late, side in zip(sent, later, sides, strict=True) if side == "both"
    }  # fmt: skip
    found = {(one["frame_a"], one["frame_b"]): one["ts_b"].value - one["ts_a"].value for one in rows(diff.matches())}
    assert {pair for pair in found if pair[0] > 10} == expected
    only = [(one["only_in"], one["frame_number"]) for one in rows(diff.packets())]
    assert sorted(only) == sorted(
        [("a", number_a[frame.ts]) for frame, side in zip(sent, sides, strict=True) if side == "a"]
        + [("b", number_b[frame.ts]) for frame, side in zip(later, sides, strict=True) if side == "b"]
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_numbered_packets_are_known_again_however_late(tmp_path: Path, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    kinds = data.draw(st.lists(st.sampled_from(["tcp", "ping"]), min_size=count, max_size=count))
    delays = data.draw(st.lists(st.integers(-20 * SECOND, 20 * SECOND), min_size=count, max_size=count, unique=True))
    a = [message(kind, number, T0 + number) for number, kind in enumerate(kinds, 1)]
    b = [replace(frame, ts=frame.ts + delay) for frame, delay in zip(a, delays, strict=True)]
    diff = compare(tmp_path, a, b)
    assert rows(diff.packets()) == []
    apart = {one["frame_a"]: one["ts_b"].value - one["ts_a"].value for one in rows(diff.matches())}
    assert apart == {number: b[number - 1].ts - a[number - 1].ts for number in range(1, count + 1)}


def through_nat(exchange: int, at: int, ident: int) -> tuple[list[Frame], list[Frame]]:
    """A SYN and its answer inside and outside of a router that hides CLIENT behind PUBLIC, 1 ms later each way."""
    port, seq = 4000 + exchange, exchange * 1_000_003

    def frame(ts: int, src: str, sport: int, dst: str, dport: int, flags: int, ttl: int, answer: bool) -> Frame:
        segment = tcp(src, sport, dst, dport, flags, *((seq * 7, seq + 1) if answer else (seq, 0)))
        return Frame(ts, eth(0x0800, ip4(src, dst, 6, segment, ttl=ttl, ident=0 if answer else ident)))

    inside = [
        frame(at, CLIENT, port, SERVER, 80, SYN, 64, False),
        frame(at + 12 * MS, SERVER, 80, CLIENT, port, SYN | ACK, 63, True),
    ]
    outside = [
        frame(at + MS, PUBLIC, port + 20_000, SERVER, 80, SYN, 63, False),
        frame(at + 11 * MS, SERVER, 80, PUBLIC, port + 20_000, SYN | ACK, 64, True),
    ]
    return inside, outside


def test_nat_is_seen_through(tmp_path: Path) -> None:
    a, b = [], []
    for exchange in range(20):
        inside, outside = through_nat(exchange, T0 + exchange * 3 * MS, exchange + 1)
        a += inside
        b += outside[:-1] if exchange == 7 else outside  # an answer that the outer capture missed
    a += [message("lldp", 0, T0 + n * 7 * MS) for n in range(9)]
    b += [Frame(T0 + n * 7 * MS, eth(0x86DD, ip6("fe80::1", "ff02::1", 58, icmp(134, 0)))) for n in range(9)]
    diff = compare(tmp_path, a, b)
    found = rows(diff.matches())
    assert len(found) == 39
    assert {one["delay"] for one in found} == {MS}
    assert {one["way"] for one in found} == {"a > b", "b > a"}
    flows = [one for one in rows(diff.flows()) if one["seen"] == "both"]
    assert len(flows) == 20
    ends = {(one["orig_h"], one["b_orig_h"], one["b_orig_p"] - one["orig_p"], one["resp_h"]) for one in flows}
    assert ends == {(CLIENT, PUBLIC, 20_000, SERVER)}
    assert sorted(one["only_in"] for one in rows(diff.packets())) == ["a"] * 10 + ["b"] * 9
    changed = {one["field"]: one["packets"] for one in rows(diff.changes())}
    assert (changed["ip_src"], changed["ip_dst"], changed["ip_ttl"]) == (20, 19, 39)
    assert "tcp_seq" not in changed
    summary = {one["way"]: one for one in rows(diff.summary())}
    assert summary["a > b"]["loss"] == 0
    assert summary["all"]["rewritten"] == 39


def test_loss_is_counted_for_the_way_it_happened(tmp_path: Path) -> None:
    a, b = [], []
    for number in range(1, 101):
        at = T0 + number * 20 * MS
        segment = tcp(CLIENT, 4000, SERVER, 80, ACK, number, 9)
        answer = tcp(SERVER, 80, CLIENT, 4000, ACK, 9, number)
        a.append(Frame(at, eth(0x0800, ip4(CLIENT, SERVER, 6, segment, ident=number))))
        if number % 10:
            b.append(Frame(at + MS, eth(0x0800, ip4(CLIENT, SERVER, 6, segment, ident=number, ttl=63))))
            b.append(Frame(at + 5 * MS, eth(0x0800, ip4(SERVER, CLIENT, 6, answer, ident=number, ttl=64))))
            if number % 3:
                a.append(Frame(at + 8 * MS, eth(0x0800, ip4(SERVER, CLIENT, 6, answer, ident=number, ttl=63))))
    diff = compare(tmp_path, a, b)
    summary = {one["way"]: one for one in rows(diff.summary())}
    assert (summary["a > b"]["only_a"], summary["a > b"]["loss"]) == (10, 0.1)
    assert (summary["b > a"]["only_b"], summary["b > a"]["loss"]) == (30, pytest.approx(30 / 90))
    assert (summary["a > b"]["delay_min"], summary["b > a"]["delay_max"]) == (MS, 3 * MS)
    flow = rows(diff.flows())[0]
    assert (flow["orig_lost"], flow["resp_lost"], flow["orig_delay_median"]) == (10, 30, MS)
    assert all(one["lost"] for one in rows(diff.packets()))


@pytest.mark.parametrize("ahead", [-3600 * SECOND, -SECOND, 50 * MS, 86400 * SECOND])
def test_a_wrong_clock_is_told_and_taken_out(tmp_path: Path, ahead: int) -> None:
    a, b = [], []
    for exchange in range(10):
        inside, outside = through_nat(exchange, T0 + exchange * 30 * MS, exchange + 1)
        a += inside
        b += [replace(frame, ts=frame.ts + ahead) for frame in outside]
    # Without a NAT: what is the same on both sides tells the clock, which finds the rest.
    a += [message("ping", n, T0 + n * 25 * MS) for n in range(1, 10)]
    b += [replace(message("ping", n, T0 + n * 25 * MS - MS), ts=T0 + n * 25 * MS - MS + ahead) for n in range(1, 10)]
    diff = compare(tmp_path, a, b)
    assert diff.clock_offset == ahead
    assert {one["delay"] for one in rows(diff.matches())} <= {MS, -MS}
    assert len(rows(diff.matches())) == 29


def test_into_a_tunnel(tmp_path: Path) -> None:
    plain = [message("tcp", n, T0 + n * MS) for n in range(1, 6)]
    diff = compare(tmp_path, plain, [Frame(one.ts + 1000, vxlan(42, one.data)) for one in plain])
    assert rows(diff.packets()) == []
    changed = {one["field"]: (one["from"], one["to"]) for one in rows(diff.changes())}
    assert changed["vxlan_vni"] == (None, "42")
    assert changed["outer_ip_src"] == (None, "172.16.0.1")
    assert "ip_src" not in changed


def test_multicast_of_two_links_is_not_one_packet(tmp_path: Path) -> None:
    def heard(src: str, at: int) -> Frame:
        return Frame(at, eth(0x86DD, ip6(src, "ff02::16", 58, icmp(143, 0, 1, bytes(20)))))

    diff = compare(tmp_path, [heard("fe80::a", T0 + n) for n in range(5)], [heard("fe80::b", T0 + n) for n in range(5)])
    assert rows(diff.matches()) == []
    assert {one["lost"] for one in rows(diff.packets())} == {False}


def test_two_points_of_one_file(tmp_path: Path) -> None:
    sent = [message("tcp", n, T0 + n * MS) for n in range(1, 8)]
    frames: list[tuple[int | None, Frame]] = [(0, one) for one in sent]
    frames += [(1, replace(one, ts=one.ts + 1000)) for one in sent[:-2]]
    (tmp_path / "two.pcapng").write_bytes(pcapng(["left", "right"], frames))
    diff = sk.open(tmp_path / "two.pcapng").diff(points=("left", "right"))
    assert len(rows(diff.matches())) == 5
    assert [one["interface"] for one in rows(diff.packets())] == ["left", "left"]
    with pytest.raises(sk.SniffkitError, match=r"no frame at the point 'up'; there are: .*left right"):
        sk.open(tmp_path / "two.pcapng").diff(points=("left", "up")).summary()


def test_frames_without_a_time_are_known_by_their_numbers(tmp_path: Path) -> None:
    sent = [message("tcp", n, T0) for n in range(1, 4)]
    (tmp_path / "timeless.pcapng").write_bytes(pcapng(["eth0"], [(None, one) for one in sent]))
    (tmp_path / "timed.pcap").write_bytes(pcap(sent))
    diff = sk.open(tmp_path / "timeless.pcapng").diff(sk.open(tmp_path / "timed.pcap"))
    assert [(one["frame_a"], one["frame_b"], one["delay"]) for one in rows(diff.matches())] == [
        (n, n, None) for n in (1, 2, 3)
    ]


def test_files_that_are_open(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap([message("tcp", n, T0 + n) for n in range(1, 4)]))
    with open(tmp_path / "a.pcap", "rb") as one, open(tmp_path / "a.pcap", "rb") as other:
        capture = sk.open(one)
        assert len(rows(capture.diff(sk.open(other)).matches())) == 3
        assert len(rows(capture.diff().matches())) == 3
        assert len(rows(capture.trace())) == 3


def test_nothing_against_something(tmp_path: Path) -> None:
    diff = compare(tmp_path, [], [message("tcp", 1, T0)])
    assert [one["only_in"] for one in rows(diff.packets())] == ["b"]
    assert [rows(getattr(compare(tmp_path, [], []), name)()) for name in ("packets", "flows", "changes")] == [[]] * 3


@pytest.fixture
def command(called: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    return partial(called, "diff")


NAT = ("docs/labs/nat.pcapng", "-i", "router/lan", "-i", "router/wan")


def test_the_router_of_the_nat_lab(command: Callable[..., tuple[int, str, str]], golden: Any) -> None:
    """Both sides of a real router: every packet that it forwarded is known again, and nothing else."""
    code, out, err = command(*NAT, "--only", "flows", "--json")
    assert (code, err) == (0, "")
    both = [one for one in map(json.loads, out.splitlines()) if one["seen"] == "both"]
    assert [(one["orig_h"], one["b_orig_h"], one["resp_h"], one["b_resp_h"]) for one in both] == [
        (CLIENT, PUBLIC, SERVER, SERVER),
        (CLIENT, PUBLIC, SERVER, SERVER),
        (SERVER, SERVER, "10.0.0.2", PUBLIC),
    ]
    assert [one["packets_both"] for one in both] == [4, 12, 12]
    golden("diff/nat.txt", command(*NAT)[1])


def test_what_a_router_dropped() -> None:
    """Through a NAT that loses: nftables' own counters, each way."""
    folder = Path("captures/loss")
    out, back = map(int, (folder / "dropped.txt").read_text().split())
    diff = sk.open(folder / "near.pcapng").diff(sk.open(folder / "far.pcapng"))
    summary = {one["way"]: one for one in rows(diff.summary())}
    assert (summary["a > b"]["only_a"], summary["a > b"]["only_b"]) == (out, 0)
    assert (summary["b > a"]["only_b"], summary["b > a"]["only_a"]) == (back, 0)
    assert {one["b_orig_h"] for one in rows(diff.flows())} == {PUBLIC}
    assert min(one["delay"] for one in rows(diff.matches())) > 0


def test_every_format(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, _ = command(*NAT, "--json")
    assert code == 0
    assert list(dict.fromkeys(json.loads(line)["section"] for line in out.splitlines())) == list(SECTIONS)
    assert command(*NAT, "-o", str(tmp_path / "all.jsonl"))[0] == 0
    assert (tmp_path / "all.jsonl").read_text() == out
    for suffix in ("parquet", "csv", "arrow"):
        assert command(*NAT, "--only", "matches", "-o", str(tmp_path / f"m.{suffix}")) == (0, "", "")
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 29


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["docs/labs/nat.pcapng"], "give A and B, or one with two points"),
        (["a.pcap", "b.pcap"], "a.pcap: No such file or directory"),
        (["a", "b", "c"], "two captures are compared, not 3"),
        (
            [*NAT[:1], "-i", "router/lan", "-i", "router/eth9"],
            "no frame at the point 'router/eth9'; there are: client/",
        ),
        ([*NAT, "--only", "nosuch"], "no section 'nosuch'; there are: summary flows packets changes matches"),
        ([*NAT, "-o", "x.csv"], "x.csv holds one table: --only SECTION says which"),
        ([*NAT, "--window", "0"], "window 0: it must be above 0 s"),
        ([*NAT, "--window", "nan"], "window nan"),
        ([*NAT, "-f", "tcp prot"], 'bad filter "tcp prot"'),
        (["-", "-"], "standard input can be read once, and is given twice"),
        (["README.md", "docs/labs/nat.pcapng"], "not a capture: text"),
    ],
)
def test_a_bad_request_is_one_line(
    command: Callable[..., tuple[int, str, str]], arguments: list[str], says: str
) -> None:
    code, out, err = command(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err


def test_damage_is_told_and_the_rest_compared(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    sent = [message("tcp", n, T0 + n) for n in range(1, 5)]
    (tmp_path / "whole.pcap").write_bytes(pcap(sent))
    (tmp_path / "cut.pcap").write_bytes(pcap(sent)[:-10])
    code, out, err = command(str(tmp_path / "whole.pcap"), str(tmp_path / "cut.pcap"), "--only", "packets", "--json")
    assert (code, len(out.splitlines()), err.count("\n")) == (1, 1, 1)
    assert "cut.pcap: at byte" in err
