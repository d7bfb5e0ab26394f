"""Write the seed corpus of the `decode` fuzz target: one frame of every protocol that is decoded, made here.

    scripts/decode_seeds.py [FOLDER]        default: rust/fuzz/corpus/decode

A seed is what the target takes: link type (index into its list), how much longer the frame was on the wire, the frame.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus" / "decode"

# Positions in LINK_TYPES of rust/fuzz/fuzz_targets/decode.rs.
ETHERNET, NULL, PPP, CHDLC, RAW, SLL, NETLINK, SLL2 = 0, 1, 2, 9, 3, 11, 14, 15

MACS = bytes.fromhex("020000000002020000000001")


def eth(ethertype: int, payload: bytes) -> bytes:
    return MACS + struct.pack("!H", ethertype) + payload


def vlan(identifier: int, ethertype: int, payload: bytes) -> bytes:
    return struct.pack("!HH", identifier, ethertype) + payload


def ip(protocol: int, payload: bytes, options: bytes = b"", fragment: int = 0) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), 7, fragment, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + options + payload


def ipv6(following: int, payload: bytes) -> bytes:
    addresses = bytes.fromhex("fd00" + "00" * 13 + "01" + "fd00" + "00" * 13 + "02")
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + addresses + payload


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload


def tcp(flags: int, payload: bytes = b"", options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    return struct.pack("!HHIIHHHH", 40000, 80, 1, 2, words << 12 | flags, 65535, 0, 0) + options + payload


def seeds() -> dict[str, bytes]:
    """Name → link type index and frame."""
    syn = tcp(0x02, options=bytes.fromhex("020405b40402080a00000001000000000103030700000000")[:20])
    inner = eth(0x0800, ip(6, syn))
    quoted = ip(17, udp(53, b""))
    query = bytes.fromhex("123401000001000000000000016101620000010001")
    frames: dict[str, tuple[int, bytes]] = {
        "tcp": (ETHERNET, eth(0x0800, ip(6, syn))),
        "http": (ETHERNET, eth(0x0800, ip(6, tcp(0x18, b"GET / HTTP/1.1\r\n\r\n")))),
        "tls": (ETHERNET, eth(0x0800, ip(6, tcp(0x18, bytes.fromhex("160301000501000001ff"))))),
        "dns": (ETHERNET, eth(0x0800, ip(17, udp(53, query)))),
        "options": (
            ETHERNET,
            eth(0x0800, ip(17, udp(9, b"x"), options=bytes.fromhex("07070400000000 01".replace(" ", "")))),
        ),
        "fragment": (ETHERNET, eth(0x0800, ip(17, b"x" * 8, fragment=0x2001))),
        "arp": (ETHERNET, eth(0x0806, bytes.fromhex("00010800060400010200000000010a0000010000000000000a000002"))),
        "qinq": (ETHERNET, eth(0x88A8, vlan(7, 0x8100, vlan(8, 0x0800, ip(1, bytes.fromhex("0800000000010001")))))),
        "mpls": (ETHERNET, eth(0x8847, struct.pack("!II", 16 << 12 | 64, 17 << 12 | 0x140) + ip(17, udp(9, b"")))),
        "pppoe": (ETHERNET, eth(0x8864, struct.pack("!BBHHH", 0x11, 0, 5, 30, 0x21) + ip(17, udp(9, b"")))),
        "stp": (ETHERNET, MACS + struct.pack("!H", 38) + b"\x42\x42\x03" + bytes(35)),
        "snap": (ETHERNET, MACS + struct.pack("!H", 36) + bytes.fromhex("aaaa030000000800") + ip(17, udp(9, b""))),
        "bridged": (
            ETHERNET,
            MACS + struct.pack("!H", 10 + len(inner)) + bytes.fromhex("aaaa030080c200070000") + inner,
        ),
        "lldp": (ETHERNET, eth(0x88CC, bytes.fromhex("0207040200000000010000"))),
        "unreachable": (ETHERNET, eth(0x0800, ip(1, bytes.fromhex("0303000000000000") + quoted))),
        "igmp": (ETHERNET, eth(0x0800, ip(2, bytes.fromhex("16000000e0000001"), options=bytes.fromhex("94040000")))),
        "sctp": (ETHERNET, eth(0x0800, ip(132, struct.pack("!HHII", 1, 2, 3, 4)))),
        "gre": (ETHERNET, eth(0x0800, ip(47, struct.pack("!HHII", 0xA000, 0x6558, 0, 9) + inner))),
        "erspan": (ETHERNET, eth(0x0800, ip(47, struct.pack("!HHI", 0x1000, 0x88BE, 1) + b"\x10" + bytes(7) + inner))),
        "erspan-ip": (
            ETHERNET,
            eth(0x0800, ip(47, struct.pack("!HHIIIHH", 0x1000, 0x22EB, 1, 2 << 28, 0, 0, 2 << 10) + quoted)),
        ),
        "pptp": (
            ETHERNET,
            eth(0x0800, ip(47, struct.pack("!HHHHIBBH", 0x3001, 0x880B, 32, 1, 1, 255, 3, 0x21) + quoted)),
        ),
        "vxlan": (ETHERNET, eth(0x0800, ip(17, udp(4789, struct.pack("!II", 8 << 24, 42 << 8) + inner)))),
        "vxlan-gpe": (ETHERNET, eth(0x0800, ip(17, udp(4790, struct.pack("!II", 0x0C000001, 42 << 8) + quoted)))),
        "geneve": (ETHERNET, eth(0x0800, ip(17, udp(6081, struct.pack("!BBHII", 1, 0, 0x6558, 42 << 8, 0) + inner)))),
        "gtp": (
            ETHERNET,
            eth(0x0800, ip(17, udp(2152, struct.pack("!BBHIIHHI", 0x34, 255, 40, 1, 0x85, 0x0100, 0, 0) + quoted))),
        ),
        "l2tp": (ETHERNET, eth(0x0800, ip(17, udp(1701, struct.pack("!HHHBBH", 2, 1, 1, 255, 3, 0x21) + quoted)))),
        "l2tp-ip": (ETHERNET, eth(0x0800, ip(115, struct.pack("!II", 5, 0) + inner))),
        "teredo": (ETHERNET, eth(0x0800, ip(17, udp(3544, bytes(8) + ipv6(59, b""))))),
        "esp": (ETHERNET, eth(0x0800, ip(17, udp(4500, b"\0\0\0\1" + bytes(20))))),
        "ipip": (ETHERNET, eth(0x0800, ip(4, quoted))),
        "6in4": (ETHERNET, eth(0x0800, ip(41, ipv6(58, bytes.fromhex("8000000000010001"))))),
        "extensions": (
            ETHERNET,
            eth(
                0x86DD,
                ipv6(
                    0,
                    b"\x2b\0\1\4\0\0\0\0"
                    + b"\x3c\0\0\0\0\0\0\0"
                    + b"\x2c\0\1\4\0\0\0\0"
                    + b"\x33\0\0\0\0\0\0\1"
                    + b"\x11\1"
                    + bytes(10)
                    + udp(9, b""),
                ),
            ),
        ),
        "redirect": (
            ETHERNET,
            eth(0x86DD, ipv6(58, b"\x89" + bytes(39) + b"\4\7" + bytes(6) + ipv6(17, udp(53, b"")))),
        ),
        "null": (NULL, b"\2\0\0\0" + quoted),
        "ppp": (PPP, b"\xff\3\0\x21" + quoted),
        "chdlc": (CHDLC, b"\x0f\0\x08\0" + quoted),
        "raw": (RAW, quoted),
        "sll": (SLL, struct.pack("!HHH8sH", 0, 1, 6, b"\2" * 6, 0x0800) + quoted),
        "sll2": (SLL2, struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, 0, 6, b"\2" * 6) + quoted),
        "netlink": (NETLINK, struct.pack("!HHHQH", 0, 824, 0, 0, 0) + struct.pack("<IHHII", 16, 16, 1, 1, 0)),
    }
    return {name: bytes([link_type, 0]) + frame for name, (link_type, frame) in frames.items()}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds().items():
        (folder / name).write_bytes(seed)
    print(f"{len(seeds())} seeds in {folder}")


if __name__ == "__main__":
    main()
