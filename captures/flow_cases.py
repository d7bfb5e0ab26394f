"""Writes `captures/flows/*.pcap`: one tiny capture for each rule of the flow table (`python -m captures.flow_cases`).

Each function gives the frames of one capture; its docstring says what happens. `tests/test_flow_rules.py` says what the
rows must be, and that this script gives the files that are kept, byte for byte.
"""

from __future__ import annotations

import struct
from pathlib import Path

from captures.tcp_cases import CASES, A, B, C, Talk, case
from captures.wire import (
    ACK,
    CLIENT_MAC,
    MS,
    PSH,
    ROUTER_MAC,
    SERVER_MAC,
    SYN,
    T0,
    Frame,
    arp,
    eth,
    icmp,
    ip4,
    ip6,
    ip6_fragment,
    mac,
    pcap,
    tcp,
    udp,
    vxlan,
)

FOLDER = Path(__file__).with_name("flows")
SNAP_LEN = {"snap_length": 60}
COOKED = 113  # LINKTYPE_LINUX_SLL
LINK_TYPE = {"cooked": COOKED}


def udp_frame(at: float, payload: bytes, src: str = A, sport: int = 40_000, dst: str = B, dport: int = 9999) -> Frame:
    return Frame(T0 + round(at * MS), eth(0x0800, ip4(src, dst, 17, udp(src, sport, dst, dport, payload))))


def echo_frame(at: float, kind: int, src: str, dst: str, ident: int, number: int) -> Frame:
    return Frame(T0 + round(at * MS), eth(0x0800, ip4(src, dst, 1, icmp(kind, 0, ident << 16 | number, b"ping" * 4))))


@case
def idle() -> list[Frame]:
    """UDP quiet for 60 and then 60.001 s, TCP for 300 and then 300.001 s, ARP for 10 and then 10.001 s."""
    frames = [udp_frame(at, b"u") for at in (0, 60_000, 120_001)]
    talk = Talk()
    for at, seq in ((0, 1), (300_000, 2), (600_001, 3)):
        talk.c(at, ACK, seq, 1, b"t")
    request = eth(0x0806, arp(1, CLIENT_MAC, A, "00:00:00:00:00:00", B))
    frames += talk.frames + [Frame(T0 + at * MS, request) for at in (0, 10_000, 20_001)]
    return sorted(frames, key=lambda frame: frame.ts)


@case
def echo() -> list[Frame]:
    """Pings of A to B and to C with one identifier, of A to B with another, and of B to A with the first."""
    frames = []
    for at, src, dst, ident in ((0, A, B, 7), (100, A, C, 7), (200, A, B, 8), (300, B, A, 7), (1000, A, B, 7)):
        number = 1 + at // 1000
        frames += [echo_frame(at, 8, src, dst, ident, number), echo_frame(at + 1, 0, dst, src, ident, number)]
    return frames


@case
def icmp_errors() -> list[Frame]:
    """UDP to a closed port and TCP with too small a TTL: each is answered by an error that quotes it."""
    datagram = ip4(A, B, 17, udp(A, 40_000, B, 33_434, b"probe"))
    segment = ip4(A, B, 6, tcp(A, 40_001, B, 443, SYN, 77), ttl=1, ident=9)
    unreachable = ip4(B, A, 1, icmp(3, 3, 0, datagram))
    exceeded = ip4(C, A, 1, icmp(11, 0, 0, segment[:28]))
    return [
        Frame(T0, eth(0x0800, datagram)),
        Frame(T0 + 2 * MS, eth(0x0800, unreachable, SERVER_MAC, CLIENT_MAC)),
        Frame(T0 + 10 * MS, eth(0x0800, segment)),
        Frame(T0 + 11 * MS, eth(0x0800, exceeded, ROUTER_MAC, CLIENT_MAC)),
        Frame(T0 + 20 * MS, eth(0x0800, datagram)),
        Frame(T0 + 22 * MS, eth(0x0800, unreachable, SERVER_MAC, CLIENT_MAC)),
    ]


