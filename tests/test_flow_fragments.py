"""Which flow a fragment counts in, where identifications are used anew, and behind extension headers."""

from __future__ import annotations

import io
from typing import Any

import pytest

import sniffkit as sk
from captures.flow_cases import A, B, fragments_of
from captures.wire import SECOND, T0, Frame, eth, ip6, ip6_fragment, pcap, pcapng, udp

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
