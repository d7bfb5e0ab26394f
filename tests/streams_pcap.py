"""Captures of one HTTP transfer in every shape that streams come in: a body of 16,400 bytes, made byte by byte.

    python tests/streams_pcap.py DIR      # writes CASE.pcap for each case

Standard library only; checksums are zero, which hides no packet.
"""

from __future__ import annotations

import gzip
import ipaddress
import struct
import sys
from collections.abc import Callable
from pathlib import Path

BODY = bytes((i * 7 + i // 251) % 251 for i in range(16_400))
MSS = 1000
CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 80)
CLIENT6, SERVER6 = ("2001:db8::1", 40000), ("2001:db8::2", 80)
REQUEST = b"GET /file.bin HTTP/1.1\r\nHost: test\r\n\r\n"
FIN, SYN, PSH, ACK = 1, 2, 8, 16

End = tuple[str, int]
Segment = tuple[End, End, int, int, int, bytes]  # from, to, flags, seq, ack, payload


def response(fields: str = f"Content-Length: {len(BODY)}", body: bytes = BODY) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{fields}\r\n\r\n".encode() + body


def chunked(body: bytes = BODY) -> bytes:
    parts = [body[at : at + 3001] for at in range(0, len(body), 3001)]
    framed = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)
    return response("Transfer-Encoding: chunked", framed + b"0\r\nX-Trailer: yes\r\n\r\n")


def connection(
    answer: bytes, client: End = CLIENT, server: End = SERVER, isn: int = 5000, syn: bool = True
) -> list[Segment]:
    """Handshake, request, answer in segments of MSS, both FINs."""
    other = 0x1000
    segments: list[Segment] = []
    if syn:
        segments += [(client, server, SYN, other, 0, b""), (server, client, SYN | ACK, isn, other + 1, b"")]
    here, there = other + 1, (isn + 1) & 0xFFFFFFFF
    segments.append((client, server, ACK, here, there, b""))
    segments.append((client, server, PSH | ACK, here, there, REQUEST))
    here += len(REQUEST)
    for at in range(0, len(answer), MSS):
        part = answer[at : at + MSS]
        segments.append((server, client, ACK, there, here, part))
        there = (there + len(part)) & 0xFFFFFFFF
    segments.append((server, client, FIN | ACK, there, here, b""))
    segments.append((client, server, FIN | ACK, here, (there + 1) & 0xFFFFFFFF, b""))
    segments.append((server, client, ACK, (there + 1) & 0xFFFFFFFF, here + 1, b""))
    return segments


def is_data(segment: Segment) -> bool:
    return segment[0][1] == 80 and bool(segment[5])


def tcp(segment: Segment) -> bytes:
    source, target, flags, seq, ack, payload = segment
    head = struct.pack(">HHIIBBHHH", source[1], target[1], seq & 0xFFFFFFFF, ack, 5 << 4, flags, 65535, 0, 0)
    return head + payload


def ip(source: str, target: str, proto: int, payload: bytes, ident: int = 0, fragment: int = 0) -> bytes:
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if a.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + a.packed + b.packed + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, proto, 0)
    return head + a.packed + b.packed + payload


def packet(segment: Segment) -> bytes:
    return ip(segment[0][0], segment[1][0], 6, tcp(segment))


def eth(payload: bytes, tags: bytes = b"") -> bytes:
    kind = b"\x86\xdd" if payload[0] >> 4 == 6 else b"\x08\x00"
    return b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01" + tags + kind + payload