@case
def arp_rows() -> list[Frame]:
    """A request and its reply, and an announcement of C."""
    request = eth(0x0806, arp(1, CLIENT_MAC, A, "00:00:00:00:00:00", B), CLIENT_MAC, "ff:ff:ff:ff:ff:ff")
    reply = eth(0x0806, arp(2, SERVER_MAC, B, CLIENT_MAC, A), SERVER_MAC, CLIENT_MAC)
    announcement = eth(0x0806, arp(1, ROUTER_MAC, C, "00:00:00:00:00:00", C), ROUTER_MAC, "ff:ff:ff:ff:ff:ff")
    return [Frame(T0, request), Frame(T0 + MS, reply), Frame(T0 + 2 * MS, announcement)]


@case
def other_types() -> list[Frame]:
    """LLDP, a spanning tree frame, one of an experimental type each way, EAPOL, a tagged spanning tree frame, CDP."""
    lldp = eth(0x88CC, bytes.fromhex("0207040200000000010403020502060200780000"), CLIENT_MAC, "01:80:c2:00:00:0e")
    stp = bytes.fromhex(
        "0180c2000000020000000001002642420300000000008000020000000001000000008000020000000001800100001400020f00"
    )
    there = eth(0x88B5, b"question", CLIENT_MAC, SERVER_MAC)
    back = eth(0x88B5, b"answer", SERVER_MAC, CLIENT_MAC)
    eapol = eth(0x888E, bytes.fromhex("01010000"), CLIENT_MAC, SERVER_MAC)
    tagged = stp[:12] + bytes.fromhex("81000007") + stp[12:]
    cdp = bytes.fromhex("01000ccccccc0200000000010020aaaa0300000c200002b4000000010008737769746368")
    frames = [lldp, stp.ljust(60, b"\0"), there, back, eapol, tagged.ljust(60, b"\0"), cdp.ljust(60, b"\0")]
    return [Frame(T0 + at * MS, frame) for at, frame in enumerate(frames)]


@case
def cooked() -> list[Frame]:
    """Linux cooked frames: UDP both ways, and LLDP; each names its sender's hardware address alone."""

    def frame(at: int, sender: str, kind: int, payload: bytes) -> Frame:
        return Frame(T0 + at * MS, struct.pack(">HHH6sHH", 0, 1, 6, mac(sender), 0, kind) + payload)

    there, back = udp(A, 40_000, B, 9999, b"question"), udp(B, 9999, A, 40_000, b"answer")
    return [
        frame(0, CLIENT_MAC, 0x0800, ip4(A, B, 17, there)),
        frame(1, SERVER_MAC, 0x0800, ip4(B, A, 17, back)),
        frame(2, ROUTER_MAC, 0x88CC, bytes.fromhex("0207040200000000030000")),
    ]


