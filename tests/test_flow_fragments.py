"""Which flow a fragment counts in, where identifications are used anew, and behind extension headers."""

from __future__ import annotations

import io
from typing import Any

import pytest

import sniffkit as sk
from captures.flow_cases import A, B, fragments_of
from captures.wire import SECOND, T0, Frame, eth, ip4, ip6, ip6_fragment, pcap, pcapng, udp, vxlan

Row = dict[str, Any]


def at(seconds: float, data: bytes) -> Frame:
    return Frame(T0 + round(seconds * SECOND), data)


def rows(frames: list[Frame], table: str = "flows") -> list[Row]:
    found: list[Row] = getattr(sk.open(io.BytesIO(pcap(frames))), table)().to_arrow().to_pylist()
    return found


def counted(frames: list[Frame]) -> list[tuple[int | None, int]]:
    """Originator's port and packets, row by row."""
    return [(row["orig_p"], row["orig_pkts"]) for row in rows(frames)]


ONE, TWO = (fragments_of(A, port, B, 9000, 2000, 7) for port in (1111, 2222))


def test_an_identification_may_be_used_anew_once_its_datagram_is_whole() -> None:
    assert counted([at(0, ONE[0]), at(0.001, ONE[1]), at(1, TWO[1]), at(1.001, TWO[0])]) == [(1111, 2), (2222, 2)]


def test_a_fragment_that_comes_twice_is_of_the_same_datagram() -> None:
    for order in ((0, 0, 1, 1), (0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0)):
        assert counted([at(0.001 * when, ONE[which]) for when, which in enumerate(order)]) == [(1111, 4)]


def test_the_time_for_a_datagram_counts_from_its_own_beginning() -> None:
    frames = [at(0, ONE[0]), at(0.001, ONE[1]), at(59.9, TWO[0]), at(60.1, TWO[1])]
    assert counted(frames) == [(1111, 2), (2222, 2)]
    half = [at(0, ONE[0]), at(59.9, TWO[0]), at(60.1, TWO[1])]
    assert counted(half) == [(1111, 1), (2222, 2)]


