"""Write the seed corpora of the `pcap` and `pcapng` fuzz targets: small captures of every shape that is read.

    scripts/capture_seeds.py [FOLDER]        default: rust/fuzz/corpus

The tests of the sources read the same files.
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus"

SECONDS = 1_700_000_000
FRAME = (
    bytes.fromhex("02000000000202000000000108004500002100004000401100000a0000010a000002")
    + b"\x10\x00\x00\x35\0\x0d\0\0hello"
)


def pcap(
    order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = 1, version: tuple[int, int] = (2, 4), extra: bytes = b""
) -> bytes:
    """Two records: a whole frame and one that a snap length cut. extra: bytes behind each record header."""
    fraction = 123_456_789 if magic == 0xA1B23C4D else 123_456
    head = struct.pack(order + "IHHiIII", magic, *version, 0, 0, 262_144, link_type)
    out = head
    for number, captured in enumerate((FRAME, FRAME[:20])):
        lengths = (len(captured), len(FRAME))
        if version < (2, 3):
            lengths = lengths[::-1]
        out += struct.pack(order + "IIII", SECONDS + number, fraction, *lengths) + extra + captured
    return out


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def interface(order: str = "<", link_type: int = 1, snap_len: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, snap_len) + options)


def enhanced(order: str, count: int, index: int = 0, frame: bytes = FRAME, options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", index, count >> 32, count & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, 6, head + frame + bytes(-len(frame) % 4) + options)


def old_packet(order: str, count: int) -> bytes:
    head = struct.pack(order + "HHIIII", 0, 0xFFFF, count >> 32, count & 0xFFFFFFFF, len(FRAME), len(FRAME))
    return block(order, 2, head + FRAME)


def simple(order: str, snap_len: int) -> bytes:
    return block(order, 3, struct.pack(order + "I", len(FRAME)) + FRAME[: snap_len or None])


def sections(order: str) -> bytes:
    """Names, resolutions, offsets, comments, unknown blocks and options, two interfaces, every packet block."""
    end = bytes(4)
    micros = SECONDS * 1_000_000
    name = option(order, 2, b"ns1/veth1") + option(order, 9, b"\x09") + option(order, 4242, b"unknown") + end
    binary = option(order, 9, b"\x8a") + option(order, 14, struct.pack(order + "q", SECONDS)) + end
    flags = option(order, 2, struct.pack(order + "I", 1)) + option(order, 1, b"a comment") + end
    return (
        section(order, option(order, 4, b"seeds") + end)
        + interface(order, 1, 0, name)
        + interface(order, 101, 24, binary)
        + block(order, 0x0BAD0001, b"unknown block")
        + enhanced(order, SECONDS * 1_000_000_000 + 5, 0, options=flags)
        + enhanced(order, 512, 1, FRAME[14:])
        + block(order, 5, struct.pack(order + "III", 0, 0, 1) + end)
        + section(order)
        + interface(order, 1, 20)
        + simple(order, 20)
        + old_packet(order, micros)
    )


def pcap_seeds() -> dict[str, bytes]:
    return {
        "micros-le": pcap(),
        "micros-be": pcap(">"),
        "nanos-le": pcap(magic=0xA1B23C4D),
        "nanos-be": pcap(">", 0xA1B23C4D),
        "patched-le": pcap(magic=0xA1B2CD34, extra=bytes(8)),
        "old-lengths": pcap(version=(2, 2)),
        "pseudo-header": pcap(link_type=204),
        "unknown-link": pcap(link_type=147),
        "cut": pcap()[:-3],
        "long": struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0, 1) + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 1),
        "gzip": gzip.compress(pcap(), mtime=0),
    }


def pcapng_seeds() -> dict[str, bytes]:
    return {
        "sections-le": sections("<"),
        "sections-be": sections(">"),
        "both-orders": sections("<") + sections(">"),
        "custom": section() + block("<", 0xBAD, struct.pack("<I", 32473) + b"mine"),
        "huge-block": section() + interface() + struct.pack("<II", 6, 0xFFFFFFF0) + bytes(24),
        "no-interface": section() + enhanced("<", 1),
        "cut": (section() + interface() + enhanced("<", 1))[:-7],
        "gzip": gzip.compress(section() + interface() + enhanced("<", 1), mtime=0),
    }


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for target, seeds in (("pcap", pcap_seeds()), ("pcapng", pcapng_seeds())):
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (folder / target / name).write_bytes(seed)
        print(f"{len(seeds)} seeds in {folder / target}")


if __name__ == "__main__":
    main()
