"""Write seed corpora of the fuzz targets of streams: messages of every kind, made here.

scripts/stream_seeds.py [FOLDER]        default: rust/fuzz/corpus
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus"

QUESTION = b"\x03www\x07example\x03com\0\0\x01\0\x01"


def dns(flags: int, counts: tuple[int, int, int, int], rest: bytes) -> bytes:
    return struct.pack(">HHHHHH", 7, flags, *counts) + rest


def record(rtype: int, data: bytes) -> bytes:
    return b"\xc0\x0c" + struct.pack(">HHIH", rtype, 1, 60, len(data)) + data


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, data)


def client_hello() -> bytes:
    extensions = b"".join(
        (
            extension(0, vector(2, b"\0" + vector(2, b"example.com"))),
            extension(10, vector(2, b"\0\x1d\0\x17")),
            extension(11, vector(1, b"\0")),
            extension(13, vector(2, b"\4\3\x08\4")),
            extension(16, vector(2, vector(1, b"h2"))),
            extension(43, vector(1, b"\3\4\3\3")),
        )
    )
    return (
        b"\3\3"
        + bytes(32)
        + vector(1, bytes(32))
        + vector(2, b"\x13\1\xc0\x2b")
        + vector(1, b"\0")
        + vector(2, extensions)
    )


def tls(kind: int, body: bytes) -> bytes:
    return b"\x16\3\1" + vector(2, bytes([kind]) + vector(3, body))


def dhcp4() -> bytes:
    head = struct.pack(">BBBBI", 2, 1, 6, 0, 99).ljust(236, b"\0")
    return head + b"\x63\x82\x53\x63\x35\x01\x05\x33\x04\0\0\x0e\x10\x0c\x04host\x51\x07\4\0\0\4host\xff"


def dhcp6() -> bytes:
    address = bytes(16) + struct.pack(">II", 1, 2)
    association = bytes(12) + struct.pack(">HH", 5, 24) + address
    return (
        b"\x07\0\x12\x34\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x01"
        + struct.pack(">HH", 3, len(association))
        + association
    )


# In http1, bytes 0 and 1 say that the client or the server speaks next.
SEEDS: dict[str, dict[str, bytes]] = {
    "http1": {
        "length": b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\1HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "chunked": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n"
        b"\1HTTP/1.1 204 No\r\n\r\n",
        "pipelined": b"HEAD /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n\1"
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.0 200 OK\r\n\r\nab",
        "interim": b"PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab\1HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 304 Same\r\n\r\n",
        "connect": b"CONNECT h:443 HTTP/1.1\r\n\r\n\1HTTP/1.1 200 Go\r\n\r\nrest",
        "smuggled": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "folded": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\tc\r\n\r\n",
        "coded": b"\1HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
        + gzip.compress(b"abc", mtime=0).replace(b"\0", b"\2").replace(b"\1", b"\2"),
    },
    "dns": {
        "query": dns(0x0100, (1, 0, 0, 0), QUESTION),
        "a": dns(0x8180, (1, 1, 0, 0), QUESTION + record(1, b"\xc0\0\2\1")),
        "many": dns(
            0x8180,
            (1, 6, 0, 0),
            QUESTION
            + record(5, b"\1x\xc0\x10")
            + record(15, b"\0\x0a\xc0\x10")
            + record(16, b"\2ab")
            + record(33, b"\0\1\0\2\1\xbb\xc0\x0c")
            + record(65, b"\0\1\0\0\1\0\3\2h2")
            + record(257, b"\0\5issueca"),
        ),
        "loop": dns(0, (1, 0, 0, 0), b"\xc0\x0c\0\1\0\1"),
    },
    "tls": {
        "client": tls(1, client_hello()),
        "body": client_hello(),
        "server": tls(2, b"\3\3" + bytes(32) + b"\0\x13\1\0" + vector(2, extension(43, b"\3\4"))),
    },
    "dhcp": {"four": dhcp4(), "six": dhcp6(), "relayed": b"\x0d\0" + bytes(32) + b"\0\x09" + vector(2, dhcp6())},
    "reassembly": {
        "in-order": bytes(5) + b"\0\0\x10\0\0\x10\x10\0",
        "reversed": bytes(5) + b"\0\x10\x10\0\0\0\x10\0",
        "overlaps": b"\1\xff\xff\xff\xf0" + b"\0\x08\x10\0\0\x04\x20\1\0\0\x06\0",
        "gap": b"\2\0\0\0\0" + b"\0\x40\x10\0\0\x90\x10\1\0\xff\0\x0e\0\0\0\x0c",
    },
}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for target, seeds in SEEDS.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (folder / target / name).write_bytes(seed)
