"""Makes captures/dhcp/leases.pcap: three clients of a DHCP server (RFC 2131).

    python -m captures.dhcp.make

Two get a lease in four messages; one of them renews it after half its time, the other one gives it back. A third is
refused the address that it had elsewhere.
"""

from __future__ import annotations

import struct
from pathlib import Path

from captures.wire import MS, SECOND, T0, Frame, address, eth, ip4, mac, pcap, udp

FILE = Path(__file__).with_name("leases.pcap")
SERVER, SERVER_MAC, ALL = "10.0.0.1", "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"
DISCOVER, OFFER, REQUEST, ACK, NAK, RELEASE = 1, 2, 3, 5, 6, 7
LEASE = 600  # s


def option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value


class Client:
    """One that has a hardware address and a name; times in s."""

    def __init__(self, last: int, name: str) -> None:
        self.mac, self.name, self.last = f"02:00:00:00:00:{last:02x}", name, last
        self.frames: list[Frame] = []

    def says(self, at: float, kind: int, options: bytes = b"", own: str = "0.0.0.0") -> None:
        """A message to the server; `own` is the address that it has already."""
        host_name = b"" if kind == RELEASE else option(12, self.name.encode())
        message = self.message(1, kind, own, "0.0.0.0", host_name + options)
        to = ("255.255.255.255", ALL) if own == "0.0.0.0" else (SERVER, SERVER_MAC)
        self.send(at, own, 68, to[0], 67, message, self.mac, to[1])

    def hears(self, at: float, kind: int, given: str = "0.0.0.0") -> None:
        """What the server says to it."""
        lease = option(51, struct.pack(">I", LEASE)) if kind != NAK else b""
        message = self.message(2, kind, "0.0.0.0", given, option(54, address(SERVER)) + lease)
        to = ("255.255.255.255", ALL) if kind == NAK else (given, self.mac)
        self.send(at, SERVER, 67, to[0], 68, message, SERVER_MAC, to[1])

    def message(self, op: int, kind: int, own: str, given: str, options: bytes) -> bytes:
        head = struct.pack(">BBBBIHH", op, 1, 6, 0, 0x1000 + self.last, 0, 0) + address(own) + address(given)
        fixed = head + bytes(8) + mac(self.mac) + bytes(10 + 64 + 128)
        return fixed + bytes([99, 130, 83, 99]) + option(53, bytes([kind])) + options + b"\xff"

    def send(self, at: float, src: str, sport: int, dst: str, dport: int, payload: bytes, *macs: str) -> None:
        packet = ip4(src, dst, 17, udp(src, sport, dst, dport, payload))
        self.frames.append(Frame(T0 + round(at * SECOND), eth(0x0800, packet, *macs)))

    def gets(self, at: float, given: str) -> None:
        """A lease in four messages."""
        chosen = option(50, address(given)) + option(54, address(SERVER))
        half = 2 * MS / SECOND
        self.says(at, DISCOVER)
        self.hears(at + half, OFFER, given)
        self.says(at + 2 * half, REQUEST, chosen)
        self.hears(at + 3 * half, ACK, given)


def frames() -> list[Frame]:
    """Of all clients, in order of time."""
    laptop, phone, guest = Client(0x0B, "laptop"), Client(0x0C, "phone"), Client(0x0D, "guest")
    laptop.gets(0, "10.0.0.11")
    phone.gets(20, "10.0.0.12")
    guest.says(40, REQUEST, option(50, address("192.168.1.5")))
    guest.hears(40.001, NAK)
    phone.says(200, RELEASE, option(54, address(SERVER)), "10.0.0.12")
    laptop.says(LEASE / 2, REQUEST, own="10.0.0.11")
    laptop.hears(LEASE / 2 + 0.002, ACK, "10.0.0.11")
    return sorted([*laptop.frames, *phone.frames, *guest.frames], key=lambda frame: frame.ts)


def capture() -> bytes:
    """The capture file."""
    return pcap(frames())


if __name__ == "__main__":
    FILE.write_bytes(capture())
