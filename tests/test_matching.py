"""Which packet of one capture is which of another: where few things tell them apart, and where a NAT rewrote them."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from captures.wire import ACK, MS, PSH, SECOND, SYN, T0, Frame, arp, eth, icmp, ip4, ip6, pcap, pcapng, tcp, udp
from sniffkit.comparison import Diff

CLIENT, SERVER, PUBLIC, CARRIER = "10.0.0.1", "198.51.100.9", "203.0.113.1", "100.64.0.7"
ASKED = arp(1, "02:00:00:00:00:01", CLIENT, "00:00:00:00:00:00", SERVER)


def compare(folder: Path, a: list[Frame], b: list[Frame], **options: Any) -> Diff:
    for name, frames in (("a", a), ("b", b)):
        (folder / f"{name}.pcap").write_bytes(pcap(sorted(frames, key=lambda frame: frame.ts)))
    return sk.open(folder / "a.pcap").diff(sk.open(folder / "b.pcap"), **options)


def pairs(diff: Diff) -> list[tuple[int, int]]:
    return [(row["frame_a"], row["frame_b"]) for row in diff.matches().to_arrow().to_pylist()]


def delays(diff: Diff) -> set[int]:
    return {row["delay"] for row in diff.matches().to_arrow().to_pylist()}


def in_all(diff: Diff) -> tuple[int, int, int]:
    """Packets of both, only a's, only b's."""
    row = diff.summary().to_arrow().to_pylist()[-1]
    return row["packets_both"], row["only_a"], row["only_b"]


def datagram(ts: int, src: str, sport: int, data: bytes, *, ident: int = 0, ttl: int = 64, dst: str = SERVER) -> Frame:
    return Frame(ts, eth(0x0800, ip4(src, dst, 17, udp(src, sport, dst, 443, data), ident=ident, ttl=ttl)))


def segment(ts: int, src: str, sport: int, seq: int, *, ident: int = 0, ttl: int = 64, flags: int = ACK) -> Frame:
    return Frame(ts, eth(0x0800, ip4(src, SERVER, 6, tcp(src, sport, SERVER, 80, flags, seq, 7), ident=ident, ttl=ttl)))


def answer(ts: int, dst: str, dport: int, seq: int, *, ident: int, ttl: int) -> Frame:
    return Frame(ts, eth(0x0800, ip4(SERVER, dst, 6, tcp(SERVER, 80, dst, dport, ACK, 7, seq), ident=ident, ttl=ttl)))


def echo(ts: int, src: str, identifier: int, number: int, ttl: int) -> Frame:
    return Frame(ts, eth(0x0800, ip4(src, SERVER, 1, icmp(8, 0, identifier << 16 | number, b"p" * 56), ttl=ttl)))


def later(frames: list[Frame], by: int) -> list[Frame]:
    return [replace(frame, ts=frame.ts + by) for frame in frames]


def unfinished(frame: Frame) -> Frame:
    """A UDP datagram (IPv4) whose checksum is left to the network card: the sum of the pseudo-header."""
    addresses, length = frame.data[26:34], frame.data[38:40]
    total = sum(struct.unpack(">5H", addresses + length)) + 17
    return replace(frame, data=frame.data[:40] + struct.pack(">H", total % 0xFFFF) + frame.data[42:])


@pytest.mark.parametrize("gap", [SECOND, 2 * SECOND, 100 * MS])
def test_equal_packets_of_which_one_is_lost_are_those_nearest(tmp_path: Path, gap: int) -> None:
    sent = [Frame(T0 + n * gap, eth(0x0806, ASKED)) for n in range(30)]
    diff = compare(tmp_path, sent, later([*sent[:2], *sent[3:]], 2 * MS))
    assert (in_all(diff), delays(diff)) == ((29, 1, 0), {2 * MS})
    assert diff.packets().to_arrow()["frame_number"].to_pylist() == [3]


def test_equal_packets_close_together_are_in_order(tmp_path: Path) -> None:
    sent = [Frame(T0 + n * MS, eth(0x0806, ASKED)) for n in range(10)]
    diff = compare(tmp_path, sent, later(sent, 3 * MS))
    assert (pairs(diff), delays(diff)) == ([(n, n) for n in range(1, 11)], {3 * MS})


def test_equal_packets_tell_another_clock_only_where_many_agree(tmp_path: Path) -> None:
    chance = random.Random(1)
    sent = [Frame(T0 + n * SECOND + chance.randrange(SECOND), eth(0x0806, ASKED)) for n in range(20)]
    assert in_all(compare(tmp_path, sent, later(sent, 3600 * SECOND))) == (20, 0, 0)
    assert in_all(compare(tmp_path, sent[:1], later(sent[:1], 3600 * SECOND))) == (0, 1, 1)


@pytest.mark.parametrize(("ahead", "delay"), [(0, 3 * MS), (0, 30 * MS), (5 * SECOND, 3 * MS)])
def test_datagrams_without_a_number_are_known_behind_a_nat_by_their_checksum(
    tmp_path: Path, ahead: int, delay: int
) -> None:
    inside, outside = [], []
    for n in range(100):
        data = random.Random(n).randbytes(20)
        inside.append(datagram(T0 + n * MS, CLIENT, 5000, data))
        outside.append(datagram(T0 + n * MS + delay + ahead, PUBLIC, 61000, data, ttl=63))
    del outside[7], outside[50]
    diff = compare(tmp_path, inside, outside)
    assert (in_all(diff), delays(diff)) == ((98, 2, 0), {delay + ahead})


def test_flows_behind_one_address_are_told_apart_by_checksums(tmp_path: Path) -> None:
    chance = random.Random(3)
    inside, outside = [], []
    for n in range(300):
        client, data, at = chance.randrange(10), chance.randbytes(20), T0 + n * 5 * MS
        inside.append(datagram(at, f"10.0.0.{client}", 5000, data))
        outside.append(datagram(at + 30 * MS, PUBLIC, 40_000 + client, data, ttl=63))
    diff = compare(tmp_path, inside, outside)
    assert pairs(diff) == [(n, n) for n in range(1, 301)]
    flows = diff.flows().to_arrow().to_pylist()
    assert {(one["orig_h"], one["b_orig_p"]) for one in flows} == {(f"10.0.0.{n}", 40_000 + n) for n in range(10)}


def test_echo_requests_of_two_stations_get_other_identifiers(tmp_path: Path) -> None:
    inside, outside = [], []
    for n in range(20):
        for station in (1, 2):
            at = T0 + n * 10 * MS + station * 3 * MS
            inside.append(echo(at, f"10.0.0.{station}", 7, n, 64))
            outside.append(echo(at + MS, PUBLIC, 100 * station, n, 63))
    diff = compare(tmp_path, inside, outside)
    assert (pairs(diff), delays(diff)) == ([(n, n) for n in range(1, 41)], {MS})


def test_what_is_lost_of_a_flow_is_not_what_another_one_repeats(tmp_path: Path) -> None:
    """Both pass with their addresses as they were; the ping of one is lost where one of the other comes twice."""
    both = [echo(T0 + n * 10 * MS + of * MS, f"10.0.0.{of}", of, n, 64) for n in range(9) for of in (1, 2)]
    diff = compare(tmp_path, both, later([*both[:8], both[9], *both[9:]], MS))
    assert (in_all(diff), delays(diff)) == ((17, 1, 1), {MS})


def test_the_same_question_of_two_stations_is_not_one(tmp_path: Path) -> None:
    """Equal content, and so checksums, but another identification: one such datagram makes no NAT."""
    asked = datagram(T0, CLIENT, 5000, b"question", ident=5)
    assert in_all(compare(tmp_path, [asked], [datagram(T0 + MS, "10.0.0.9", 6000, b"question", ident=9)])) == (0, 1, 1)


def test_identifiers_that_stay_are_whose_they_were(tmp_path: Path) -> None:
    """Two stations that send the same, 2 ms one after the other and 3 ms on the way."""
    at = [(T0 + n * 10 * MS + of * 2 * MS, of, n) for n in range(9) for of in (1, 2)]
    inside = [echo(time, f"10.0.0.{of}", of, n, 64) for time, of, n in at]
    diff = compare(tmp_path, inside, [echo(time + 3 * MS, PUBLIC, of, n, 63) for time, of, n in at])
    assert delays(diff) == {3 * MS}


@pytest.mark.parametrize("src", [CLIENT, PUBLIC])
def test_an_unfinished_checksum_tells_nothing(tmp_path: Path, src: str) -> None:
    """By number where there is one, else by time."""
    for ident in (1, 0):
        sent = [datagram(T0 + n * 50 * MS, CLIENT, 5000, bytes([n] * 9), ident=ident * (n + 1)) for n in range(10)]
        seen = [datagram(one.ts + MS, src, 5000, bytes([n] * 9), ident=ident * (n + 1)) for n, one in enumerate(sent)]
        diff = compare(tmp_path, [unfinished(one) for one in sent], seen)
        assert (in_all(diff), delays(diff)) == ((10, 0, 0), {MS})
        assert "checksum" in diff.changes().to_arrow()["field"].to_pylist()


def test_two_lost_datagrams_are_not_one(tmp_path: Path) -> None:
    """One is lost on the way, another one was not captured before it."""
    sent = [datagram(T0 + n * 10 * MS, CLIENT, 5000, b"message %02d" % n, ident=100 + n) for n in range(10)]
    for plain in (sent, [datagram(one.ts, CLIENT, 5000, b"message %02d" % n) for n, one in enumerate(sent)]):
        diff = compare(tmp_path, plain[:4] + plain[5:], later(plain[:5] + plain[6:], MS))
        assert (in_all(diff), delays(diff)) == ((8, 1, 1), {MS})


@pytest.mark.parametrize("src", [CLIENT, PUBLIC])
def test_identifications_written_anew(tmp_path: Path, src: str) -> None:
    chance = random.Random(2)
    a = [segment(T0 + n * 10 * MS, CLIENT, 5000, n * 10, ident=100 + n) for n in range(20)]
    a += [datagram(T0 + n * 10 * MS, CLIENT, 5000, bytes([n]), ident=500 + n) for n in range(20)]
    b = [segment(T0 + n * 10 * MS + MS, src, 6000 if src == PUBLIC else 5000, n * 10, ident=chance.randrange(1, 65536),
                 ttl=63) for n in range(20)]  # fmt: skip
    b += [datagram(T0 + n * 10 * MS + MS, src, 5000, bytes([n]), ident=chance.randrange(1, 65536)) for n in range(20)]
    diff = compare(tmp_path, a, b)
    assert (in_all(diff), delays(diff)) == ((40, 0, 0), {MS})


def test_a_syn_whose_options_a_router_changed(tmp_path: Path) -> None:
    """Its checksum differs, those of the rest of the flow do not."""
    rest = [segment(T0 + n * MS, CLIENT, 5000, n, flags=ACK | PSH) for n in range(1, 20)]
    syn, clamped = (
        Frame(T0, eth(0x0800, ip4(CLIENT, SERVER, 6, tcp(CLIENT, 5000, SERVER, 80, SYN, 0, window=window))))
        for window in (1000, 999)
    )
    assert in_all(compare(tmp_path, [syn, *rest], [clamped, *rest])) == (20, 0, 0)


@pytest.mark.parametrize("ahead", [2 * SECOND, -3600 * SECOND])
def test_clocks_apart_and_a_nat_between(tmp_path: Path, ahead: int) -> None:
    a, b = [], []
    for n in range(10):
        at = T0 + n * 30 * MS
        a += [segment(at, CLIENT, 5000, n, ident=n + 1), answer(at + 12 * MS, CLIENT, 5000, n, ident=n + 1, ttl=63)]
        b += [segment(at + MS, PUBLIC, 6000, n, ident=n + 1, ttl=63),
              answer(at + 11 * MS, PUBLIC, 6000, n, ident=n + 1, ttl=64)]  # fmt: skip
    diff = compare(tmp_path, a, later(b, ahead))
    assert (in_all(diff), delays(diff), diff.clock_offset) == ((20, 0, 0), {MS}, ahead)


def test_frames_without_a_time_go_no_way(tmp_path: Path) -> None:
    sent = [segment(T0 + n * MS, CLIENT, 5000, n, ident=n + 1) for n in range(4)]
    sent += [answer(one.ts + 100, CLIENT, 5000, n, ident=n + 1, ttl=64) for n, one in enumerate(sent)]
    sent += sent[:1]  # what is there twice is paired in order
    (tmp_path / "timeless.pcapng").write_bytes(pcapng(["eth0"], [(None, one) for one in sent]))
    (tmp_path / "timed.pcap").write_bytes(pcap(sent))
    diff = sk.open(tmp_path / "timeless.pcapng").diff(sk.open(tmp_path / "timed.pcap"))
    assert (in_all(diff), delays(diff), diff.clock_offset) == ((9, 0, 0), {None}, None)
    assert {row["way"] for row in diff.matches().to_arrow().to_pylist()} == {"?"}


def hops(path: Path | list[str]) -> dict[int, list[dict[str, Any]]]:
    packets: dict[int, list[dict[str, Any]]] = {}
    for row in sk.open(path).trace().to_arrow().to_pylist():
        packets.setdefault(row["packet"], []).append(row)
    return packets


@pytest.mark.parametrize("kind", [segment, datagram])
def test_one_nat_after_another(tmp_path: Path, kind: Callable[..., Frame]) -> None:
    """At home and at the carrier's; answers the other way."""
    frames: list[tuple[int | None, Frame]] = []
    ends = ((CLIENT, 5000), (CARRIER, 6000), (PUBLIC, 7000))
    for n in range(10):
        for point, (src, port) in enumerate(ends):
            at = T0 + n * 10 * MS + point * MS // 10
            what = n if kind is segment else bytes([n])
            frames.append((point, kind(at, src, port, what, ident=n + 1, ttl=64 - point)))
            back = answer(at + MS, *ends[2 - point], n, ident=n + 1, ttl=64 - point)
            frames.append((2 - point, back))
    frames.sort(key=lambda one: one[1].ts)
    (tmp_path / "chain.pcapng").write_bytes(pcapng(["home/lan", "isp/access", "isp/wan"], frames))
    packets = list(hops(tmp_path / "chain.pcapng").values())
    assert len(packets) == 20
    names = {tuple(row["interface"] for row in rows) for rows in packets}
    assert names == {("lan", "access", "wan"), ("wan", "access", "lan")}
    assert {tuple(row["delay"] for row in rows) for rows in packets} == {(None, MS // 10, MS // 10)}


def beat(ts: int, src: str, sport: int, dst: str, dport: int, *, ident: int = 0, ttl: int = 64) -> Frame:
    """A datagram like all others."""
    return Frame(ts, eth(0x0800, ip4(src, dst, 17, udp(src, sport, dst, dport, b"beat"), ident=ident, ttl=ttl)))


@pytest.mark.parametrize("wait", [2 * MS, 150 * MS])
def test_an_answer_is_no_request_behind_a_nat(tmp_path: Path, wait: int) -> None:
    """An echo server: what is lost before the NAT's outside, and behind it, is not one packet."""
    a, b = [], []
    for n in range(20):
        at = T0 + n * 300 * MS
        a.append(beat(at, CLIENT, 5000, SERVER, 7))
        if n % 2 == 0:
            b.append(beat(at + MS, PUBLIC, 6000, SERVER, 7, ttl=63))
        b.append(beat(at + MS + wait, SERVER, 7, PUBLIC, 6000))
        if n % 4:
            a.append(beat(at + 2 * MS + wait, SERVER, 7, CLIENT, 5000, ttl=63))
    diff = compare(tmp_path, a, b)
    assert (in_all(diff), delays(diff)) == ((25, 10, 5), {MS})


def test_each_way_through_a_nat_lasts_as_long_as_its_own_packets_say(tmp_path: Path) -> None:
    """Of each content two, 10 ms one after the other; answers last 30 ms, requests 1 ms."""
    a, b = [], []
    for n in range(40):
        at, data = T0 + n * 10 * MS, bytes([n // 2])
        a.append(datagram(at, CLIENT, 5000, data))
        b.append(datagram(at + MS, PUBLIC, 6000, data, ttl=63))
        for frames, dst, port, wait in ((b, PUBLIC, 6000, 5), (a, CLIENT, 5000, 35)):
            packet = ip4(SERVER, dst, 17, udp(SERVER, 443, dst, port, data))
            frames.append(Frame(at + wait * MS, eth(0x0800, packet)))
    diff = compare(tmp_path, a, b)
    assert (in_all(diff), delays(diff)) == ((80, 0, 0), {MS, 30 * MS})


def test_what_two_flows_behind_a_nat_lost_is_not_one(tmp_path: Path) -> None:
    """Requests of one and answers to the other, equal but for the ends; the rest of both is known."""
    a, b = [], []
    for n in range(20):
        for client, port, server in (("10.0.0.1", 5001, "198.51.100.1"), ("10.0.0.2", 5002, "198.51.100.2")):
            at = T0 + n * 500 * MS + port % 10 * 100 * MS
            a.append(beat(at, client, port, server, 7))
            if n % 3 or port == 5002:
                b.append(beat(at + MS, PUBLIC, port + 1000, server, 7, ttl=63))
            b.append(beat(at + 20 * MS, server, 7, PUBLIC, port + 1000))
            if n % 3 or port == 5001:
                a.append(beat(at + 21 * MS, server, 7, client, port, ttl=63))
    diff = compare(tmp_path, a, b)
    assert (in_all(diff), delays(diff)) == ((66, 7, 7), {MS})


@pytest.mark.parametrize("numbered", [1, 0])
def test_two_flows_of_which_each_lost_a_packet_are_no_nat(tmp_path: Path, numbered: int) -> None:
    """`trace`: both pass the router as they are, and say the same."""
    a, b = [], []
    for n in range(12):
        at, one, other = T0 + n * SECOND, numbered * (1000 + n), numbered * (7000 + n)
        a.append(beat(at, CLIENT, 5000, SERVER, 443, ident=one))
        b.append(beat(at + 200 * MS, "203.0.113.4", 80, "10.0.0.2", 6000, ident=other))
        if n % 3:
            b.append(beat(at + MS, CLIENT, 5000, SERVER, 443, ident=one, ttl=63))
            a.append(beat(at + 201 * MS, "203.0.113.4", 80, "10.0.0.2", 6000, ident=other, ttl=63))
    paths = [str(tmp_path / name) for name in ("a.pcap", "b.pcap")]
    for path, frames in zip(paths, (a, b), strict=True):
        Path(path).write_bytes(pcap(sorted(frames, key=lambda frame: frame.ts)))
    packets = hops(paths).values()
    assert len(packets) == 24
    assert {change for rows in packets for row in rows for change in row["changes"] or []} == {"ip_ttl:64>63"}


def test_a_nat_that_writes_the_identification_anew_behind_two_points(tmp_path: Path) -> None:
    frames: list[tuple[int | None, Frame]] = []
    for n in range(12):
        at, data = T0 + n * 50 * MS, bytes([n, 7])
        frames += [(point, datagram(at + point * MS, CLIENT, 5000, data, ident=n + 1)) for point in (0, 1)]
        frames.append((2, datagram(at + 2 * MS, PUBLIC, 6000, data, ident=900 - n * 7, ttl=63)))
    (tmp_path / "anew.pcapng").write_bytes(pcapng(["c/eth0", "r/lan", "r/wan"], frames))
    packets = hops(tmp_path / "anew.pcapng").values()
    assert [[row["delay"] for row in rows] for rows in packets] == [[None, MS, MS]] * 12


def test_equal_packets_and_clocks_nearly_a_window_apart(tmp_path: Path) -> None:
    chance = random.Random(1)
    sent = [Frame(T0 + n * 10 * SECOND, eth(0x0806, ASKED)) for n in range(40)]
    seen = [replace(one, ts=one.ts + 995 * MS + chance.randrange(MS, 8 * MS)) for one in sent]
    assert in_all(compare(tmp_path, sent, seen)) == (40, 0, 0)


def test_pings_through_a_nat_are_not_mixed(tmp_path: Path) -> None:
    """Two stations send the same, one shortly after the other; each request is followed to its own."""
    frames: list[tuple[int | None, Frame]] = []
    for n in range(15):
        for station in (1, 2):
            at = T0 + n * 40 * MS + station * 15 * MS
            frames.append((0, echo(at, f"10.0.0.{station}", 7, n, 64)))
            frames.append((1, echo(at + MS // 10, PUBLIC, 70 + station, n, 63)))
    (tmp_path / "pings.pcapng").write_bytes(pcapng(["r/lan", "r/wan"], frames))
    packets = hops(tmp_path / "pings.pcapng").values()
    assert [[row["delay"] for row in rows] for rows in packets] == [[None, MS // 10]] * 30


def test_trace_guesses_no_clock(tmp_path: Path) -> None:
    chance = random.Random(1)
    sent = [Frame(T0 + n * SECOND + chance.randrange(SECOND), eth(0x0806, ASKED)) for n in range(20)]
    (tmp_path / "a.pcap").write_bytes(pcap(sent))
    (tmp_path / "b.pcap").write_bytes(pcap(later(sent, 3600 * SECOND)))
    assert len(hops([str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap")])) == 40


def test_the_same_name_of_an_interface_on_two_machines(tmp_path: Path) -> None:
    """Files over the same time are two points; files one after another are one."""
    sent = [segment(T0 + n * 10 * MS, CLIENT, 5000, n, ident=n + 1) for n in range(6)]
    paths = [str(tmp_path / f"host{n}.pcapng") for n in (1, 2)]
    for path, frames in zip(paths, (sent, later(sent, MS)), strict=True):
        Path(path).write_bytes(pcapng(["eth0"], [(0, one) for one in frames]))
    packets = hops(paths)
    assert [[row["file"] for row in rows] for rows in packets.values()] == [paths] * 6
    for path, frames in zip(paths, (sent[:3], sent[2:]), strict=True):
        Path(path).write_bytes(pcapng(["eth0"], [(0, one) for one in frames]))
    assert [len(rows) for rows in hops(paths).values()] == [1] * 7


@pytest.mark.parametrize("one", [slice(0, 1), slice(7, 8)])
def test_a_file_of_one_packet_is_a_point_between_two_others(tmp_path: Path, one: slice) -> None:
    sent = [segment(T0 + n * SECOND, CLIENT, 5000, n, ident=n + 1) for n in range(20)]
    paths = [str(tmp_path / f"{name}.pcapng") for name in ("client", "router", "server")]
    for n, (path, frames) in enumerate(zip(paths, (sent, sent[one], sent), strict=True)):
        Path(path).write_bytes(pcapng(["eth0"], [(0, frame) for frame in later(frames, n * MS)]))
    packets = hops(paths)
    assert [len(rows) for rows in packets.values()] == [3 if row in sent[one] else 2 for row in sent]


@pytest.mark.parametrize(("apart", "count"), [(0, 1), (MS, 1), (10 * SECOND, 2)])
def test_files_of_one_packet_each(tmp_path: Path, apart: int, count: int) -> None:
    """Two points where they are of about the same time."""
    paths = [str(tmp_path / f"host{n}.pcapng") for n in (1, 2)]
    for n, path in enumerate(paths):
        Path(path).write_bytes(pcapng(["eth0"], [(0, segment(T0 + n * apart, CLIENT, 5000, 1, ident=1))]))
    assert len(hops(paths)) == count


def test_a_last_file_of_one_packet_is_of_the_same_point(tmp_path: Path) -> None:
    sent = [segment(T0 + n * MS, CLIENT, 5000, 1, ident=1) for n in range(6)]
    paths = [str(tmp_path / f"{n}.pcapng") for n in (1, 2)]
    for path, frames in zip(paths, (sent[:5], sent[5:]), strict=True):
        Path(path).write_bytes(pcapng(["eth0"], [(0, one) for one in frames]))
    assert [len(rows) for rows in hops(paths).values()] == [1] * 6


def test_a_file_name_that_is_no_text(tmp_path: Path, called: Callable[..., tuple[int, str, str]]) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.pcap")
    Path(path).write_bytes(pcap([segment(T0, CLIENT, 5000, 1)]))
    assert called("trace", path, "--seen", "1", "--columns", "file") == (0, f"file\n{tmp_path}/bad\ufffd.pcap\n", "")


def test_more_files_than_a_byte_counts(tmp_path: Path, called: Callable[..., tuple[int, str, str]]) -> None:
    sent = segment(T0, CLIENT, 5000, 1)
    for n in range(140):
        (tmp_path / f"{n:03}.pcapng").write_bytes(pcapng([f"ns/eth{n % 3}"], [(0, replace(sent, ts=T0 + n))]))
        (tmp_path / f"{n:03}.pcap").write_bytes(pcap([replace(sent, ts=T0 + n)]))
    packets = hops(sorted(map(str, tmp_path.glob("*.pcapng"))))
    assert sum(map(len, packets.values())) == 140
    code, out, err = called("trace", *sorted(map(str, tmp_path.glob("*.pcap"))))
    assert (code, out, err) == (2, "", "sniffkit: 140 capture points; 62 at most: give fewer files\n")


def test_ipv6_datagrams_behind_a_prefix_translation(tmp_path: Path) -> None:
    """RFC 6296 changes the prefix; content, checksum and one end tell."""
    a, b = [], []
    for n in range(20):
        for frames, src, at in ((a, "fd00::1", T0 + n * MS), (b, "2001:db8::1", T0 + n * MS + 5 * MS)):
            packet = ip6(src, "2001:db8:1::9", 17, udp(src, 5000, "2001:db8:1::9", 443, bytes([n, 1])))
            frames.append(Frame(at, eth(0x86DD, packet)))
    diff = compare(tmp_path, a, b)
    assert (in_all(diff), delays(diff)) == ((20, 0, 0), {5 * MS})
