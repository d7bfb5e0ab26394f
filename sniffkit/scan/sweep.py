"""Our own quick sweep, for when nmap is absent: ARP or neighbour solicitation, ICMP echo, and TCP connects.

Who answers is up; which of a few ports accept is listed. Everything is sent from one thread inside the namespace, at a
bounded rate, and answers count only if they come from an address that was asked.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

from sniffkit.errors import PrivilegeError
from sniffkit.netlink import links, run_in
from sniffkit.scan.report import Host, Port, Report

MAX_ADDRESSES = 1 << 16
PORTS = (22, 53, 80, 443, 445, 3389, 8080)
WAIT = 1.0  # seconds to wait for answers after the last probe
PACE = 64  # probes between two looks at the sockets
CONNECTS = 256  # TCP connects at a time

ETH_ARP, ETH_ALL_NODES = 0x0806, b"\xff" * 6
ICMP_ECHO, ICMP_ECHO_REPLY, ICMP6_ECHO, ICMP6_ECHO_REPLY, ND_SOLICIT, ND_ADVERT = 8, 0, 128, 129, 135, 136


@dataclass
class Wanted:
    """What a sweep asks: addresses by text, and those it has heard of: reason and hardware address."""

    addresses: list[str]
    reasons: dict[str, str] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    ports: dict[str, dict[int, tuple[str, str]]] = field(default_factory=dict)

    def heard(self, address: str, reason: str, mac: bytes | None = None) -> None:
        """An answer. The first reason stays; an address that was not asked does not count."""
        if address in self.asked:
            self.reasons.setdefault(address, reason)
            if mac is not None:
                self.macs.setdefault(address, mac.hex(":"))

    @property
    def asked(self) -> set[str]:
        """The addresses as a set."""
        if not hasattr(self, "_asked"):
            self._asked = set(self.addresses)
        return self._asked


@dataclass(frozen=True)
class OnLink:
    """An interface through which addresses of `networks` are neighbours."""

    name: str
    index: int
    mac: bytes
    addresses: tuple[str, ...]

    def source_for(self, address: str) -> str | None:
        """Our address on the network that holds `address`; None if it is no neighbour here."""
        for own in self.addresses:
            interface = ip_interface(own)
            if ip_address(address.partition("%")[0]) in interface.network:
                return str(interface.ip)
        return None


def sweep(addresses: Sequence[str], netns: str | None, ports: Iterable[int] = PORTS, wait: float = WAIT) -> Report:
    """Ask every address (text, IPv4 or IPv6); the answers in the same form as nmap's.

    ARP, neighbour solicitation and ICMP need CAP_NET_RAW; without it only TCP connects are tried: see Report.args.
    """
    wanted = Wanted(list(addresses))
    near = [
        OnLink(one.name, one.index, bytes.fromhex((one.mac or "").replace(":", "")), tuple(one.addresses))
        for one in links(netns)
        if one.state in ("up", "unknown") and one.mac and one.kind != "loopback"
    ]
    start = time.time()
    raw = run_in(netns, lambda: ask(wanted, near, tuple(ports), wait))
    report = Report(args="sniffkit sweep" if raw else "sniffkit sweep (TCP only: no CAP_NET_RAW)", version="sniffkit")
    report.start, report.elapsed, report.finished = int(start), time.time() - start, True
    for address in wanted.addresses:
        reason = wanted.reasons.get(address)
        if reason is None:
            continue
        host = Host(ip=address, state="up", reason=reason, start=int(start), end=int(time.time()))
        if address in wanted.macs:
            host.addresses["mac"] = wanted.macs[address]
        found = wanted.ports.get(address, {})
        host.ports = [Port("tcp", number, state, why, None, None, None, service(number), [], [])
                      for number, (state, why) in sorted(found.items())]  # fmt: skip
        report.hosts.append(host)
    report.hosts_up = len(report.hosts)
    report.hosts_down = len(wanted.addresses) - len(report.hosts)
    return report


def service(number: int) -> dict[str, str]:
    """The name that /etc/services has for a TCP port."""
    try:
        return {"name": socket.getservbyport(number, "tcp"), "method": "table"}
    except OSError:
        return {}


def ask(wanted: Wanted, near: list[OnLink], ports: tuple[int, ...], wait: float) -> bool:
    """Send everything and collect answers; `False` if raw sockets were refused. Runs inside the namespace."""
    try:
        probes = Probes(wanted, near)
    except PermissionError:
        probes = None
    if probes is not None:
        try:
            probes.run(wait)
        finally:
            probes.close()
    # Connecting to neighbours that answered nothing would only wait for the kernel's own ARP.
    silent = {a for a in wanted.addresses if probes and a not in wanted.reasons and any(n.source_for(a) for n in near)}
    connect(wanted, [(a, p) for a in wanted.addresses if a not in silent for p in ports], wait)
    return probes is not None


class Probes:
    """The raw sockets of a sweep. Raises PermissionError where they may not be opened."""

    def __init__(self, wanted: Wanted, near: list[OnLink]) -> None:
        self.wanted, self.near = wanted, near
        self.mark = os.urandom(2)
        self.links: dict[str, socket.socket] = {}
        self.v4: socket.socket | None = None
        self.v6: socket.socket | None = None
        families = {ip_address(a.partition("%")[0]).version for a in wanted.addresses}
        try:
            if 4 in families:
                self.v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
                for one in near:
                    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ARP))
                    self.links[one.name] = link
                    link.bind((one.name, ETH_ARP))
            if 6 in families:
                self.v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
                # RFC 4861, 7.1.1: neighbour discovery with another hop limit is not from this link.
                self.v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
                self.v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
        except OSError:
            self.close()
            raise
        self.ready = selectors.DefaultSelector()
        for opened, handler in self.sockets():
            opened.setblocking(False)
            self.ready.register(opened, selectors.EVENT_READ, handler)

    def sockets(self) -> list[tuple[socket.socket, Callable[[socket.socket], None]]]:
        """Every socket with what reads it."""
        out: list[tuple[socket.socket, Callable[[socket.socket], None]]] = [(s, self.arp) for s in self.links.values()]
        out += [(self.v4, self.echo)] if self.v4 else []
        out += [(self.v6, self.icmp6)] if self.v6 else []
        return out

    def close(self) -> None:
        """Close every socket."""
        for one, _ in self.sockets():
            one.close()

    def run(self, wait: float) -> None:
        """Send the probes of every address, then wait for late answers."""
        with self.ready:
            for number, address in enumerate(self.wanted.addresses):
                self.probe(address)
                if number % PACE == PACE - 1:
                    self.collect(0.01)
            until = time.monotonic() + wait
            while (left := until - time.monotonic()) > 0 and len(self.wanted.reasons) < len(self.wanted.addresses):
                self.collect(left)

    def collect(self, seconds: float) -> None:
        """Read what answers there are within `seconds`."""
        for key, _ in self.ready.select(seconds):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            try:
                while True:
                    key.data(one)
            except BlockingIOError:
                continue

    def probe(self, address: str) -> None:
        """Neighbours: ARP or neighbour solicitation. Others: an ICMP echo request, which routers pass on."""
        bare = ip_address(address.partition("%")[0])
        hop = next(((one, own) for one in self.near if (own := one.source_for(address))), None)
        try:
            if hop and str(bare) == hop[1]:
                self.wanted.heard(address, "localhost-response", hop[0].mac)
            elif isinstance(bare, IPv4Address) and hop:
                self.links[hop[0].name].send(arp_request(hop[0].mac, hop[1], bare))
            elif isinstance(bare, IPv6Address) and hop and self.v6:
                group = solicited_node(bare)
                body = struct.pack("!BBHI16sBB6s", ND_SOLICIT, 0, 0, 0, bare.packed, 1, 1, hop[0].mac)
                self.v6.sendto(body, (group, 0, 0, hop[0].index))
            elif isinstance(bare, IPv4Address) and self.v4:
                body = struct.pack("!BBH2sH", ICMP_ECHO, 0, 0, self.mark, 1)
                self.v4.sendto(body[:2] + struct.pack("!H", checksum(body)) + body[4:], (address, 0))
            elif self.v6:
                body = struct.pack("!BBH2sH", ICMP6_ECHO, 0, 0, self.mark, 1)
                self.v6.sendto(body, socket.getaddrinfo(address, 0, type=socket.SOCK_RAW)[0][4])
        except OSError as error:
            # No route or a full queue: this address does not answer, the others still may.
            if error.errno in (errno.EPERM, errno.EACCES):
                raise PrivilegeError(f"sending to {address}: {error.strerror}") from None

    def arp(self, link: socket.socket) -> None:
        """An ARP reply (RFC 826)."""
        frame = link.recv(128)
        if len(frame) >= 42 and frame[12:22] == b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02":
            self.wanted.heard(socket.inet_ntoa(frame[28:32]), "arp-response", frame[22:28])

    def echo(self, one: socket.socket) -> None:
        """An ICMP echo reply of ours."""
        packet, (sender, _) = one.recvfrom(2048)
        icmp = packet[(packet[0] & 15) * 4 :] if packet else b""
        if len(icmp) >= 8 and icmp[0] == ICMP_ECHO_REPLY and icmp[4:6] == self.mark:
            self.wanted.heard(sender, "echo-reply")

    def icmp6(self, one: socket.socket) -> None:
        """A neighbour advertisement (RFC 4861, 4.4) or an echo reply of ours."""
        icmp, sender = one.recvfrom(2048)
        if len(icmp) >= 24 and icmp[0] == ND_ADVERT:
            target = str(IPv6Address(icmp[8:24]))
            zoned = f"{target}%{socket.if_indextoname(sender[3])}" if sender[3] else target
            mac = icmp[26:32] if icmp[24:26] == b"\x02\x01" and len(icmp) >= 32 else None
            for name in (target, zoned):
                self.wanted.heard(name, "nd-response", mac)
        elif len(icmp) >= 8 and icmp[0] == ICMP6_ECHO_REPLY and icmp[4:6] == self.mark:
            self.wanted.heard(sender[0], "echo-reply")


def arp_request(mac: bytes, source: str, target: IPv4Address) -> bytes:
    """An ARP request in its Ethernet frame (RFC 826)."""
    head = ETH_ALL_NODES + mac + struct.pack("!HHHBBH", ETH_ARP, 1, 0x0800, 6, 4, 1)
    return head + mac + socket.inet_aton(source) + bytes(6) + target.packed


def solicited_node(address: IPv6Address) -> str:
    """The multicast group that a neighbour listens on (RFC 4291, 2.7.1)."""
    return str(IPv6Address(IPv6Address("ff02::1:ff00:0").packed[:13] + address.packed[13:]))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def connect(wanted: Wanted, pairs: Sequence[tuple[str, int]], wait: float) -> None:
    """Try TCP connects, CONNECTS at a time: accepted is open, refused is closed; either says that the host is up."""
    with selectors.DefaultSelector() as ready:
        waiting = list(reversed(pairs))
        running: dict[socket.socket, tuple[str, int, float]] = {}
        while waiting or running:
            while waiting and len(running) < CONNECTS:
                address, port = waiting.pop()
                begun = begin(address, port)
                if begun is not None:
                    running[begun] = (address, port, time.monotonic() + wait)
                    ready.register(begun, selectors.EVENT_WRITE)
            done = [key.fileobj for key, _ in ready.select(0.05)]
            now = time.monotonic()
            for one in [s for s, (_, _, until) in running.items() if s in done or until < now]:
                address, port, _ = running.pop(one)
                ready.unregister(one)
                code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if one in done else errno.ETIMEDOUT
                one.close()
                if code in (0, errno.ECONNREFUSED):
                    state, reason = ("open", "syn-ack") if code == 0 else ("closed", "conn-refused")
                    wanted.heard(address, reason)
                    wanted.ports.setdefault(address, {})[port] = (state, reason)


def begin(address: str, port: int) -> socket.socket | None:
    """A socket that is connecting; None where there is no way to the address."""
    family, kind, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    one = socket.socket(family, kind)
    one.setblocking(False)
    code = one.connect_ex(where)
    if code in (0, errno.EINPROGRESS):
        return one
    one.close()
    return None
