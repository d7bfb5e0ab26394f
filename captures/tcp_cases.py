"""TCP conversations for the rules of the flow table: see `flow_cases.py`, which writes them."""

from __future__ import annotations

from collections.abc import Callable

from captures.wire import ACK, CLIENT_MAC, FIN, MS, PSH, RST, SERVER_MAC, SYN, T0, Frame, eth, ip4, tcp

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
Case = Callable[[], list[Frame]]
CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    """Enter a capture under its function's name."""
    CASES[make.__name__] = make
    return make


class Talk:
    """A TCP conversation: `c` and `s` add a segment of client and server; times in ms, numbers relative to the ISNs."""

    def __init__(self, isn: tuple[int, int] = (1000, 5000), ports: tuple[int, int] = (40_000, 80)) -> None:
        self.isn, self.ports, self.frames, self.ident = isn, ports, list[Frame](), 0

    def _add(self, at: float, packet: bytes, src: str, dst: str, macs: tuple[str, str]) -> None:
        self.ident += 1
        self.frames.append(Frame(T0 + round(at * MS), eth(0x0800, ip4(src, dst, 6, packet, ident=self.ident), *macs)))

    def c(self, at: float, flags: int, seq: int, ack: int = 0, data: bytes = b"", window: int = 64_000) -> None:
        mss = 1460 if flags & SYN else None
        ack = ack + self.isn[1] if flags & ACK else 0
        segment = tcp(A, self.ports[0], B, self.ports[1], flags, seq + self.isn[0], ack, data, window=window, mss=mss)
        self._add(at, segment, A, B, (CLIENT_MAC, SERVER_MAC))

    def s(self, at: float, flags: int, seq: int, ack: int = 0, data: bytes = b"", window: int = 65_000) -> None:
        mss = 1400 if flags & SYN else None
        ack = ack + self.isn[0] if flags & ACK else 0
        segment = tcp(B, self.ports[1], A, self.ports[0], flags, seq + self.isn[1], ack, data, window=window, mss=mss)
        self._add(at, segment, B, A, (SERVER_MAC, CLIENT_MAC))

    def handshake(self, at: float = 0) -> None:
        self.c(at, SYN, 0)
        self.s(at + 10, SYN | ACK, 0, 1)
        self.c(at + 25, ACK, 1, 1)

    def close(self, at: float, sent: int, got: int) -> None:
        """Client and server finish; `sent` and `got` are the next numbers of client and server."""
        self.c(at, FIN | ACK, sent, got)
        self.s(at + 10, FIN | ACK, got, sent + 1)
        self.c(at + 20, ACK, sent + 1, got + 1)


