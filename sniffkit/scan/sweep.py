"""Our own quick sweep, for when nmap is absent: ARP or neighbour solicitation, ICMP echo, and TCP connects.

Who answers is up; which of a few ports accept, refuse or are filtered is listed. Everything is sent from one thread
inside the namespace, at a bounded rate, and answers count only if they come from an address that was asked.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from sniffkit.errors import SniffkitError
from sniffkit.netlink import links, run_in, shown
from sniffkit.scan.nmaprun import Progress
from sniffkit.scan.report import Host, Port, Report

MAX_ADDRESSES = 1 << 16
PORTS = (22, 53, 80, 443, 445, 3389, 8080)
WAIT = 1.0  # seconds to wait for answers after the last probe
PACE = 64  # probes between two looks at the sockets
CONNECTS = 256  # TCP connects at a time
MOST_FILTERED = 25  # of a host with more filtered ports they are counted and not listed, as nmap does
# What a connect says of a port that neither accepts nor refuses, in nmap's words; nothing at all: no-response
WHY = {
    errno.EHOSTUNREACH: "host-unreach", errno.ENETUNREACH: "net-unreach", errno.EACCES: "admin-prohibited",
}  # fmt: skip

ETH_ARP, ETH_ALL_NODES = 0x0806, b"\xff" * 6
ICMP_ECHO, ICMP_ECHO_REPLY, ICMP6_ECHO, ICMP6_ECHO_REPLY, ND_SOLICIT, ND_ADVERT = 8, 0, 128, 129, 135, 136


@dataclass
class Wanted:
    """What a sweep asks: addresses by text, and those it has heard of: reason and hardware address.

    task, done, total: what it is at. until: when it is to end (time.monotonic()); stopped: end now, and why.
    """

    addresses: list[str]
    reasons: dict[str, str] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    ports: dict[str, dict[int, tuple[str, str]]] = field(default_factory=dict)
    until: float | None = None
    stopped: str | None = None
    task: str = "asking neighbours"
    done: int = 0
    total: int = 0

    def over(self) -> bool:
        """Whether to end now."""
        if self.stopped is None and self.until is not None and time.monotonic() >= self.until:
            self.stopped = "stopped when time was up"
        return self.stopped is not None

    def begin(self, task: str, total: int) -> None:
        """A new task, of so many steps."""
        self.task, self.total, self.done = task, total, 0

    def heard(self, address: str, reason: str, mac: bytes | None = None) -> None:
        """An answer. The first reason stays; an address that was not asked does not count."""
        if address in self.asked:
            self.reasons.setdefault(address, reason)
            if mac is not None:
                self.macs.setdefault(address, mac.hex(":"))

    @cached_property
    def asked(self) -> set[str]:
        """The addresses as a set."""
        return set(self.addresses)


@dataclass(frozen=True)
class OnLink:
    """An interface through which addresses of `networks` are neighbours."""

    name: str
    index: int
    mac: bytes
    addresses: tuple[str, ...]

    def source_for(self, address: str) -> str | None:
        """Our address on the network that holds `address`; None if it is no neighbour here."""
        bare, _, zone = address.partition("%")
        if zone not in ("", self.name, str(self.index)):
            return None
        asked = ip_address(bare)
        return next((str(own.ip) for own in self.interfaces if asked in own.network), None)

    @cached_property
    def interfaces(self) -> list[IPv4Interface | IPv6Interface]:
        """Our addresses with their networks."""
        return [ip_interface(one) for one in self.addresses]


@dataclass
class Sweep:
    """What came of a sweep. raw: not only TCP connects were tried; stopped: why it did not come to its end or None."""

    report: Report
    raw: bool
    stopped: str | None
    interrupted: bool


def sweep(
    addresses: Sequence[str],
    netns: str | None,
    ports: Iterable[int] = PORTS,
    wait: float = WAIT,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Ask every address (text, IPv4 or IPv6); the answers in the same form as nmap's.

    ARP, neighbour solicitation and ICMP need CAP_NET_RAW; without it only TCP connects are tried. After ^C or timeout
    (seconds) what was found by then is kept. Raises SniffkitError for an address whose zone is no interface.
    """
    wanted = Wanted(list(addresses))
    here = links(netns)
    zones = {zone for one in here for zone in ("", one.name, str(one.index))}
    unknown = next((a for a in wanted.addresses if a.partition("%")[2] not in zones), None)
    if unknown is not None:
        raise SniffkitError(f"target {unknown!r}: no such interface in {netns or 'this namespace'}")
    # Whom ARP does not reach, behind a tunnel and where packet sockets take no such name, is asked by ICMP.
    near = [
        OnLink(one.name, one.index, bytes.fromhex(one.mac.replace(":", "")), tuple(one.addresses))
        for one in here
        if one.state in ("up", "unknown") and one.mac and one.kind != "loopback" and shown(one.name) == one.name
    ]
    start = time.time()
    raw, interrupted = attend(
        wanted, lambda: run_in(netns, lambda: ask(wanted, near, tuple(ports), wait)), timeout, progress
    )
    report = Report(args="sniffkit sweep" if raw else "sniffkit sweep (TCP only: no CAP_NET_RAW)", version="sniffkit")
    report.start, report.elapsed, report.finished = int(start), time.time() - start, wanted.stopped is None
    for address in wanted.addresses:
        reason = wanted.reasons.get(address)
        if reason is None:
            continue
        host = Host(ip=address, state="up", reason=reason, start=int(start), end=int(time.time()))
        if address in wanted.macs:
            host.addresses["mac"] = wanted.macs[address]
        found = wanted.ports.get(address, {})
        filtered = [why for state, why in found.values() if state == "filtered"]
        if len(filtered) > MOST_FILTERED:
            found = {number: told for number, told in found.items() if told[0] != "filtered"}
            host.other_ports, host.other_reasons = [("filtered", len(filtered))], Counter(filtered).most_common()
        host.ports = [Port("tcp", number, state, why, None, None, None, service(number), [], [])
                      for number, (state, why) in sorted(found.items())]  # fmt: skip
        report.hosts.append(host)
    report.hosts_up = len(report.hosts)
    report.hosts_down = len(wanted.addresses) - len(report.hosts)
    return Sweep(report, raw, wanted.stopped, interrupted)


