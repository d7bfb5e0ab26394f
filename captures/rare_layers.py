"""Frames that few captures hold: probes that carry nothing, Ethernet in IP, hardware that is rare.

`python -m captures.rare_layers` writes them into `rare/`, one capture a subject.
"""

from __future__ import annotations

import struct
from pathlib import Path

from captures.wire import SECOND, SERVER_MAC, SYN, T0, Frame, address, arp, eth, icmp, ip4, ip6, pcap, tcp, udp

FOLDER = Path(__file__).resolve().parent / "rare"
A, B, ROUTER = "10.0.0.1", "10.0.1.2", "10.0.0.254"
A6, B6 = "2001:db8::1", "2001:db8:1::2"
TUNNEL_PORTS = (1701, 2152, 3544, 4500, 4789, 4790, 6081, 6635, 8472)
NAMED = (1, 4, 6, 17, 33, 41, 47, 50, 51, 97, 132, 136, 137, 143, 253)


def over4(proto: int, payload: bytes) -> bytes:
    """An Ethernet frame with an IPv4 packet."""
    return eth(0x0800, ip4(A, B, proto, payload))


def over6(next_header: int, payload: bytes) -> bytes:
    """An Ethernet frame with an IPv6 packet."""
    return eth(0x86DD, ip6(A6, B6, next_header, payload))


def probes() -> list[bytes]:
    """UDP probes of tunnels' ports, protocol probes over either version of IP, and an echo without data."""
    datagrams = [over4(17, udp(A, 51_000, B, port, b"")) for port in TUNNEL_PORTS]
    headers = [over4(proto, b"") for proto in NAMED] + [over6(proto, b"") for proto in (6, 33, 50, 59, 97, 136, 253)]
    behind = over6(0, bytes([59, 0, 1, 4, 0, 0, 0, 0]))
    return [*datagrams, *headers, behind, over4(1, icmp(8, 0, 0x0001_0001))]


def ethernet_in_ip() -> list[bytes]:
    """RFC 8986, 4.9, with a segment routing header and without; RFC 3378."""
    inner = over4(6, tcp(A, 40_000, B, 80, SYN, 100))
    routing = bytes([143, 2, 4, 0, 0, 0, 0, 0]) + address(B6)
    return [over6(43, routing + inner), over6(143, inner), over4(97, b"\x30\0" + inner)]


def authenticated() -> list[bytes]:
    """A datagram behind an authentication header (RFC 4302), and the error that quotes it."""
    header = bytes([17, 4, 0, 0]) + bytes(20) + udp(A, 5000, B, 9999, b"hello")
    error = ip4(ROUTER, A, 1, icmp(3, 3, 0, ip4(A, B, 51, header)))
    return [over4(51, header), eth(0x0800, error, src=SERVER_MAC)]


def hardware() -> list[bytes]:
    """ARP over InfiniBand (RFC 4391), FireWire (RFC 2734), ARCNET (RFC 1201) and Ethernet, asked and answered."""

    def message(kind: int, size: int, opcode: int, sender: str, target: str) -> bytes:
        head = struct.pack("!HHBBH", kind, 0x0800, size, 4, opcode)
        return eth(0x0806, head + bytes(size) + address(sender) + bytes(size) + address(target))

    frames = [message(*of, *what) for of in ((32, 20), (24, 8), (7, 1)) for what in ((1, A, B), (2, B, A))]
    return [*frames, eth(0x0806, arp(1, "02:00:00:00:00:01", A, "00:00:00:00:00:00", B))]


def redirected() -> list[bytes]:
    """Web cache communication in GRE, version 1 and 2 (draft-wilson-wrec-wccp-v2, 4.12)."""
    inner = ip4(A, B, 6, tcp(A, 40_000, B, 80, SYN, 100))
    return [over4(47, b"\0\0\x88\x3e" + redirect + inner) for redirect in (b"", bytes(4))]


CAPTURES = {
    "probes": probes,
    "ethernet-in-ip": ethernet_in_ip,
    "authenticated": authenticated,
    "hardware": hardware,
    "redirected": redirected,
}


def write(folder: Path = FOLDER) -> None:
    """Writes every capture."""
    folder.mkdir(exist_ok=True)
    for name, make in CAPTURES.items():
        frames = [Frame(T0 + at * SECOND, data) for at, data in enumerate(make())]
        (folder / f"{name}.pcap").write_bytes(pcap(frames))


if __name__ == "__main__":
    write()
