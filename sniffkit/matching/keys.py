"""What of a packet stays the same on its way, as one 64-bit number a row."""

from __future__ import annotations

from sniffkit.matching import Array
from sniffkit.matching.sightings import Sightings

TCP, UDP, ICMP, ICMP6, IGMP = 6, 17, 1, 58, 2
MULTIPLIER = 0x9E3779B97F4A7C15
# Neighbor Discovery (RFC 4861) and multicast listeners (RFC 2710, 3810): never leave their link.
LINK_LOCAL_ICMP6 = (130, 131, 132, 133, 134, 135, 136, 137, 143)


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
        arp = number("arp_opcode") >= 0
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

    def _content(self) -> Array:
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

    def whole(self) -> Array:
        """Ends, content, identification, checksum: as good as the packet itself."""
        number = self.seen.numbers
        return mixed(self.way, self._content(), number("ip_id"), number("ident"), number("checksum"))

    def plain(self) -> Array:
        """Ends and content, for packets whose identification or checksum was written anew on the way."""
        return mixed(self.way, self._content(), self.seen.numbers("ident"))

    def endless(self) -> Array:
        """Content and identification without ends: what a NAT leaves."""
        number = self.seen.numbers
        return mixed(self._content(), number("ip_id"), number("ident_seq"))

    def tells(self) -> Array:
        """Rows whose content tells them from others of their flow: sequence numbers, identification."""
        number = self.seen.numbers
        return (self.proto == TCP) & (number("tcp_seq") >= 0) | (number("ip_id") > 0) | (number("ident") >= 0)

    def tells_with_checksum(self) -> Array:
        """The same, where the checksum of the content may be looked at too."""
        return self.tells() | (self.is_ip & (self.seen.numbers("checksum") >= 0))

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


def numbered_ways(keys: Keys, plain: Array, rows: Array) -> Array:
    """The key of rows with occurrence number and count: equal on two sides only where none is missing."""
    import numpy as np

    from sniffkit.matching.nearest import occurrence

    _, inverse, counts = np.unique(plain[rows], return_inverse=True, return_counts=True)
    return mixed(plain[rows], occurrence(plain[rows]), counts[inverse])