def attend(
    wanted: Wanted, task: Callable[[], bool], timeout: float | None, progress: Progress | None
) -> tuple[bool, bool]:
    """Run the task on a thread of its own, so that ^C ends it in order: what it says, and whether ^C came."""
    start = time.monotonic()
    wanted.until = None if timeout is None else start + timeout
    interrupted = False
    with ThreadPoolExecutor(1, "sweep") as one:
        running = one.submit(task)
        while True:
            try:
                wait_for([running], 0.2)
                if progress is not None:
                    share = 100 * wanted.done / wanted.total if wanted.total else None
                    progress(wanted.task, share, time.monotonic() - start)
                if running.done():
                    return running.result(), interrupted
            except KeyboardInterrupt:
                wanted.stopped, interrupted = "interrupted", True


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
            self.wanted.begin("asking neighbours", len(self.wanted.addresses))
            for number, address in enumerate(self.wanted.addresses):
                self.probe(address)
                self.wanted.done += 1
                if number % PACE == PACE - 1:
                    self.collect(0.01)
                    if self.wanted.over():
                        return
            until = time.monotonic() + wait
            while (left := until - time.monotonic()) > 0 and not self.wanted.over():
                if len(self.wanted.reasons) == len(self.wanted.addresses):
                    break
                self.collect(min(left, 0.2))

    def collect(self, seconds: float) -> None:
        """Read what answers there are within `seconds`."""
        for key, _ in self.ready.select(seconds):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            try:
                while True:
                    key.data(one)
            except OSError:
                continue  # nothing more to read, or the interface went away

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
        except OSError:
            pass  # no route, a full queue, a firewall's veto: this address does not answer, the others still may

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
            mac = icmp[26:32] if icmp[24:26] == b"\x02\x01" and len(icmp) >= 32 else None
            self.heard6(str(IPv6Address(icmp[8:24])), sender[3], "nd-response", mac)
        elif len(icmp) >= 8 and icmp[0] == ICMP6_ECHO_REPLY and icmp[4:6] == self.mark:
            self.heard6(sender[0].partition("%")[0], sender[3], "echo-reply")

    def heard6(self, address: str, index: int, reason: str, mac: bytes | None = None) -> None:
        """An answer from an IPv6 address, whose zone may have been asked for by name or by index (RFC 4007, 11.2)."""
        zones = (f"%{socket.if_indextoname(index)}", f"%{index}") if index else ()
        for zone in ("", *zones):
            self.wanted.heard(address + zone, reason, mac)


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
    """Try TCP connects, CONNECTS at a time: accepted is open, refused is closed; either says that the host is up.
    Anything else, and no answer, is filtered.
    """
    with selectors.DefaultSelector() as ready:
        waiting = list(reversed(pairs))
        wanted.begin("TCP connects", len(pairs))
        running: dict[socket.socket, tuple[str, int, float]] = {}
        while (waiting or running) and not wanted.over():
            wanted.done = len(pairs) - len(waiting) - len(running)
            while waiting and len(running) < CONNECTS:
                address, port = waiting.pop()
                try:
                    begun = begin(address, port)
                except OSError as error:
                    if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS) or not running:
                        raise
                    waiting.append((address, port))  # no room for more sockets: when others have ended
                    break
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
                told = ("filtered", WHY.get(code, "no-response"))
                if code in (0, errno.ECONNREFUSED):
                    told = ("open", "syn-ack") if code == 0 else ("closed", "conn-refused")
                    wanted.heard(address, told[1])
                wanted.ports.setdefault(address, {})[port] = told
        for one in running:
            one.close()


def begin(address: str, port: int) -> socket.socket | None:
    """A socket that is connecting; None where there is no way to the address."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        return None  # a zone that is not here
    one = socket.socket(family, kind)
    one.setblocking(False)
    code = one.connect_ex(where)
    if code in (0, errno.EINPROGRESS):
        return one
    one.close()
    return None