@case
def complete() -> list[Frame]:
    """Handshake, an HTTP request of 18 bytes, an answer of 38, both FINs acknowledged."""
    talk = Talk()
    talk.handshake()
    talk.c(30, PSH | ACK, 1, 1, b"GET / HTTP/1.1\r\n\r\n")
    talk.s(45, PSH | ACK, 1, 19, b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")
    talk.close(50, 19, 39)
    return talk.frames


@case
def closed_then_late() -> list[Frame]:
    """A closed connection; a repeated FIN and a reset a second later; data without SYN two minutes later."""
    talk = Talk()
    talk.handshake()
    talk.close(50, 1, 1)
    talk.s(1070, FIN | ACK, 1, 2)
    talk.c(1071, RST, 2)
    talk.c(121_071, ACK, 2, 2, b"late")
    return talk.frames


@case
def synack_first() -> list[Frame]:
    """The capture begins behind the SYN."""
    talk = Talk()
    talk.handshake()
    talk.s(40, PSH | ACK, 1, 1, b"220 ready\r\n")
    return talk.frames[1:]


@case
def syn_behind_synack() -> list[Frame]:
    """SYN and SYN-ACK stand in the file in the wrong order; their times are right."""
    talk = Talk()
    talk.handshake()
    return [talk.frames[1], talk.frames[0], talk.frames[2]]


@case
def middle() -> list[Frame]:
    """The capture begins in the middle of a connection, with the server's data."""
    talk = Talk()
    talk.s(0, PSH | ACK, 100, 50, b"HTTP/1.1 200 OK\r\n\r\n")
    talk.c(5, ACK, 50, 119)
    return talk.frames


@case
def refused() -> list[Frame]:
    """A SYN is answered by a reset."""
    talk = Talk()
    talk.c(0, SYN, 0)
    talk.s(1, RST | ACK, 0, 1)
    return talk.frames


@case
def aborted() -> list[Frame]:
    """An established connection is reset by its client."""
    talk = Talk()
    talk.handshake()
    talk.c(30, PSH | ACK, 1, 1, b"x" * 10)
    talk.c(40, RST | ACK, 11, 1)
    return talk.frames


@case
def port_reuse() -> list[Frame]:
    """A connection that never closes; 20 s later a new SYN on the same ports with another initial number."""
    first = Talk(isn=(1000, 5000))
    first.handshake()
    second = Talk(isn=(900_000, 700_000))
    second.handshake(20_000)
    second.close(20_050, 1, 1)
    return first.frames + second.frames


@case
def syn_again() -> list[Frame]:
    """The SYN is repeated after a second with the same number: one connection, no round-trip time."""
    talk = Talk()
    talk.c(0, SYN, 0)
    talk.handshake(1000)
    return talk.frames


@case
def half_open() -> list[Frame]:
    """A SYN without answer, and one whose SYN-ACK is never acknowledged."""
    alone, answered = Talk(ports=(40_001, 80)), Talk(ports=(40_002, 80))
    alone.c(0, SYN, 0)
    answered.c(5, SYN, 0)
    answered.s(15, SYN | ACK, 0, 1)
    return alone.frames + answered.frames


@case
def duplicates() -> list[Frame]:
    """Every frame of a conversation was captured twice, as on a bridge."""
    talk = Talk()
    talk.handshake()
    talk.c(30, PSH | ACK, 1, 1, b"x" * 10)
    talk.s(40, ACK, 1, 11)
    return [Frame(frame.ts + late, frame.data) for frame in talk.frames for late in (0, 1000)]


@case
def trouble() -> list[Frame]:
    """Segments lost, late and repeated, duplicate acknowledgments, a closed window, a keep-alive."""
    talk = Talk()
    talk.handshake()
    data = b"d" * 100
    talk.c(30, ACK, 1, 1, data)
    talk.c(31, ACK, 201, 1, data)  # a hole: 101 to 201 is missing
    talk.c(32, ACK, 301, 1, data)
    for at in (33, 34, 35):
        talk.s(at, ACK, 1, 101)  # the first is new, the next two are duplicates
    talk.c(36, ACK, 101, 1, data)  # late: fills the hole
    talk.s(40, ACK, 1, 401, window=0)
    talk.c(200, ACK, 301, 1, data)  # repeated
    talk.s(201, ACK, 1, 401, window=65_000)
    talk.c(5000, ACK, 400, 1)  # keep-alive: one before the next number, no data
    talk.c(5001, ACK, 400, 1, b"d")  # keep-alive with the last byte again
    return talk.frames


@case
def missing() -> list[Frame]:
    """A segment that the receiver acknowledged is not in the capture."""
    talk = Talk()
    talk.handshake()
    talk.c(30, ACK, 1, 1, b"m" * 100)
    talk.c(31, ACK, 201, 1, b"m" * 100)
    talk.s(40, ACK, 1, 301)
    return talk.frames


@case
def odd_flags() -> list[Frame]:
    """SYN with FIN, FIN with RST, and a second reset with another number."""
    talk = Talk()
    talk.c(0, SYN | FIN, 0)
    talk.s(1, FIN | RST | ACK, 0, 1)
    talk.s(2, RST, 10)
    talk.s(3, RST, 20)
    return talk.frames


@case
def wrapped() -> list[Frame]:
    """Sequence numbers run over 2^32 in the middle: neither a hole nor a repetition."""
    talk = Talk(isn=(2**32 - 150, 2**32 - 1))
    talk.handshake()
    for number in range(3):
        talk.c(30 + number, ACK, 1 + 100 * number, 1, b"w" * 100)
    talk.s(40, ACK, 1, 301)
    talk.close(50, 301, 1)
    return talk.frames
