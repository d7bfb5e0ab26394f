"""A capture of plain web traffic, made here byte by byte: keep-alive connections, bodies of 30 to 150 kB."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from bench.inputs import DATA, ROOT

MSS = 1448
TRANSACTIONS = 1704  # about 157 MB, as the capture that ../shared/perf/README.md measured
PER_CONNECTION = 8
CLIENT, SERVER = bytes((10, 1, 0, 1)), bytes((10, 1, 0, 2))
MACS = bytes.fromhex("020000000002020000000001")
ACK, PSH, FIN, SYN = 16, 8, 1, 2


class Connection:
    """One side after the other: (from client, flags, payload) to frames."""

    def __init__(self, port: int) -> None:
        self.ports = (struct.pack(">HH", port, 80), struct.pack(">HH", 80, port))
        self.next = [1000, 5000]

    def frame(self, client: bool, flags: int, payload: bytes = b"") -> bytes:
        side = 0 if client else 1
        head = struct.pack(">IIBBHI", self.next[side], self.next[1 - side], 0x50, flags, 65535, 0)
        ends = CLIENT + SERVER if client else SERVER + CLIENT
        total = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0)
        self.next[side] += len(payload) + (1 if flags & (SYN | FIN) else 0)
        return MACS + b"\x08\x00" + total + ends + self.ports[side] + head + payload


def frames() -> list[bytes]:
    """Every frame: requests, responses in full segments, an acknowledgment for every second one."""
    words = (b"the quick brown fox jumps over the lazy dog " * 4000)[:160_000]
    out: list[bytes] = []
    for number in range(TRANSACTIONS):
        if number % PER_CONNECTION == 0:
            one = Connection(20_000 + number // PER_CONNECTION)
            out += [one.frame(True, SYN), one.frame(False, SYN | ACK), one.frame(True, ACK)]
        size = 30_000 + number * 7919 % 120_000
        request = f"GET /page/{number:05} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench\r\n\r\n"
        out.append(one.frame(True, PSH | ACK, request.encode()))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
        answer = head.encode() + words[:size]
        for i, at in enumerate(range(0, len(answer), MSS)):
            out.append(one.frame(False, ACK, answer[at : at + MSS]))
            if i % 2:
                out.append(one.frame(True, ACK))
        if number % PER_CONNECTION == PER_CONNECTION - 1 or number == TRANSACTIONS - 1:
            out += [one.frame(False, FIN | ACK), one.frame(True, FIN | ACK), one.frame(False, ACK)]
    return out


def web() -> Path:
    """The capture, made once."""
    path = DATA / f"web-{TRANSACTIONS}.pcap"
    if path.exists():
        return path
    DATA.mkdir(parents=True, exist_ok=True)
    print(f"bench: making {path.relative_to(ROOT)}", file=sys.stderr, flush=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number, frame in enumerate(frames()):
            stamp = struct.pack("<II", 1_700_000_000 + number // 20_000, number % 20_000 * 50)
            file.write(stamp + struct.pack("<II", len(frame), len(frame)) + frame)
    part.rename(path)
    return path
