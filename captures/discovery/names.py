"""Makes captures/discovery/names.pcap: every way in which a host's name, lease and router are said.

    python -m captures.discovery.names

DHCP with a router, DHCPv6, DNS over UDP (an alias, a reverse look-up), DNS over TCP in two segments, mDNS with the
address among the additional records, LLMNR, a DNS answer in two IP fragments; then somebody else answers for the router
that DHCP named and that has forwarded nothing.
"""

from __future__ import annotations

import struct
from pathlib import Path

from captures.wire import ACK, MS, PSH, SYN, T0, Frame, arp, eth, ip4, ip6, mac, pcap, tcp, udp

HERE = Path(__file__).resolve().parent
CLIENT, ROUTER, DNS, PRINTER, LIAR = (f"02:00:00:00:00:{last}" for last in ("02", "01", "53", "31", "66"))
ALL = "ff:ff:ff:ff:ff:ff"
MDNS = "01:00:5e:00:00:fb"


def name(text: str) -> bytes:
    """A name in wire form (RFC 1035, 3.1)."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def record(owner: str, kind: int, data: bytes) -> bytes:
    return name(owner) + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def answer(question: tuple[str, int] | None, answers: list[bytes], additional: list[bytes] | None = None) -> bytes:
    """A response (RFC 1035, 4.1)."""
    more = additional or []
    head = struct.pack(">HHHHHH", 7, 0x8400, question is not None, len(answers), 0, len(more))
    asked = b"" if question is None else name(question[0]) + struct.pack(">HH", question[1], 1)
    return head + asked + b"".join(answers) + b"".join(more)


def query(text: str, kind: int) -> bytes:
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name(text) + struct.pack(">HH", kind, 1)


def dhcp(op: int, kind: int, given: str, options: bytes) -> bytes:
    """A message of the client's (RFC 2131, 2)."""
    head = struct.pack(">BBBBIHH", op, 1, 6, 0, 0x1234, 0, 0) + bytes(4)
    head += bytes(int(part) for part in given.split(".")) + bytes(8) + mac(CLIENT) + bytes(10 + 64 + 128)
    return head + bytes([99, 130, 83, 99, 53, 1, kind]) + options + b"\xff"


def dhcpv6(kind: int, options: bytes) -> bytes:
    """With the client's DUID (RFC 8415, 8 and 11.4)."""
    duid = b"\0\x03\0\x01" + mac(CLIENT)
    return bytes([kind, 0, 0, 9]) + struct.pack(">HH", 1, len(duid)) + duid + options


def in_fragments(packet: bytes, at: int) -> list[bytes]:
    return [ip4("10.0.0.53", "10.0.0.2", 17, packet[:at], ident=99, more=True),
            ip4("10.0.0.53", "10.0.0.2", 17, packet[at:], ident=99, offset=at)]  # fmt: skip


