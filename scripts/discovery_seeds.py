"""Write the seed corpus of the `discovery` fuzz target: short stories of Ethernet frames, made here.

    scripts/discovery_seeds.py [FOLDER]        default: rust/fuzz/corpus/discovery

A seed is what the target takes: for each frame its length, the seconds since the one before, and the frame.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from decode_seeds import eth, ip, ipv6

FOLDER = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus" / "discovery"
A, B, C = (bytes([2, 0, 0, 0, 0, last]) for last in (1, 2, 3))


def arp(opcode: int, sender: tuple[bytes, int], target: tuple[bytes, int]) -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, opcode)
    return eth(0x0806, head + sender[0] + bytes([10, 0, 0, sender[1]]) + target[0] + bytes([10, 0, 0, target[1]]))


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return eth(0x0800, ip(17, struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload))


def syn(options: bytes) -> bytes:
    words = 5 + len(options) // 4
    return eth(0x0800, ip(6, struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, words << 4, 2, 64240, 0, 0) + options))


def advertisement(mac: bytes) -> bytes:
    target = bytes.fromhex("fd00" + "00" * 13 + "01")
    body = bytes([136, 0, 0, 0, 0x60, 0, 0, 0]) + target + bytes([2, 1]) + mac
    packet = bytearray(ipv6(58, body))
    packet[7] = 255
    return eth(0x86DD, bytes(packet))


ANSWER = bytes.fromhex("000181800001000100000000") + b"\x03www\x04test\x00\x00\x01\x00\x01"
ANSWER += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01"

STORIES = {
    "poisoning": [
        arp(1, (A, 1), (bytes(6), 2)),
        arp(2, (B, 2), (A, 1)),
        arp(2, (C, 2), (A, 1)),
        arp(2, (B, 2), (A, 1)),
    ],
    "announcements": [arp(1, (A, 1), (bytes(6), 1))] * 12,
    "advertisements": [advertisement(A), advertisement(B), advertisement(A)],
    "names": [udp(53, 40000, ANSWER), arp(1, (A, 1), (bytes(6), 2))],
    "syns": [syn(bytes.fromhex("020405b40402080a000000010000000001030307")), syn(bytes.fromhex("0204fffa"))],
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in STORIES.items():
        seed = b"".join(bytes([len(frame), 1]) + frame for frame in frames)
        (folder / name).write_bytes(seed)
    print(f"{len(STORIES)} seeds in {folder}")


if __name__ == "__main__":
    main()
