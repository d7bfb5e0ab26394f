"""rtnetlink messages, written in batches: many requests in one send, one answer each.

pyroute2 reads for us, but its sockets bring an event loop each and it knows neither macsec nor ipvtap; a lab of a
hundred namespaces is made with a hundred sockets and a few hundred messages (docs/decisions/0010). Layouts and numbers:
linux/netlink.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable

from sniffkit.netlink import attributes as attributes
from sniffkit.netlink import pairs as pairs

NETLINK_ROUTE = 0
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
NLMSG_ERROR, NLMSG_DONE = 2, 3
ACK_TLVS = 0x200
NESTED = 0x8000
NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE, GETRULE = 32, 33, 34
IFF_UP = 1
AF_BRIDGE = 7
# Requests in one send: so many answers fit into a socket's default receive buffer.
BATCH = 64

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port


class Refused(Exception):
    """The kernel's answer to one request of a batch: `number` in the batch, errno and its own words, if any."""

    def __init__(self, number: int, code: int, words: str) -> None:
        super().__init__(words or os.strerror(code))
        self.number, self.code, self.words = number, code, words


def attribute(number: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = 4 + len(payload)
    return struct.pack("=HH", length, number) + payload + bytes(-length % 4)


def nest(number: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(number | NESTED, b"".join(parts))


def text(value: str) -> bytes:
    """Text with its closing NUL."""
    return value.encode() + b"\0"


def mac(value: str) -> bytes:
    """The six bytes of a MAC address."""
    return bytes.fromhex(value.replace(":", ""))


def ip(value: str) -> bytes:
    """The 4 or 16 bytes of an address."""
    return ipaddress.ip_address(value).packed


def ip_text(data: bytes) -> str:
    """An address as text."""
    return str(ipaddress.ip_address(data))


def mac_text(data: bytes) -> str:
    """A MAC address as text."""
    return data.hex(":")


# wire format → the number's layout, for struct
NUMBERS = {"u8": "=B", "u16": "=H", "be16": "!H", "u32": "=I", "u64": "=Q"}


def encode(format: str, value: int) -> bytes:
    """A number in one of the formats of NUMBERS."""
    return struct.pack(NUMBERS[format], value)


def decode(format: str, data: bytes) -> int:
    """The number back."""
    value: int = struct.unpack(NUMBERS[format], data)[0]
    return value


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A request that is to be acknowledged; `send` fills in the sequence number."""
    return _HEADER.pack(16 + len(body), kind, REQUEST | ACK | flags, 0, 0) + body


def link_header(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    """struct ifinfomsg."""
    return struct.pack("=BxHiII", family, 0, index, flags, change)


def address(value: str, index: int) -> bytes:
    """struct ifaddrmsg and attributes of an address with its prefix length, on the interface of that index."""
    found = ipaddress.ip_interface(value)
    length = found.network.prefixlen
    if found.version == 6:
        # IFA_F_NODAD: what the file gives is usable at once, not after a second of looking for duplicates.
        return struct.pack("=BBBBi", socket.AF_INET6, length, 0x02, 0, index) + attribute(2, found.ip.packed)
    body = attribute(2, found.ip.packed) + attribute(1, found.ip.packed)
    if length < 31:
        body += attribute(4, found.network.broadcast_address.packed)
    return struct.pack("=BBBBi", socket.AF_INET, length, 0, 0, index) + body


class Socket:
    """A netlink socket of the namespace that the calling thread is in when it is made; it stays there."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.settimeout(30)
        self._sequence = 0

    def send(self, requests: list[bytes]) -> None:
        """Send requests in order, BATCH at a time. Raises Refused for the first that the kernel refuses.

        Those behind it in the same batch were still tried: the kernel does not stop at an error.
        """
        for start in range(0, len(requests), BATCH):
            self._send(requests[start : start + BATCH], start)

    def _send(self, requests: list[bytes], start: int) -> None:
        first = self._sequence + 1
        out = bytearray()
        for request in requests:
            self._sequence += 1
            out += request[:8] + struct.pack("=I", self._sequence) + request[12:]
        self._socket.send(out)
        waiting, refused = len(requests), []
        while waiting:
            for kind, flags, sequence, body in split(self._socket.recv(1 << 16)):
                if kind != NLMSG_ERROR or sequence < first:
                    continue
                waiting -= 1
                code = -struct.unpack_from("=i", body)[0]
                if code:
                    refused.append(Refused(start + sequence - first, code, words(flags, body)))
        if refused:
            raise min(refused, key=lambda one: one.number)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Everything of a kind (an RTM_GET… number): the bodies of the answers. Raises Refused."""
        self._sequence += 1
        self._socket.send(_HEADER.pack(16 + len(body), kind, REQUEST | DUMP, self._sequence, 0) + body)
        out: list[bytes] = []
        while True:
            for found, flags, sequence, answer in split(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                if found == NLMSG_DONE:
                    return out
                if found == NLMSG_ERROR:
                    raise Refused(0, -struct.unpack_from("=i", answer)[0], words(flags, answer))
                out.append(answer)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def split(data: bytes) -> Iterable[tuple[int, int, int, bytes]]:
    """The messages of a datagram: type, flags, sequence, body."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, data[offset + 16 : offset + length]
        offset += max(16, (length + 3) & ~3)


def words(flags: int, body: bytes) -> str:
    """What the kernel says beside the errno: NLMSGERR_ATTR_MSG of an extended answer."""
    offset = 20  # errno and the header of the request, NETLINK_CAP_ACK leaves out the rest
    while flags & ACK_TLVS and offset + 4 <= len(body):
        length, number = struct.unpack_from("=HH", body, offset)
        if number & 0x3FFF == 1:
            return body[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace").rstrip(".")
        offset += max(4, (length + 3) & ~3)
    return ""


GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO})
