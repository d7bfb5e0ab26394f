"""Answers ARP and ICMP echo behind an interface: `python -m sniffkit.lab.programs.responder KIND IF ADDRESS READY`.

tun and tap: /dev/net/tun (linux/if_tun.h). macvtap and ipvtap: their own character device, of which a node is made
beside the file READY; that file says the program is attached.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x1, 0x2, 0x1000
MAC = bytes.fromhex("02534b000001")


def attach(kind: str, name: str, node: str) -> int:
    """The descriptor that reads what the interface sends."""
    if kind in ("tun", "tap"):
        fd: int = os.open("/dev/net/tun", os.O_RDWR)
        flags = (IFF_TUN if kind == "tun" else IFF_TAP) | IFF_NO_PI
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        return fd
    index = socket.if_nametoindex(name)
    with open(f"/sys/class/net/{name}/tap{index}/dev", encoding="ascii") as file:
        major, minor = (int(word) for word in file.read().split(":"))
    if os.path.exists(node):
        os.unlink(node)
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(major, minor))
    fd = os.open(node, os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def answer_packet(packet: bytes, address: bytes) -> bytes | None:
    """The echo reply to an IPv4 packet, None for all else."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != 1 or packet[16:20] != address:
        return None
    header = (packet[0] & 15) * 4
    total = min(struct.unpack_from("!H", packet, 2)[0], len(packet))
    if total < header + 8 or packet[header] != 8:
        return None
    body = bytes([0, 0, 0, 0]) + packet[header + 4 : total]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    head = packet[:8] + bytes([64, 1, 0, 0]) + address + packet[12:16] + packet[20:header]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def answer_frame(frame: bytes, address: bytes, mac: bytes) -> bytes | None:
    """The answer to an Ethernet frame: ARP reply or echo reply."""
    kind = frame[12:14]
    if kind == b"\x08\x06" and len(frame) >= 42 and frame[20:22] == b"\0\1" and frame[38:42] == address:
        arp = frame[14:20] + b"\0\2" + mac + address + frame[22:32]
        return frame[6:12] + mac + b"\x08\x06" + arp
    if kind == b"\x08\0":
        packet = answer_packet(frame[14:], address)
        return None if packet is None else frame[6:12] + mac + b"\x08\0" + packet
    return None


def mac_of(kind: str, name: str) -> bytes:
    """A macvtap only lets frames of its own address through; behind a tap there is another station."""
    if kind == "tap":
        return MAC
    with open(f"/sys/class/net/{name}/address", encoding="ascii") as file:
        return bytes.fromhex(file.read().strip().replace(":", ""))


def main(arguments: list[str]) -> None:
    """Answer until killed."""
    kind, name, text, ready = arguments
    address = socket.inet_aton(text)
    fd = attach(kind, name, f"{ready}.dev")
    mac = b"" if kind == "tun" else mac_of(kind, name)
    with open(ready, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    # A macvtap puts a virtio_net_hdr before each frame unless told otherwise; IFF_NO_PI without IFF_VNET_HDR tells it.
    while True:
        data = os.read(fd, 65536)
        answer = answer_packet(data, address) if kind == "tun" else answer_frame(data, address, mac)
        if answer is not None:
            os.write(fd, answer)


if __name__ == "__main__":
    main(sys.argv[1:])