RANGES = {
    "ahead of a gap": [(0, 800), (200, 1000), (1400, 1608), (1000, 1400)],
    "two beginnings": [(0, 8), (0, 16), (16, 800), (1200, 1608), (800, 1200)],
    "behind the whole": [(0, 800), (800, 1608), (400, 1200), (0, 1000)],
    "ahead of the first": [(800, 1608), (400, 1200), (0, 400)],
    "apart": [*((pos, pos + 8) for pos in range(1600, 0, -40)), *((pos, pos + 40) for pos in range(0, 1600, 40))],
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_fragments_that_overlap_are_of_one_datagram(version: int, ranges: list[tuple[int, int]]) -> None:
    def fragment(port: int, start: int, end: int) -> bytes:
        part, more = udp(A, port, B, 9000, bytes(1600))[start:end], end < 1608
        if version == 4:
            return eth(0x0800, ip4(A, B, 17, part, ident=7, offset=start, more=more))
        return eth(0x86DD, ip6("fd00::1", "fd00::2", 44, ip6_fragment(17, part, 7, start, more)))

    frames = [at(0.001 * n, fragment(1111, *span)) for n, span in enumerate(ranges)]
    anew = [at(1, fragment(2222, 800, 1608)), at(1.001, fragment(2222, 0, 800))]
    assert counted([*frames, *anew]) == [(1111, len(ranges)), (2222, 2)]


def test_one_identification_for_all_datagrams_of_a_flow() -> None:
    assert counted([at(0.7 * n + 0.3 * which, ONE[which]) for n in range(200) for which in (0, 1)]) == [(1111, 400)]


@pytest.mark.parametrize("apart", [0, 61, 300])
def test_a_datagram_is_given_up_by_the_time_of_its_own_point(apart: int) -> None:
    frames: list[tuple[int | None, Frame]] = []
    for n in range(20):
        now = 0.02 * n
        parts = fragments_of(A, 1111, B, 53, 2000, n)
        frames += [(1, at(now - apart, parts[0])), (0, at(now, parts[0])), (0, at(now, parts[1]))]
        frames.append((1, at(now - apart, parts[1])))
    table = sk.open(io.BytesIO(pcapng(["h1", "h2"], frames))).flows().to_arrow()
    found = [(row["interface"], row["orig_p"], row["orig_pkts"], row["end_reason"]) for row in table.to_pylist()]
    assert sorted(found) == [("h1", 1111, 40, "eof"), ("h2", 1111, 40, "eof")]
    assert table.schema.metadata[b"sniffkit.orphan_fragments"] == b"0"


def answer(name: bytes, size: int) -> bytes:
    """A DNS answer with a TXT record that has so many bytes."""
    texts = b"".join(bytes([255]) + bytes(255) for _ in range(size // 256))
    question = b"".join(bytes([len(part)]) + part for part in name.split(b".")) + b"\0" + b"\0\x10\0\1"
    record = b"\xc0\x0c\0\x10\0\1\0\0\0\x05" + len(texts).to_bytes(2, "big") + texts
    return b"\0\5\x81\x80\0\1\0\1\0\0\0\0" + question + record


@pytest.mark.parametrize("options", [b"", bytes.fromhex("1100010400000000")], ids=["plain", "options"])
@pytest.mark.parametrize("backwards", [False, True])
def test_what_stands_behind_options_in_ipv6_fragments_is_put_together(options: bytes, backwards: bool) -> None:
    src, dst = "2001:db8::1", "2001:db8::2"
    whole = options + udp(src, 53, dst, 5000, answer(b"a.example.org", 1792))
    cut = [(pos, whole[pos : pos + 800]) for pos in range(0, len(whole), 800)]
    frames = [
        eth(
            0x86DD,
            ip6(src, dst, 44, ip6_fragment(60 if options else 17, part, 99, pos, pos + 800 < len(whole))),
        )
        for pos, part in cut
    ]
    frames = frames[::-1] if backwards else frames
    (row,) = rows([at(0.01 * n, frame) for n, frame in enumerate(frames)], "dns")
    assert (row["query"], len(row["answers"])) == ("a.example.org", 1)


def question(name: bytes) -> bytes:
    return b"\0\5\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(p)]) + p for p in name.split(b".")) + b"\0\0\x10\0\1"


TUNNELS: dict[str, tuple[int, bytes]] = {
    "IP in IP": (4, b""),
    "GRE": (47, b"\0\0\x08\0"),
    "GRE with Ethernet": (47, b"\0\0\x65\x58" + bytes(12) + b"\x08\0"),
    "VXLAN": (17, bytes.fromhex("1388 12b5 0000 0000 08000000 00000700") + bytes(12) + b"\x08\0"),
    "VXLAN with a tag": (17, bytes.fromhex("1388 12b5 0000 0000 08000000 00000700") + bytes(12) + b"\x81\0\0\5\x08\0"),
}


@pytest.mark.parametrize("within", [None, 9], ids=["", "in another network"])
@pytest.mark.parametrize("tunnel", TUNNELS)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_first_fragment_that_ends_within_headers_of_its_tunnel(
    within: int | None, tunnel: str, backwards: bool
) -> None:
    """What tells the fragments' datagram apart is around them, not what the first of them opens."""

    def placed(packet: bytes) -> bytes:
        return eth(0x0800, packet, vlans=(3,)) if within is None else vxlan(within, eth(0x0800, packet))

    def packet(number: int, back: bool) -> bytes:
        (src, sport), (dst, dport) = ((B, 53), (A, 5000)) if back else ((A, 5000), (B, 53))
        message = answer(b"a.example", 512) if back else question(b"a.example")
        inner = header + ip4(src, dst, 17, udp(src, sport, dst, dport, bytes([0, number]) + message[2:]))
        return inner if proto != 17 else inner[:4] + len(inner).to_bytes(2, "big") + inner[6:]

    proto, header = TUNNELS[tunnel]
    heads = range(8, len(header) + 20, 8)
    frames = [placed(ip4("172.16.0.1", "172.16.0.2", proto, packet(number, False))) for number, _ in enumerate(heads)]
    for ident, head in enumerate(heads):
        whole = packet(ident, True)
        parts = [(0, head), (head, 400), (400, len(whole))]
        cut = [
            ip4("172.16.0.2", "172.16.0.1", proto, whole[a:b], ident=ident, offset=a, more=b < len(whole))
            for a, b in parts
        ]
        frames += [placed(one) for one in (cut[::-1] if backwards else cut)]
    found = rows([at(0.01 * n, frame) for n, frame in enumerate(frames)], "dns")
    assert [(row["trans_id"], row["rcode"]) for row in found] == [(number, 0) for number, _ in enumerate(heads)]