def fragments(segment: Segment, ident: int) -> list[bytes]:
    whole = tcp(segment)
    size = 400
    out = []
    for at in range(0, len(whole), size):
        more = 0x2000 if at + size < len(whole) else 0
        out.append(eth(ip(segment[0][0], segment[1][0], 6, whole[at : at + size], ident, more | at // 8)))
    return out


def vxlan(frame: bytes) -> bytes:
    inner = struct.pack(">II", 0x08000000, 42 << 8) + frame
    outer = struct.pack(">HHHH", 50000, 4789, 8 + len(inner), 0) + inner
    return eth(ip("192.0.2.1", "192.0.2.2", 17, outer))


def split(frame: bytes, ident: int, size: int = 400) -> list[bytes]:
    """The IP packet of a frame in fragments."""
    source, target = (ipaddress.ip_address(frame[at : at + 4]) for at in (26, 30))
    whole = frame[34:]
    parts = range(0, len(whole), size)
    return [
        eth(ip(str(source), str(target), frame[23], whole[at : at + size], ident, (at < parts[-1]) << 13 | at // 8))
        for at in parts
    ]


def split6(proto: int, payload: bytes, ident: int, size: int = 400) -> list[bytes]:
    """What an IPv6 tunnel carries as fragments, behind a hop-by-hop header (RFC 8200, 4.5)."""
    parts = range(0, len(payload), size)
    options = struct.pack(">BBBB4x", 44, 0, 1, 4)  # one PadN option
    return [
        eth(
            ip(
                "2001:db8::1",
                "2001:db8::2",
                0,
                options + struct.pack(">BxHI", proto, at | (at < parts[-1]), ident) + payload[at : at + size],
            )
        )
        for at in parts
    ]


def swapped(segments: list[Segment]) -> list[Segment]:
    """Every second pair of data segments the other way round, the first one too."""
    out = list(segments)
    data = [i for i, one in enumerate(segments) if is_data(one)]
    for left, right in zip(data[::2], data[1::2], strict=False):
        out[left], out[right] = out[right], out[left]
    return out


def without_one(segments: list[Segment]) -> list[Segment]:
    data = [one for one in segments if is_data(one)]
    return [one for one in segments if one is not data[5]]


def plain(segments: list[Segment], tags: bytes = b"") -> list[bytes]:
    return [eth(packet(one), tags) for one in segments]


VLAN, QINQ = b"\x81\x00\x00\x64", b"\x88\xa8\x00\x0a\x81\x00\x00\x14"
DATA = connection(response())

CASES: dict[str, Callable[[], list[bytes]]] = {
    "length": lambda: plain(DATA),
    "chunked": lambda: plain(connection(chunked())),
    "gzip": lambda: plain(
        connection(
            response(
                f"Content-Encoding: gzip\r\nContent-Length: {len(gzip.compress(BODY, mtime=0))}",
                gzip.compress(BODY, mtime=0),
            )
        )
    ),
    "duplicates": lambda: plain([copy for one in DATA for copy in ((one, one) if one[5] else (one,))]),
    "mid-stream": lambda: plain(connection(response(), syn=False)),
    "ipv6": lambda: plain(connection(response(), CLIENT6, SERVER6)),
    "vlan": lambda: plain(DATA, VLAN),
    "qinq": lambda: plain(DATA, QINQ),
    "out-of-order": lambda: plain(swapped(DATA)),
    "fragments": lambda: [
        frame for i, one in enumerate(DATA) for frame in (fragments(one, i + 1) if one[5] else [eth(packet(one))])
    ],
    "fragments-reversed": lambda: [
        frame for i, one in enumerate(DATA) for frame in (fragments(one, i + 1)[::-1] if one[5] else [eth(packet(one))])
    ],
    "wrap": lambda: plain(connection(response(), isn=0xFFFFFFFF - 7000)),
    "gre": lambda: [eth(ip("192.0.2.1", "192.0.2.2", 47, struct.pack(">HH", 0, 0x0800) + packet(one))) for one in DATA],
    "ipip": lambda: [eth(ip("192.0.2.1", "192.0.2.2", 4, packet(one))) for one in DATA],
    "vxlan": lambda: [vxlan(eth(packet(one))) for one in DATA],
    "vxlan-fragments": lambda: [part for i, one in enumerate(DATA) for part in split(vxlan(eth(packet(one))), i)],
    "vxlan6-fragments": lambda: [
        part for i, one in enumerate(DATA) for part in split6(17, vxlan(eth(packet(one)))[34:], i)
    ],
    "4in6-fragments": lambda: [part for i, one in enumerate(DATA) for part in split6(4, packet(one), i)[::-1]],
    "ipip-fragments": lambda: [
        part for i, one in enumerate(DATA) for part in split(eth(ip("192.0.2.1", "192.0.2.2", 4, packet(one))), i)[::-1]
    ],
    "keep-alive-probes": lambda: plain(
        [
            probe
            for one in DATA
            for probe in (
                (one, (*one[:3], (one[3] + len(one[5]) - 1) & 0xFFFFFFFF, one[4], b"\0")) if is_data(one) else (one,)
            )
        ]
    ),
    "until-close": lambda: plain(connection(response("X: until close"))),
    "missing": lambda: plain(without_one(DATA)),
}


def write(case: str, path: Path, start: int = 1_700_000_000) -> None:
    """Write the capture of a case, the first frame at `start` seconds since 1970."""
    write_frames(CASES[case](), path, start)


def write_frames(frames: list[bytes], path: Path, start: int = 1_700_000_000) -> None:
    """Write a pcap file of these frames, a millisecond apart."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for i, frame in enumerate(frames):
            file.write(struct.pack("<IIII", start + i // 1000, i % 1000 * 1000, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    for name in CASES:
        write(name, Path(sys.argv[1]) / f"{name}.pcap")
