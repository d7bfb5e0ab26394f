"""Frames of random stacks and link types: every layer that sniffkit opens, in every layer that may carry it.

Fields are random, frames well-formed and whole. Left out is what tshark 4.0 or its kept answers cannot say: an 802.3
length behind an S-tag (tshark opens only Ethernet types there), a second S-tag (both stand in one of its layers), a
second GRE header (keys cannot be told from another), TCP in an ICMP error (few of its fields), UDP-Lite (its fields are
UDP's), VXLAN on port 8472 (not known to it).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

DEEPEST = 4  # tunnels in each other
NAMED = (33, 50, 88, 89, 103, 112)  # IP protocols that are named and not opened
OTHERS = (46, 253)  # and some that are not even named
ETHERTYPES = (0x88CC, 0x8809, 0x88B5, 0x9000, 0x0842, 0x88F7)


class Stacks:
    """Random frames; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.gre_left = 1

    def ethernet(self, depth: int) -> Packet:
        """Tags, and what an Ethernet type or a length announces."""
        pick = self.random.choice
        frame = Ether(src=self.mac(), dst=self.mac())
        service = self.random.random() < 0.15
        if service:
            frame /= Dot1AD(vlan=self.number(12))
        for _ in range(pick((0, 0, 1, 2))):
            frame /= Dot1Q(vlan=self.number(12), prio=self.number(3))
        kinds = [self.network] * 8 + [self.arp, self.mpls, self.pppoe, self.other_type]
        if not service:
            kinds += [self.logical_link]
        kind: Callable[[int], tuple[Packet, int | None]] = pick(kinds)
        content, ethertype = kind(depth)
        if ethertype is not None:
            frame.lastlayer().type = ethertype
        return frame / content

    def network(self, depth: int) -> tuple[Packet, int | None]:
        """IPv4, with options or as a fragment, or IPv6 with extension headers."""
        return (self.ip(depth), 0x0800) if self.random.random() < 0.6 else (self.ipv6(depth), 0x86DD)

    def ip(self, depth: int) -> Packet:
        """IPv4."""
        options = self.random.choice(([], [], [IPOption_NOP()] * 4, [IPOption_RR()]))
        header = IP(src=self.ip_address(), dst=self.ip_address(), ttl=self.number(8), id=self.number(16))
        header.tos, header.options = self.number(8), options
        content = self.transport(depth, over=4)
        if isinstance(content, Raw):
            header.proto = self.random.choice(NAMED + OTHERS)
        if self.random.random() < 0.08:
            header.frag, header.flags = self.random.randrange(1, 1000), self.random.choice((0, 1))
        return header / content

    def ipv6(self, depth: int) -> Packet:
        """IPv6."""
        packet: Packet = IPv6(src=self.ipv6_address(), dst=self.ipv6_address(), hlim=self.number(8), fl=self.number(20))
        for _ in range(self.random.choice((0, 0, 1, 2))):
            packet /= self.extension()
        content = self.transport(depth, over=6)
        if isinstance(content, Raw):
            packet.lastlayer().nh = self.random.choice(NAMED + OTHERS)
        return packet / content

    def extension(self) -> Packet:
        """An extension header of IPv6; a fragment is the only one of its datagram."""
        return self.random.choice(
            (
                IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]),
                IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))]),
                IPv6ExtHdrRouting(addresses=[self.ipv6_address()], segleft=self.number(1)),
                IPv6ExtHdrFragment(id=self.number(32)),
            )
        )

    def transport(self, depth: int, over: int) -> Packet:
        """What IP carries."""
        kinds = [self.tcp, self.tcp, self.udp, self.udp, self.icmp, self.quoting, self.sctp, self.data]
        if depth < DEEPEST:
            kinds += [self.vxlan, self.geneve, self.ip_in_ip, *([self.gre] if self.gre_left else [])]
        kind = self.random.choice(kinds)
        return kind(over) if kind in (self.icmp, self.quoting) else kind(depth)

    def tcp(self, _: int) -> Packet:
        """Any flags, numbers and options."""
        options = self.random.choice(([], [("MSS", 1460), ("NOP", None), ("WScale", 7)], [("Timestamp", (1, 2))]))
        header = TCP(sport=self.port(), dport=self.port(), flags=self.number(9), options=options)
        header.seq, header.ack, header.window = self.number(32), self.number(32), self.number(16)
        return header / self.data(0)

    def udp(self, _: int) -> Packet:
        """A datagram."""
        return UDP(sport=self.port(), dport=self.port()) / self.data(0)

    def sctp(self, _: int) -> Packet:
        """The common header and a COOKIE ACK."""
        return SCTP(sport=self.port(), dport=self.port(), tag=self.number(32)) / Raw(b"\x0b\0\0\4")

    def icmp(self, over: int) -> Packet:
        """Echo and others that quote nothing."""
        if over == 4:
            return ICMP(type=self.random.choice((0, 8, 13, 14)), code=0) / Raw(bytes(12))
        target = self.ipv6_address()
        kinds = (ICMPv6EchoRequest(data=b"abc"), ICMPv6EchoReply(data=b"x"), ICMPv6ND_NS(tgt=target))
        return self.random.choice((*kinds, ICMPv6ND_NA(tgt=target), ICMPv6ND_RS(), ICMPv6ND_RA()))

    def quoting(self, over: int) -> Packet:
        """An error and the packet that it speaks of."""
        inner = self.udp(0)
        if over == 4:
            quoted: Packet = IP(src=self.ip_address(), dst=self.ip_address()) / inner
            return ICMP(type=self.random.choice((3, 11)), code=0) / Raw(bytes(quoted))
        quoted = IPv6(src=self.ipv6_address(), dst=self.ipv6_address()) / inner
        errors = (ICMPv6DestUnreach, ICMPv6TimeExceeded, ICMPv6PacketTooBig, ICMPv6ParamProblem)
        return self.random.choice(errors)() / Raw(bytes(quoted))

    def ip_in_ip(self, depth: int) -> Packet:
        """One IP in another."""
        return self.network(depth + 1)[0]

    def gre(self, depth: int) -> Packet:
        """With any of its optional fields."""
        self.gre_left = 0
        header = GRE(chksum_present=self.number(1), key_present=self.number(1), seqnum_present=self.number(1))
        header.key = self.number(32)
        content, header.proto = self.random.choice((self.network, self.bridged, self.mpls))(depth + 1)
        return header / content

    def bridged(self, depth: int) -> tuple[Packet, int]:
        """Transparent Ethernet bridging."""
        return self.ethernet(depth), 0x6558

    def vxlan(self, depth: int) -> Packet:
        """RFC 7348."""
        outer = UDP(sport=self.port(), dport=4789, chksum=0)
        return outer / VXLAN(vni=self.number(24), flags=8) / self.ethernet(depth + 1)

    def geneve(self, depth: int) -> Packet:
        """RFC 8926, with and without options."""
        options = self.random.choice((b"", b"\x01\x02\x01\x01abcd", b"\x01\x02\x01\x00"))
        content, ethertype = self.random.choice((self.network, self.bridged))(depth + 1)
        header = struct.pack("!BBHI", len(options) // 4, 0, ethertype, self.number(24) << 8)
        return UDP(sport=self.port(), dport=6081) / Raw(header + options + bytes(content))

    def arp(self, _: int) -> tuple[Packet, int | None]:
        """Requests, answers, and what few know."""
        sender, target = (self.mac(), self.ip_address()), (self.mac(), self.ip_address())
        number = self.random.randrange(1, 5)
        return ARP(op=number, hwsrc=sender[0], psrc=sender[1], hwdst=target[0], pdst=target[1]), 0x0806

    def mpls(self, depth: int) -> tuple[Packet, int | None]:
        """A label stack over IP."""
        count = self.random.randrange(1, 4)
        labels = [self.random.randrange(16, 1 << 20) << 12 | self.number(3) << 9 | 64 for _ in range(count)]
        labels[-1] |= 1 << 8
        return Raw(struct.pack(f"!{count}I", *labels) + bytes(self.network(depth)[0])), 0x8847

    def pppoe(self, depth: int) -> tuple[Packet, int | None]:
        """A session's packet."""
        content, ethertype = self.network(depth)
        inner = struct.pack("!H", 0x0021 if ethertype == 0x0800 else 0x0057) + bytes(content)
        return Raw(struct.pack("!BBHH", 0x11, 0, self.random.randrange(1, 65535), len(inner)) + inner), 0x8864

    def logical_link(self, depth: int) -> tuple[Packet, int | None]:
        """A length, and LLC or SNAP, which needs both access points."""
        content, ethertype = self.random.choice((self.network, self.arp))(depth)
        inner = self.random.choice(
            (
                b"\x42\x42\x03" + bytes(35),
                b"\xf0\xf0\x7f" + bytes(5),
                bytes([0xAA, self.random.choice((0xAA, 0xAA, 0x76)), 3])
                + struct.pack("!IH", 0, ethertype)[1:]
                + bytes(content),
            )
        )
        return Raw(inner + bytes(max(0, 46 - len(inner)))), len(inner)

    def other_type(self, _: int) -> tuple[Packet, int | None]:
        """Ethernet types that are named at most."""
        return Raw(bytes(46)), self.random.choice(ETHERTYPES)

    def data(self, _: int) -> Packet:
        """Bytes that nobody takes for a protocol, or none."""
        return Raw(bytes(self.random.choice((0, 1, 5, 18, 40))))

    def number(self, bits: int) -> int:
        """Any of so many bits."""
        return self.random.getrandbits(bits)

    def port(self) -> int:
        """A port that no protocol is known by."""
        return self.random.randrange(50_000, 60_000)

    def mac(self) -> str:
        """An address of one station."""
        return bytes([self.number(6) << 2 | 2, *self.random.randbytes(5)]).hex(":")

    def ip_address(self) -> str:
        """One of 10/8."""
        return ".".join(map(str, (10, self.number(8), self.number(8), self.random.randrange(1, 255))))

    def ipv6_address(self) -> str:
        """One for documentation."""
        return f"2001:db8::{self.number(16):x}:{self.random.randrange(1, 1 << 16):x}"

    def behind_a_link(self, link: str) -> bytes:
        """One frame of a link type."""
        self.gre_left = 1
        if link == "ethernet":
            return bytes(self.ethernet(0))
        kinds: list[Callable[[int], tuple[Packet, int | None]]] = [self.network]
        if link in ("sll", "sll2"):
            kinds += [self.network, self.arp, self.mpls, self.pppoe, self.other_type]
        content, ethertype = self.random.choice(kinds)(0)
        return self.link_header(link, ethertype or 0) + bytes(content)

    def link_header(self, link: str, ethertype: int) -> bytes:
        """What stands in front of the network layer."""
        pick, is_ipv4 = self.random.choice, ethertype == 0x0800
        kind, arphrd, address = self.random.randrange(5), pick((1, 772, 65534)), self.random.randbytes(8)
        if link == "sll":
            return struct.pack("!HHH8sH", kind, arphrd, 6, address, ethertype)
        if link == "sll2":
            return struct.pack("!HHIHBB8s", ethertype, 0, 7, arphrd, kind, 6, address)
        if link in ("null", "loop"):
            family = 2 if is_ipv4 else pick((24, 28, 30))  # of the BSDs
            return struct.pack("<I" if link == "null" else ">I", family)
        if link == "ppp":
            return pick((b"", b"\xff\x03")) + struct.pack("!H", 0x0021 if is_ipv4 else 0x0057)
        return b""


# Names of link types and their numbers, https://www.tcpdump.org/linktypes.html
LINKS = {"ethernet": 1, "null": 0, "ppp": 9, "raw": 101, "loop": 108, "sll": 113, "sll2": 276}


def write(path: Path, link: str, seed: int, count: int) -> None:
    """A pcap of so many frames."""
    stacks = Stacks(seed)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINKS[link]))
        for number in range(count):
            frame = stacks.behind_a_link(link)
            file.write(struct.pack("<IIII", 1_000_000_000 + number, 0, len(frame), len(frame)) + frame)
