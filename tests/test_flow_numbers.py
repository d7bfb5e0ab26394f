"""TCP sequence numbers, handshakes and closes as the flow table reads them, where they are not as in a textbook."""

from __future__ import annotations

import io
from typing import Any

import pytest

import sniffkit as sk
from captures.tcp_cases import A, B, Talk
from captures.wire import ACK, FIN, MS, RST, SYN, T0, Frame, eth, ip4, pcap, tcp

Row = dict[str, Any]


def rows(frames: list[Frame], **rules: float) -> list[Row]:
    found: list[Row] = sk.open(io.BytesIO(pcap(frames))).flows(**rules).to_arrow().to_pylist()
    return found


def same(row: Row, **expected: Any) -> None:
    assert {key: row[key] for key in expected} == expected


def talk() -> Talk:
    made = Talk()
    made.handshake()
    return made


def segment(at: float, seq: int, size: int, ident: int, flags: int = ACK) -> list[Frame]:
    """A segment of the client in IP fragments of 600 bytes."""
    whole = tcp(A, 40_000, B, 80, flags, 1000 + seq, 5001, bytes(size))
    cut = [(pos, whole[pos : pos + 600]) for pos in range(0, len(whole), 600)]
    return [
        Frame(
            T0 + round(at * MS) + pos,
            eth(0x0800, ip4(A, B, 6, part, ident=ident, offset=pos, more=pos + 600 < len(whole))),
        )
        for pos, part in cut
    ]


def rest(made: Talk, begin: int) -> list[Frame]:
    """Three segments of 100 bytes behind a fragmented one, and their acknowledgment."""
    for at in range(3):
        made.c(60 + at, ACK, begin + 100 * at, 1, bytes(100))
    made.s(70, ACK, 1, begin + 300)
    return made.frames


def test_a_late_segment_fills_every_hole_that_it_covers() -> None:
    overlap = talk()
    for at, seq, size in ((30, 1, 100), (40, 201, 100), (50, 51, 150)):
        overlap.c(at, ACK, seq, 1, bytes(size))
    overlap.s(60, ACK, 1, 301)
    two = talk()
    for at, seq, size in ((30, 1, 100), (40, 201, 100), (45, 401, 100), (50, 101, 300)):
        two.c(at, ACK, seq, 1, bytes(size))
    two.s(60, ACK, 1, 501)
    for made in (overlap, two):
        (row,) = rows(made.frames)
        same(row, history="ShADa", orig_ooo_pkts=1, orig_retrans_pkts=0)


def test_many_late_segments_are_no_retransmissions() -> None:
    made = talk()
    for at, number in enumerate([*range(0, 80, 2), *range(1, 80, 2)]):
        made.c(30 + at, ACK, 1 + 100 * number, 1, bytes(100))
    (row,) = rows(made.frames)
    same(row, orig_ooo_pkts=39, orig_retrans_pkts=0, history="ShAD")


@pytest.mark.parametrize("off", [500, -500])
def test_a_repeated_syn_ack_may_have_another_number(off: int) -> None:
    made = Talk()
    made.c(0, SYN, 0)
    made.s(10, SYN | ACK, 0, 1)
    made.c(1000, SYN, 0)
    for at in (1010, 1015):
        made.s(at, SYN | ACK, off, 1)
    made.c(1020, ACK, 1, off + 1)
    for at in range(5):
        made.s(1030 + at, ACK, off + 1 + 100 * at, 1, bytes(100))
    made.c(1040, ACK, 1, off + 501)
    (row,) = rows(made.frames)
    same(row, history="ShhAd", resp_retrans_pkts=1, resp_ooo_pkts=0, ackdat_rtt=None, conn_state="S1")


def test_a_closed_row_says_how_it_closed_whatever_the_timeouts() -> None:
    made = talk()
    made.close(30, 1, 1)
    made.s(40_050, ACK, 2, 2)
    closed, late = rows(made.frames, tcp_idle=30)
    same(closed, conn_state="SF", end_reason="fin")
    same(late, conn_state="OTH", orig_pkts=1)
    old = talk()
    old.close(9000, 1, 1)
    old.s(11_000, ACK, 2, 2)
    (row,) = rows(old.frames, active=10)
    same(row, conn_state="SF", end_reason="fin", resp_pkts=3)


def test_one_way_captures_tell_connections_on_the_same_ports_apart() -> None:
    frames: list[Frame] = []
    for begin, isn in ((0, (1, 5_000_000)), (10_000, (777_777, 1000))):
        made = Talk(isn=isn)
        made.s(begin, SYN | ACK, 0, 1)
        for at in range(5):
            made.s(begin + 10 + at, ACK, 1 + 100 * at, 1, bytes(100))
        made.s(begin + 20, FIN | ACK, 501, 50)
        frames += made.frames
    first, second = rows(frames)
    for row in (first, second):
        same(row, orig_h=A, resp_pkts=7, resp_retrans_pkts=0, history="hdf", conn_state="SHR")
    assert (first["end_reason"], second["end_reason"]) == ("reuse", "eof")


