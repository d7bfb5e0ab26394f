"""What of a packet stays the same on its way, as one 64-bit number a row."""

from __future__ import annotations

import socket
from functools import cached_property

from sniffkit.matching import Array
from sniffkit.matching.sightings import Sightings

TCP, UDP, ICMP, ICMP6, IGMP = 6, 17, 1, 58, 2
MULTIPLIER = 0x9E3779B97F4A7C15
# Neighbor Discovery (RFC 4861) and multicast listeners (RFC 2710, 3810): never leave their link.
LINK_LOCAL_ICMP6 = (130, 131, 132, 133, 134, 135, 136, 137, 143)
MODULUS = 0xFFFF  # one's complement sums of 16-bit words (RFC 1071)


def mixed(*columns: Array) -> Array:
    """One uint64 a row out of several columns; the order of columns counts."""
    import numpy as np

    total = np.full(len(columns[0]), 0x2545F4914F6CDD1D, np.uint64)
    for column in columns:
        total ^= column.astype(np.uint64)
        total *= np.uint64(MULTIPLIER)
        total ^= total >> np.uint64(29)
    return total


class Keys:
    """The keys of sightings, each computed when it is first asked for."""

    def __init__(self, seen: Sightings) -> None:
        import numpy as np

        self.seen = seen
        number = seen.numbers
        self.proto = number("ip_proto")
        self.is_ip = number("ip_src") >= 0
        arp = (number("arp_src_ip") >= 0) & (number("arp_dst_ip") >= 0)
        # Who sent it to whom, by IP, else ARP's addresses, else Ethernet's.
        self.src = np.where(self.is_ip, number("ip_src"), np.where(arp, number("arp_src_ip"), number("eth_src")))
        self.dst = np.where(self.is_ip, number("ip_dst"), np.where(arp, number("arp_dst_ip"), number("eth_dst")))
        sport, dport = number("src_port"), number("dst_port")
        kind = np.where(self.is_ip, self.proto, 1000 + number("eth_type"))
        self.src_end, self.dst_end = mixed(self.src, sport), mixed(self.dst, dport)
        # One direction of a flow, and the other one.
        self.way = mixed(kind, self.src, sport, self.dst, dport)
        self.way_back = mixed(kind, self.dst, dport, self.src, sport)
        self.hosts = mixed(self.src, self.dst)
        self.kind = kind

    @cached_property
    def content(self) -> Array:
        """What a transport says that no router changes."""
        number = self.seen.numbers
        return mixed(
            self.kind,
            number("payload_len"),
            number("ip_frag_offset"),
            number("ip_more_fragments"),
            number("tcp_flags"),
            number("tcp_seq"),
            number("tcp_ack"),
            number("icmp_type"),
            number("icmp_code"),
            number("arp_opcode"),
            number("arp_src_hw"),
            number("arp_dst_hw"),
        )

    @cached_property
    def _pseudo(self) -> Array:
        """Sum of the words of both addresses, as a pseudo-header has them (RFC 9293, 3.1; RFC 8200, 8.1)."""
        number = self.seen.numbers
        sums = word_sums(self.seen)
        return sums[number("ip_src")] + sums[number("ip_dst")]

    @cached_property
    def checksum(self) -> Array:
        """The transport's checksum modulo 65535; -1 where it tells nothing: not there, UDP's 0, unfinished.

        One that is left to the network card is the sum of the pseudo-header so far, which knows of no content.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from sniffkit.matching.sightings import as_numbers

        own = pc.replace_substring_regex(self.seen.table["checksum"], ",.*", "")  # what an ICMP error quotes is behind
        said = as_numbers(own.cast(pa.uint16()))
        header = (said - self._pseudo - self.proto - self.seen.numbers("payload_len")) % MODULUS
        tcp, udp = self.proto == TCP, self.proto == UDP
        unfinished = (udp & (header == 8)) | (tcp & (header >= 20) & (header <= 60) & (header % 4 == 0))
        return np.where((said < 0) | unfinished | (udp & (said == 0)), -1, said % MODULUS)

    @cached_property
    def summed(self) -> Array:
        """What the checksum says of all but addresses, ports and ICMP identifier: a NAT leaves it (RFC 1624); else -1.

        Not of other ICMP messages: a NAT rewrites the packet that an error quotes (RFC 5508, 4.2).
        """
        import numpy as np

        number = self.seen.numbers
        icmp = (self.proto == ICMP) | (self.proto == ICMP6)
        ends = np.where(self.proto == ICMP, 0, self._pseudo)
        for name in ("src_port", "dst_port", "echo"):
            ends = ends + np.maximum(number(name), 0)
        known = (self.checksum >= 0) & ~(icmp & (number("echo") < 0))
        return np.where(known, (-self.checksum - ends) % MODULUS, -1)

    @cached_property
    def talk(self) -> Array:
        """`way`, of ICMP queries with their identifier, which a NAT treats as a port (RFC 5508, 3.1)."""
        return self._with_echo(self.way)

    @cached_property
    def talk_back(self) -> Array:
        """The other direction of `talk`."""
        return self._with_echo(self.way_back)

    def _with_echo(self, way: Array) -> Array:
        import numpy as np

        echo = self.seen.numbers("echo")
        return np.where(echo >= 0, mixed(way, echo), way)

    def same(self, *, ident: bool = True, checksum: bool = True) -> Array:
        """Ends, content, IP identification, checksum: as good as the packet itself. Without those written anew."""
        number = self.seen.numbers
        parts = [self.way, self.content, number("ident")]
        return mixed(*parts, *[number("ip_id")] * ident, *[self.checksum] * checksum)

    def endless(self, *, ident: bool = True, checksum: bool = True) -> Array:
        """Content, IP identification, checksum without ends: what a NAT leaves.

        Of TCP the checksum only in place of the identification: a router may write options anew (MSS), too.
        """
        import numpy as np

        number = self.seen.numbers
        parts = [self.content, number("ident_seq")]
        summed = np.where(self.proto == TCP, -1, self.summed) if ident else self.summed
        return mixed(*parts, *[number("ip_id")] * ident, *[summed] * checksum)

    def tells(self) -> Array:
        """Rows whose content tells them from others of their flow: sequence numbers, identification."""
        number = self.seen.numbers
        return (self.proto == TCP) & (number("tcp_seq") >= 0) | (number("ip_id") > 0) | (number("ident") >= 0)

    def tells_with_checksum(self) -> Array:
        """The same, where the checksum of the content may be looked at too."""
        return self.tells() | (self.checksum >= 0)

    def may_be_rewritten(self) -> Array:
        """Rows that can come through a NAT: IP from one station to another, beyond the link."""
        import numpy as np
        import pyarrow.compute as pc

        number = self.seen.numbers
        if not len(self.seen):
            return np.zeros(0, bool)
        # 224.0.0.0/4, 255.255.255.255, ff00::/8, fe80::/10: never forwarded, or to many.
        bound = pc.match_substring_regex(self.seen.addresses, r"^(2(2[4-9]|3\d)\.|255\.255\.255\.255$|f[ef])")
        stays = np.append(bound.to_numpy(zero_copy_only=False), True)  # code -1: no address
        link = (self.proto == ICMP6) & np.isin(number("icmp_type"), LINK_LOCAL_ICMP6) | (self.proto == IGMP)
        return self.is_ip & ~link & ~stays[number("ip_src")] & ~stays[number("ip_dst")]


def word_sums(seen: Sightings) -> Array:
    """Of each code of an IP address, and of -1 (0), the sum of its 16-bit words."""
    import numpy as np

    if not len(seen):
        return np.zeros(1, np.int64)
    sums = np.zeros(len(seen.addresses) + 1, np.int64)
    codes = np.unique(np.concatenate([seen.numbers("ip_src"), seen.numbers("ip_dst")]))
    codes = codes[codes >= 0]
    for code, text in zip(codes.tolist(), seen.addresses.take(codes).to_pylist(), strict=True):
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
        sums[code] = int.from_bytes(packed, "big") % MODULUS  # 65536 is 1, modulo 65535
    return sums


def numbered_ways(plain: Array, rows: Array) -> Array:
    """The key of rows with occurrence number and count: equal on two sides only where none is missing."""
    import numpy as np

    from sniffkit.matching.nearest import occurrence

    _, inverse, counts = np.unique(plain[rows], return_inverse=True, return_counts=True)
    return mixed(plain[rows], occurrence(plain[rows]), counts[inverse])
