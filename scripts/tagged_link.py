#!/usr/bin/env python3
"""An 802.1Q interface for kernels that have no `vlan` link kind: scripts/tagged_link.py PARENT VID NAME ADDRESS/LENGTH

Makes the veth pair NAME and NAME-w in this network namespace and gives NAME the address. What the kernel's own stack
sends through NAME leaves PARENT with the tag VID, and frames that arrive at PARENT with that tag come out of NAME
without it, as `ip link add link PARENT name NAME type vlan id VID` would have it. Prints "ready", then works until
SIGTERM or ^C; the pair goes with its namespace. Standard library and `ip` only.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import selectors
import signal
import socket
import struct
import subprocess
import sys

# linux/if_packet.h
SOL_PACKET = 263
PACKET_AUXDATA = 8
AUXDATA = struct.Struct("=IIIHHHH")  # status, length, snap length, mac, net, tci, tpid
TP_STATUS_VLAN_VALID = 1 << 4
PACKET_OUTGOING = 4

ETH_P_ALL = 3
TPID = 0x8100  # IEEE 802.1Q, 9.4
VID_MASK = 0x0FFF

# linux/ethtool.h, linux/sockios.h
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def finish_checksums(name: str) -> None:
    """No checksum offload on `name`: frames must leave its stack complete, since no hardware finishes them later."""
    value = array.array("I", [ETHTOOL_STXCSUM, 0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), value.buffer_info()[0]))


def frames_of(name: str) -> socket.socket:
    """A socket with every frame of an interface; the tag that the kernel takes off is told beside the frame."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    packets.bind((name, ETH_P_ALL))
    return packets


def receive(packets: socket.socket) -> tuple[int | None, bytes] | None:
    """The next frame that came in, as VLAN id (None: untagged) and bytes without the tag; None for our own."""
    try:
        frame, beside, _, sender = packets.recvmsg(65536, socket.CMSG_SPACE(AUXDATA.size))
    except OSError as error:
        if error.errno == errno.ENETDOWN:  # said once when an interface goes down; it may come up again
            return None
        raise
    if sender[2] == PACKET_OUTGOING:
        return None
    for level, kind, data in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, _ = AUXDATA.unpack(data[: AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                return tci & VID_MASK, frame
    if frame[12:14] == TPID.to_bytes(2, "big"):
        return int.from_bytes(frame[14:16], "big") & VID_MASK, frame[:12] + frame[16:]
    return None, frame


def send(packets: socket.socket, frame: bytes) -> None:
    """Send a frame; one that the interface refuses (down, too long) is lost, as on any wire."""
    with contextlib.suppress(OSError):
        packets.send(frame)


def main(parent: str, vid: int, name: str, address: str) -> None:
    inner = f"{name}-w"
    ip("link", "add", name, "type", "veth", "peer", "name", inner)
    finish_checksums(name)
    ip("address", "add", address, "dev", name)
    ip("link", "set", inner, "up")
    ip("link", "set", name, "up")
    wire, stack = frames_of(parent), frames_of(inner)  # bound while down, their first word would be ENETDOWN
    tag = struct.pack("!HH", TPID, vid)
    ready = selectors.DefaultSelector()
    for packets in (wire, stack):
        ready.register(packets, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            received = receive(key.fileobj)  # type: ignore[arg-type]
            if received is None:
                continue
            found, frame = received
            if key.fileobj is stack:
                send(wire, frame[:12] + tag + frame[12:])
            elif found == vid:
                send(stack, frame)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
    except KeyboardInterrupt:
        sys.exit(0)