def packets() -> list[bytes]:
    """The frames, in their order."""
    out: list[bytes] = []

    def v4(src: str, dst: str, macs: tuple[str, str], ports: tuple[int, int], payload: bytes) -> None:
        out.append(eth(0x0800, ip4(src, dst, 17, udp(src, ports[0], dst, ports[1], payload)), *macs))

    host_name = bytes([12, 6]) + b"laptop"
    v4("0.0.0.0", "255.255.255.255", (CLIENT, ALL), (68, 67), dhcp(1, 3, "0.0.0.0", host_name))
    router = bytes([3, 4, 10, 0, 0, 1])
    v4("10.0.0.1", "10.0.0.2", (ROUTER, CLIENT), (67, 68), dhcp(2, 5, "10.0.0.2", router))

    def v6(src: str, dst: str, macs: tuple[str, str], ports: tuple[int, int], payload: bytes) -> None:
        out.append(eth(0x86DD, ip6(src, dst, 17, udp(src, ports[0], dst, ports[1], payload)), *macs))

    fqdn = b"\0" + name("laptop6.lab.test")
    v6(
        "fe80::2",
        "ff02::1:2",
        (CLIENT, "33:33:00:01:00:02"),
        (546, 547),
        dhcpv6(1, struct.pack(">HH", 39, len(fqdn)) + fqdn),
    )
    lease = bytes.fromhex("fd00" + "00" * 12 + "0102") + struct.pack(">II", 60, 120)
    association = struct.pack(">III", 1, 0, 0) + struct.pack(">HH", 5, len(lease)) + lease
    v6(
        "fe80::1",
        "fe80::2",
        (ROUTER, CLIENT),
        (547, 546),
        dhcpv6(7, struct.pack(">HH", 3, len(association)) + association),
    )

    server = ("10.0.0.53", "10.0.0.2", (DNS, CLIENT), (53, 40_000))
    alias = [record("www.lab.test", 5, name("web.lab.test")), record("web.lab.test", 1, bytes([192, 0, 2, 80]))]
    v4("10.0.0.2", "10.0.0.53", (CLIENT, DNS), (40_000, 53), query("www.lab.test", 1))
    v4(*server, answer(("www.lab.test", 1), alias))
    reverse = "9.2.0.192.in-addr.arpa"
    v4(*server, answer((reverse, 12), [record(reverse, 12, name("nine.lab.test"))]))

    def segment(flags: int, seq: int, ack: int, data: bytes = b"", *, to_server: bool) -> None:
        ends = ("10.0.0.2", 41_000, "10.0.0.53", 53) if to_server else ("10.0.0.53", 53, "10.0.0.2", 41_000)
        packet = tcp(*ends, flags, seq, ack, data)
        out.append(eth(0x0800, ip4(ends[0], ends[2], 6, packet), *((CLIENT, DNS) if to_server else (DNS, CLIENT))))

    asked = query("tcp.lab.test", 1)
    told = answer(("tcp.lab.test", 1), [record("tcp.lab.test", 1, bytes([192, 0, 2, 54]))])
    asked, told = (struct.pack(">H", len(message)) + message for message in (asked, told))
    segment(SYN, 100, 0, to_server=True)
    segment(SYN | ACK, 500, 101, to_server=False)
    segment(ACK | PSH, 101, 501, asked, to_server=True)
    segment(ACK, 501, 101 + len(asked), told[:20], to_server=False)
    segment(ACK | PSH, 521, 101 + len(asked), told[20:], to_server=False)

    service = [record("_ipp._tcp.local", 12, name("Printer._ipp._tcp.local"))]
    where = [record("printer.local", 1, bytes([10, 0, 0, 31]))]
    v4("10.0.0.31", "224.0.0.251", (PRINTER, MDNS), (5353, 5353), answer(None, service, where))
    desktop = [record("desktop", 1, bytes([10, 0, 0, 32]))]
    v4("10.0.0.32", "10.0.0.2", (PRINTER, CLIENT), (5355, 42_000), answer(("desktop", 1), desktop))

    padding = record("big.lab.test", 16, bytes([200]) + b"x" * 200)
    big = answer(("big.lab.test", 1), [padding, record("big.lab.test", 1, bytes([192, 0, 2, 99]))])
    pieces = in_fragments(udp("10.0.0.53", 53, "10.0.0.2", 40_001, big), 104)
    out += [eth(0x0800, piece, DNS, CLIENT) for piece in pieces]

    # Somebody is asked by each name, so that it has a row.
    for last in (80, 9, 54, 99):
        v4("10.0.0.2", f"192.0.2.{last}", (CLIENT, ROUTER), (43_000, 9), b"")
    v4("10.0.0.2", "10.0.0.31", (CLIENT, PRINTER), (43_000, 9), b"")

    out.append(eth(0x0806, arp(1, CLIENT, "10.0.0.2", "00:00:00:00:00:00", "10.0.0.1"), CLIENT, ALL))
    out.append(eth(0x0806, arp(2, ROUTER, "10.0.0.1", CLIENT, "10.0.0.2"), ROUTER, CLIENT))
    out.append(eth(0x0806, arp(2, LIAR, "10.0.0.1", CLIENT, "10.0.0.2"), LIAR, CLIENT))
    return out


if __name__ == "__main__":
    frames = [Frame(T0 + number * 10 * MS, data) for number, data in enumerate(packets())]
    (HERE / "names.pcap").write_bytes(pcap(frames))