def fragments_of(src: str, sport: int, dst: str, dport: int, size: int, ident: int, part: int = 1480) -> list[bytes]:
    datagram = udp(src, sport, dst, dport, bytes(range(256)) * (size // 256) + bytes(size % 256))
    cuts = range(0, len(datagram), part)
    return [
        eth(0x0800, ip4(src, dst, 17, datagram[at : at + part], ident=ident, offset=at, more=at + part < len(datagram)))
        for at in cuts
    ]


@case
def fragments() -> list[Frame]:
    """Datagrams of 4,000 bytes in three fragments: one in order, its answer with the last fragment first."""
    there = fragments_of(A, 40_000, B, 9999, 4000, 1)
    back = fragments_of(B, 9999, A, 40_000, 4000, 2)
    return [Frame(T0 + at * MS, frame) for at, frame in enumerate([*there, *reversed(back)])]


@case
def fragments_headless() -> list[Frame]:
    """Two fragments whose first never comes, and a datagram that is whole."""
    headless = fragments_of(A, 40_000, B, 9999, 4000, 1)[1:]
    return [*(Frame(T0 + at * MS, frame) for at, frame in enumerate(headless)), udp_frame(5, b"whole")]


@case
def fragments_crossed() -> list[Frame]:
    """Two datagrams of different flows, their fragments interleaved: the identification tells them apart."""
    one, two = fragments_of(A, 40_000, B, 9999, 2000, 1), fragments_of(A, 40_001, B, 9999, 2000, 2)
    return [Frame(T0 + at * MS, frame) for at, frame in enumerate([two[1], one[0], two[0], one[1]])]


@case
def fragments_ipv6() -> list[Frame]:
    """A datagram of 2,000 bytes behind destination options in two IPv6 fragments, the second one first."""
    src, dst = "2001:db8::1", "2001:db8::2"
    whole = bytes.fromhex("1100010400000000") + udp(src, 40_000, dst, 9999, bytes(2000))
    parts = [(0, whole[:1448], True), (1448, whole[1448:], False)]
    frames = [eth(0x86DD, ip6(src, dst, 44, ip6_fragment(60, part, 77, at, more))) for at, part, more in parts]
    return [Frame(T0 + at * MS, frame) for at, frame in enumerate(reversed(frames))]


@case
def fragmented_segment() -> list[Frame]:
    """A TCP segment of 1,800 bytes in two IP fragments, and the next segment: no hole between them."""
    talk = Talk()
    talk.handshake()
    segment = tcp(A, 40_000, B, 80, ACK, 1001, 5001, bytes(1800))
    parts = [(0, segment[:1480], True), (1480, segment[1480:], False)]
    for at, part, more in parts:
        packet = ip4(A, B, 6, part, ident=99, offset=at, more=more)
        talk.frames.append(Frame(T0 + 30 * MS, eth(0x0800, packet)))
    talk.c(31, ACK, 1801, 1, bytes(200))
    return talk.frames


@case
def snap_length() -> list[Frame]:
    """Captured with a snap length of 60: 1,000 bytes of UDP, 1,000 of TCP, a short datagram, a header cut in two."""
    long_udp = udp_frame(0, bytes(1000))
    talk = Talk()
    talk.c(1, ACK, 1, 1, bytes(1000))
    talk.c(2, ACK, 1001, 1, bytes(1000))
    tagged = eth(0x0800, ip4(A, B, 6, tcp(A, 41_000, B, 80, ACK, 5, 6, bytes(500))), vlans=(1, 2, 3))
    return [long_udp, *talk.frames, udp_frame(3, b"short"), Frame(T0 + 4 * MS, tagged)]


@case
def time_runs_back() -> list[Frame]:
    """Datagrams whose times are not in the order of the file: 100, 0, 300, 200 ms."""
    return [udp_frame(at, bytes(10 * (1 + number))) for number, at in enumerate((100, 0, 300, 200))]


@case
def tags_and_tunnels() -> list[Frame]:
    """The same addresses and ports untagged, in VLAN 10 and 20, in 20 inside 30, and in VXLAN 100 and 200."""
    packet = ip4(A, B, 17, udp(A, 40_000, B, 9999, b"same"))
    plain = eth(0x0800, packet)
    tags = [(), (10,), (20,), (30, 20)]
    frames = [eth(0x0800, packet, vlans=vlans) for vlans in tags] + [vxlan(100, plain), vxlan(200, plain)]
    return [Frame(T0 + at * MS, frame) for at, frame in enumerate(frames * 2)]


@case
def services() -> list[Frame]:
    """HTTP on port 9000, something unknown on 443 and on 9001, DNS."""
    web, shut, other = Talk(ports=(40_000, 9000)), Talk(ports=(40_001, 443)), Talk(ports=(40_002, 9001))
    web.c(0, PSH | ACK, 1, 1, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    shut.c(1, SYN, 0)
    other.c(2, PSH | ACK, 1, 1, b"\x00\x01\x02")
    query = bytes.fromhex("00010100000100000000000001610474657374000001") + b"\x00\x01"
    return [*web.frames, *shut.frames, *other.frames, udp_frame(3, query, dport=53)]


@case
def unanswered() -> list[Frame]:
    """UDP one way, both ways, and an answer alone from a well-known port."""
    return [
        udp_frame(0, b"alone", sport=40_000),
        udp_frame(1, b"question", sport=40_001),
        udp_frame(2, b"answer", src=B, sport=9999, dst=A, dport=40_001),
        udp_frame(3, b"", sport=40_002),
    ]


def write(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        data = pcap(make(), SNAP_LEN.get(name, 262_144), LINK_TYPE.get(name, 1))
        (folder / f"{name}.pcap").write_bytes(data)


if __name__ == "__main__":
    write()
