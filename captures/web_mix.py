"""Writes `captures/web/mix.pcap`: a minute of a small web shop (`python -m captures.web_mix`).

Three clients ask a resolver for names and two servers for pages. One path is slow, one fails now and then, one name
does not exist, and one question is never answered. Seeded: the same bytes on every run. The notebooks read it.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

from captures.wire import ACK, FIN, MS, PSH, SYN, T0, Frame, eth, ip4, pcap, tcp, udp

FILE = Path(__file__).with_name("web") / "mix.pcap"
MSS = 1448
RESOLVER = "10.0.0.53"
CLIENTS = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
SERVERS = {"shop.test": "10.0.1.80", "api.shop.test": "10.0.1.81"}
# path: (host, share of requests, ms until the answer, its bytes, its type, share of failures, status of those)
PAGES = {
    "/": ("shop.test", 40, (2, 8), 400, "text/html", 0.0, 200),
    "/logo.png": ("shop.test", 30, (1, 3), 900, "image/png", 0.0, 200),
    "/old": ("shop.test", 8, (1, 3), 320, "text/html", 1.0, 404),
    "/items": ("api.shop.test", 25, (10, 30), 600, "application/json", 0.0, 200),
    "/search": ("api.shop.test", 20, (300, 900), 300, "application/json", 0.0, 200),
    "/pay": ("api.shop.test", 12, (20, 60), 140, "application/json", 0.3, 503),
}
REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}
MACS = {address: f"02:00:00:00:00:{at:02x}" for at, address in enumerate([*CLIENTS, RESOLVER, *SERVERS.values()], 1)}


class Wire:
    """Frames of many conversations; times in ms."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ident = 0

    def send(self, at: float, src: str, dst: str, proto: int, segment: bytes) -> None:
        self.ident = (self.ident + 1) & 0xFFFF
        frame = eth(0x0800, ip4(src, dst, proto, segment, ident=self.ident), MACS[src], MACS[dst])
        self.frames.append(Frame(T0 + round(at * MS), frame))


def question(name: str, trans_id: int, answer: str | None = None, rcode: int = 0) -> bytes:
    """A question for an address, or with `answer` or `rcode` what is said to it (RFC 1035, 4.1)."""
    is_answer = answer is not None or rcode
    flags = 0x8180 | rcode if is_answer else 0x0100
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    message = struct.pack(">HHHHHH", trans_id, flags, 1, answer is not None, 0, 0) + labels + struct.pack(">HH", 1, 1)
    if answer is not None:
        message += struct.pack(">HHHIH", 0xC00C, 1, 1, 300, 4) + bytes(map(int, answer.split(".")))
    return message


def resolve(wire: Wire, pick: random.Random, at: float, client: str, name: str) -> float:
    """Ask for a name; the time of the answer."""
    port, trans_id = pick.randrange(40_000, 60_000), pick.randrange(1 << 16)
    wire.send(at, client, RESOLVER, 17, udp(client, port, RESOLVER, 53, question(name, trans_id)))
    if name == "lost.test":
        return at
    took = pick.uniform(0.3, 2.0) if name in SERVERS else pick.uniform(20, 60)
    said = question(name, trans_id, SERVERS.get(name), 0 if name in SERVERS else 3)
    wire.send(at + took, RESOLVER, client, 17, udp(RESOLVER, 53, client, port, said))
    return at + took


def connection(wire: Wire, pick: random.Random, at: float, client: str, host: str, paths: list[str]) -> None:
    """One connection that is kept alive for all of `paths`."""
    server, port = SERVERS[host], pick.randrange(30_000, 60_000)
    mine, theirs = pick.randrange(1 << 31), pick.randrange(1 << 31)
    half = pick.uniform(0.1, 0.4)  # ms one way

    def out(when: float, flags: int, data: bytes = b"") -> None:
        mss = MSS if flags & SYN else None
        ack = theirs if flags & ACK else 0
        wire.send(when, client, server, 6, tcp(client, port, server, 80, flags, mine, ack, data, mss=mss))

    def back(when: float, flags: int, data: bytes = b"") -> None:
        mss = MSS if flags & SYN else None
        wire.send(when, server, client, 6, tcp(server, 80, client, port, flags, theirs, mine, data, mss=mss))

    out(at, SYN)
    mine += 1
    back(at + half, SYN | ACK)
    theirs += 1
    at += 2 * half
    out(at, ACK)
    for path in paths:
        _, _, wait, size, kind, failing, status = PAGES[path]
        failed = pick.random() < failing
        code, body = (status, b"no\n") if failed else (200, b"x" * size)
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mix/1\r\nAccept: */*\r\n\r\n".encode()
        out(at + 0.1, PSH | ACK, request)
        mine += len(request)
        at += 0.1 + half + pick.uniform(*wait)
        head = f"HTTP/1.1 {code} {REASONS[code]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = head.encode() + body
        for start in range(0, len(answer), MSS):
            part = answer[start : start + MSS]
            back(at, ACK | (PSH if start + MSS >= len(answer) else 0), part)
            theirs += len(part)
            at += 0.02
        at += half
        out(at, ACK)
        at += pick.uniform(5, 400)  # the reader reads
    out(at, FIN | ACK)
    mine += 1
    back(at + half, FIN | ACK)
    theirs += 1
    out(at + 2 * half, ACK)


def frames() -> list[Frame]:
    """The minute, in order of time."""
    pick, wire = random.Random(2026), Wire()
    for visit in range(16):
        at, client = pick.uniform(0, 56_000), CLIENTS[min(visit % 4, 2)]
        for host in SERVERS:
            paths = [path for path, page in PAGES.items() if page[0] == host]
            chosen = pick.choices(paths, [PAGES[path][1] for path in paths], k=pick.randrange(1, 5))
            at = resolve(wire, pick, at, client, host)
            connection(wire, pick, at + 0.2, client, host, chosen)
    for name, times in (("nosuch.test", 5), ("lost.test", 2)):
        for _ in range(times):
            resolve(wire, pick, pick.uniform(0, 59_000), CLIENTS[1], name)
    return sorted(wire.frames, key=lambda frame: frame.ts)


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(pcap(frames()))


if __name__ == "__main__":
    main()
