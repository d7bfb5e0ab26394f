"""Frames from values, byte for byte the same on every run: what the capture scripts here are written with.

Addresses are text, times nanoseconds, checksums right. A capture is a list of `Frame`; `pcap` makes the file of it.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

T0 = 1_700_000_000_000_000_000  # ns: every capture begins here
MS = 1_000_000  # ns
SECOND = 1000 * MS

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

CLIENT_MAC, SERVER_MAC, ROUTER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


@dataclass(frozen=True)
class Frame:
    """Captured bytes, when, and how long they were on the wire (0: as long as captured).

    flags: epb_flags, of pcapng: 1 in, 2 out.
    """

    ts: int
    data: bytes
    wire_len: int = 0
    flags: int = 0


def pcap(frames: list[Frame], snap_len: int = 262_144, link_type: int = 1) -> bytes:
    """A pcap file with nanoseconds, little-endian; frames are cut at `snap_len`."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap_len, link_type)]
    for frame in frames:
        kept = frame.data[:snap_len]
        seconds, nanos = divmod(frame.ts, SECOND)
        out.append(struct.pack("<IIII", seconds, nanos, len(kept), frame.wire_len or len(frame.data)) + kept)
    return b"".join(out)


def pcapng(points: list[str], frames: list[tuple[int | None, Frame]], offset: int = 0, comment: str = "") -> bytes:
    """A pcapng file: interfaces by name, frames with their interface; None makes a simple packet block: no time.

    offset: if_tsoffset of the interfaces, s. comment: of the section.
    """

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))

    def option(code: int, value: bytes) -> bytes:
        return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)

    said = option(1, comment.encode()) + option(0, b"") if comment else b""
    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + said)]
    for name in points:
        options = option(2, name.encode()) + option(9, b"\x09")
        options += (option(14, struct.pack("<q", offset)) if offset else b"") + option(0, b"")
        out.append(block(1, struct.pack("<HHI", 1, 0, 262_144) + options))
    for point, frame in frames:
        length = len(frame.data)
        if point is None:
            out.append(block(3, struct.pack("<I", length) + frame.data))
        else:
            head = struct.pack("<IIIII", point, frame.ts >> 32, frame.ts & 0xFFFFFFFF, length, length)
            flags = option(2, struct.pack("<I", frame.flags)) + option(0, b"") if frame.flags else b""
            out.append(block(6, head + frame.data + bytes(-length % 4) + flags))
    return b"".join(out)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def eth(kind: int, payload: bytes, src: str = CLIENT_MAC, dst: str = SERVER_MAC, vlans: tuple[int, ...] = ()) -> bytes:
    """Ethernet II, padded to 60 bytes; several tags are 802.1ad outside and 802.1Q inside."""
    tags = b""
    for at, vlan in enumerate(vlans):
        tags += struct.pack(">HH", 0x88A8 if at + 1 < len(vlans) else 0x8100, vlan)
    return (mac(dst) + mac(src) + tags + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def ip4(
    src: str,
    dst: str,
    proto: int,
    payload: bytes,
    *,
    ttl: int = 64,
    ident: int = 1,
    offset: int = 0,
    more: bool = False,
) -> bytes:
    """RFC 791; `offset` in bytes."""
    flags = (0x2000 if more else 0) | offset // 8
    head = (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, flags, ttl, proto, 0) + address(src) + address(dst)
    )
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ip6(src: str, dst: str, proto: int, payload: bytes, *, ttl: int = 64) -> bytes:
    """RFC 8200."""
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, ttl) + address(src) + address(dst) + payload


def ip6_fragment(proto: int, payload: bytes, ident: int, offset: int, more: bool) -> bytes:
    """A fragment header (RFC 8200, 4.5) and what follows it; `offset` in bytes."""
    return struct.pack(">BBHI", proto, 0, offset | more, ident) + payload


def _sealed(src: str, dst: str, proto: int, segment: bytes, at: int) -> bytes:
    """`segment` with its checksum over the pseudo header at byte `at`."""
    pseudo = address(src) + address(dst) + struct.pack(">IHBB", len(segment), 0, 0, proto)
    value = checksum(pseudo + segment)
    return segment[:at] + struct.pack(">H", value or (0xFFFF if proto == 17 else 0)) + segment[at + 2 :]


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes) -> bytes:
    """RFC 768."""
    head = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0)
    return _sealed(src, dst, 17, head + payload, 6)


def tcp(
    src: str,
    sport: int,
    dst: str,
    dport: int,
    flags: int,
    seq: int,
    ack: int = 0,
    payload: bytes = b"",
    *,
    window: int = 64_000,
    mss: int | None = None,
) -> bytes:
    """RFC 9293."""
    options = b"" if mss is None else struct.pack(">BBH", 2, 4, mss)
    head = struct.pack(
        ">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, (20 + len(options)) << 2, flags, window, 0, 0
    )
    return _sealed(src, dst, 6, head + options + payload, 16)


def icmp(kind: int, code: int, rest: int = 0, payload: bytes = b"") -> bytes:
    """RFC 792; `rest` is the second word: identifier and sequence number of an echo."""
    message = struct.pack(">BBHI", kind, code, 0, rest) + payload
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


def arp(opcode: int, src_mac: str, src: str, dst_mac: str, dst: str) -> bytes:
    """RFC 826."""
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, opcode)
    return head + mac(src_mac) + address(src) + mac(dst_mac) + address(dst)


def vxlan(vni: int, frame: bytes, src: str = "172.16.0.1", dst: str = "172.16.0.2") -> bytes:
    """A frame in VXLAN (RFC 7348) in UDP and IPv4, in a frame."""
    inner = struct.pack(">II", 0x0800_0000, vni << 8) + frame
    return eth(0x0800, ip4(src, dst, 17, udp(src, 50_000, dst, 4789, inner)), "02:00:00:00:01:01", "02:00:00:00:01:02")