def test_a_fin_may_end_the_handshake() -> None:
    made = Talk()
    made.c(0, SYN, 0)
    made.s(10, SYN | ACK, 0, 1)
    made.c(20, FIN | ACK, 1, 1, bytes(10))
    made.s(5000, ACK, 1, 12)
    (row,) = rows(made.frames)
    same(row, synack_rtt=10 * MS, ackdat_rtt=10 * MS, tcp_rtt=20 * MS)


def test_an_acknowledgment_may_stand_before_its_fin() -> None:
    made = talk()
    made.c(30, FIN | ACK, 1, 1)
    made.c(40, ACK, 2, 2)
    made.s(41, FIN | ACK, 1, 2)
    (row,) = rows(made.frames)
    same(row, conn_state="SF", end_reason="fin")


def test_only_the_responder_answers_a_syn() -> None:
    made = Talk()
    made.c(0, SYN, 0)
    made.c(10, SYN | ACK, 0, 0)
    (row,) = rows(made.frames)
    same(row, conn_state="S0", synack_rtt=None, resp_pkts=0)


def test_a_capture_may_begin_with_a_keep_alive() -> None:
    made = Talk()
    made.c(0, ACK, 99, 1)
    made.s(1, ACK, 1, 100)
    made.c(10, ACK, 100, 1, bytes(50))
    made.s(11, ACK, 1, 150)
    (row,) = rows(made.frames)
    same(row, history="AaD", orig_ooo_pkts=0, orig_retrans_pkts=0)


def test_bytes_that_were_acknowledged_and_never_came_are_missing_at_the_end_too() -> None:
    made = talk()
    made.c(30, ACK, 1, 1, bytes(100))
    made.s(40, ACK, 1, 101)
    made.c(60, ACK, 101, 1001)
    made.c(70, RST | ACK, 101, 1001)
    (row,) = rows(made.frames)
    same(row, history="ShADaRg")
    crossed = talk()  # the acknowledgment stands before what it acknowledges
    crossed.c(30, ACK, 1, 1001)
    crossed.s(31, ACK, 1, 1, bytes(1000))
    (row,) = rows(crossed.frames)
    same(row, history="ShAd", resp_retrans_pkts=0, resp_ooo_pkts=0)
    other = Talk()  # RFC 5961, 4: of an older connection
    other.c(0, SYN, 0)
    other.s(1, ACK, 77, 99)
    other.c(2, RST, 99)
    (row,) = rows(other.frames)
    same(row, history="SaR")


def test_the_end_of_a_handshake_may_stand_before_its_beginning() -> None:
    made = Talk()
    made.c(1, ACK, 1, 1)
    made.c(0, SYN, 0)
    made.s(2, SYN | ACK, 0, 1)
    (row,) = rows(made.frames)
    same(row, orig_h=A, orig_pkts=2, resp_pkts=1, history="ASh", conn_state="S1")


def test_rows_of_one_key_that_begin_at_the_same_time_have_names_of_their_own() -> None:
    frames = [Frame(T0, eth(0x0800, ip4(A, B, 6, tcp(A, 1, B, 2, SYN, isn)))) for isn in (1, 2, 1, 2)]
    found = rows(frames)
    assert [row["end_reason"] for row in found] == ["reuse", "reuse", "reuse", "eof"]
    assert len({row["uid"] for row in found}) == 4


def test_fragments_of_segments_move_numbers_once() -> None:
    """Each fragment twice; a segment again under another identification; two segments whose fragments cross."""
    twice = [Frame(one.ts + at, one.data) for one in segment(30, 1, 1200, 7) for at in (0, 1000)]
    again = segment(30, 1, 1200, 7) + segment(40, 1, 1200, 8)
    one, two = segment(30, 1, 1200, 7), segment(30, 1201, 1200, 8)
    crossed = [frame for pair in zip(one, two, strict=True) for frame in pair]
    backwards = [*reversed(one), *reversed(two)]
    for fragments, end, repeated in ((twice, 1201, 1), (again, 1201, 1), (crossed, 2401, 0), (backwards, 2401, 0)):
        made = talk()
        made.frames += fragments
        (row,) = rows(rest(made, end))
        same(row, orig_retrans_pkts=repeated, orig_ooo_pkts=0, history="ShADTa" if repeated else "ShADa")


def test_a_fragment_that_was_lost_comes_with_the_segment_again() -> None:
    made = talk()
    made.frames += segment(30, 1, 1200, 7)[:-1] + segment(40, 1, 1200, 8, ACK | FIN)
    made.s(50, FIN | ACK, 1, 1202)
    made.c(51, ACK, 1202, 2)
    (row,) = rows(made.frames)
    same(row, orig_retrans_pkts=1, resp_retrans_pkts=0, history="ShADFTf", conn_state="SF", end_reason="fin")
