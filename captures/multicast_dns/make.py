"""Makes captures/multicast_dns/exchanges.pcapng: LLMNR (RFC 4795) and mDNS (RFC 6762), one exchange each ten seconds.

    python -m captures.multicast_dns.make

`EXCHANGES` lists them in their order. Stations have their address's last number in their hardware address; those of
`eth1` and of VLAN 20 have the addresses of `eth0`'s, so that only the link tells them apart.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from captures.wire import ACK, MS, PSH, SYN, T0, Frame, address, eth, ip4, ip6, pcapng, tcp, udp

FILE = Path(__file__).with_name("exchanges.pcapng")
POINTS = ["eth0", "eth1"]
MDNS, LLMNR = 5353, 5355
GROUPS = {(4, MDNS): "224.0.0.251", (6, MDNS): "ff02::fb", (4, LLMNR): "224.0.0.252", (6, LLMNR): "ff02::1:3"}
A, CNAME, PTR, TXT, AAAA, SRV, NSEC, ANY = 1, 5, 12, 16, 28, 33, 47, 255
IN, UNICAST, FLUSH = 1, 0x8001, 0x8001  # RFC 6762, 5.4 and 10.2

Question = tuple[str, int] | tuple[str, int, int]
Record = tuple[str, int, bytes]


def name(text: str) -> bytes:
    """A name in wire form (RFC 1035, 3.1)."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def message(
    ident: int,
    flags: int,
    questions: list[Question],
    answers: list[Record] | None = None,
    proposed: list[Record] | None = None,
    additional: list[Record] | None = None,
) -> bytes:
    """A message (RFC 1035, 4); records live two minutes."""
    sections = [answers or [], proposed or [], additional or []]
    out = struct.pack(">HHHHHH", ident, flags, len(questions), *map(len, sections))
    for text, kind, *unicast in questions:
        out += name(text) + struct.pack(">HH", kind, unicast[0] if unicast else IN)
    for owner, kind, data in [*sections[0], *sections[1], *sections[2]]:
        out += name(owner) + struct.pack(">HHIH", kind, IN, 120, len(data)) + data
    return out


def query(*questions: Question, ident: int = 0, known: list[Record] | None = None) -> bytes:
    return message(ident, 0, list(questions), known)


def answer(*records: Record, ident: int = 0, asked: Question | None = None, more: list[Record] | None = None) -> bytes:
    """An authoritative response; LLMNR and legacy unicast repeat the question."""
    flags = 0x8000 if asked is not None else 0x8400  # LLMNR's bit there is another one (RFC 4795, 2.1.1)
    return message(ident, flags, [] if asked is None else [asked], list(records), additional=more)


class Link:
    """Frames of an exchange; times in ms from its beginning."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.frames: list[tuple[int, Frame]] = []

    def send(
        self, at: float, src: str, sport: int, dst: str, dport: int, payload: bytes, *, point: int = 0, vlan: int = 0
    ) -> None:
        """A UDP datagram on a link."""
        proto = udp(src, sport, dst, dport, payload)
        self.put(at, src, dst, 17, proto, point, vlan)

    def put(self, at: float, src: str, dst: str, proto: int, segment: bytes, point: int = 0, vlan: int = 0) -> None:
        """An IP packet on a link."""
        v6 = ":" in src
        packet = ip6(src, dst, proto, segment, ttl=255) if v6 else ip4(src, dst, proto, segment, ttl=255)
        ends = station(src), station(dst)
        frame = eth(0x86DD if v6 else 0x0800, packet, *ends, vlans=(vlan,) if vlan else ())
        self.frames.append((point, Frame(self.start + round(at * MS), frame)))

    def ask(self, at: float, last: int, port: int, payload: bytes, *, v6: bool = False, group: int = 0) -> None:
        """A query to the group of a port; `group` where it is not the port that is sent from."""
        to = group or port
        self.send(at, host(last, v6), port, GROUPS[6 if v6 else 4, to], to, payload)


def host(last: int, v6: bool = False) -> str:
    return f"fe80::{last:x}" if v6 else f"10.0.0.{last}"


def station(ip: str) -> str:
    """Hardware address: of a group as RFC 1112, 6.4 and RFC 2464, 7 say."""
    packed = address(ip)
    if ip.startswith("224."):
        return "01:00:5e:" + ":".join(f"{byte:02x}" for byte in (packed[1] & 0x7F, packed[2], packed[3]))
    if ip.startswith("ff02"):
        return "33:33:" + ":".join(f"{byte:02x}" for byte in packed[12:])
    return f"02:00:00:00:00:{packed[-1]:02x}"


def v4(owner: str, last: int) -> Record:
    return owner, A, address(host(last))


def llmnr_answered(link: Link) -> None:
    """A query, answered from another address than it went to."""
    link.ask(0, 11, 50_001, query(("printer", A), ident=0x0101), group=LLMNR)
    link.send(5, host(31), LLMNR, host(11), 50_001, answer(v4("printer", 31), ident=0x0101, asked=("printer", A)))


def llmnr_over_ipv6(link: Link) -> None:
    link.ask(0, 11, 50_002, query(("printer", AAAA), ident=0x0202), v6=True, group=LLMNR)
    record = ("printer", AAAA, address(host(31, v6=True)))
    told = answer(record, ident=0x0202, asked=("PRINTER", AAAA))
    link.send(7, host(31, v6=True), LLMNR, host(11, v6=True), 50_002, told)


def llmnr_unanswered(link: Link) -> None:
    """Asked three times, as RFC 4795, 2.7 says; nobody has the name."""
    for at in (0, 100, 1100):
        link.ask(at, 11, 50_003, query(("nobody", A), ident=0x0303), group=LLMNR)


def llmnr_conflict(link: Link) -> None:
    """Two have the name: the first answer counts, the second one is a row of its own."""
    link.ask(0, 11, 50_004, query(("twin", A), ident=0x0404), group=LLMNR)
    for at, last in ((4, 32), (9, 33)):
        link.send(at, host(last), LLMNR, host(11), 50_004, answer(v4("twin", last), ident=0x0404, asked=("twin", A)))


def llmnr_two_queriers(link: Link) -> None:
    """Each gets its own answer; one with another number is nobody's."""
    for at, last, port in ((0, 11, 50_005), (1, 12, 50_005)):
        link.ask(at, last, port, query(("printer", A), ident=0x0505), group=LLMNR)
    told = {ident: answer(v4("printer", 31), ident=ident, asked=("printer", A)) for ident in (0x0505, 0x0506)}
    link.send(6, host(31), LLMNR, host(12), 50_005, told[0x0505])
    link.send(8, host(31), LLMNR, host(11), 50_005, told[0x0506])
    link.send(11, host(31), LLMNR, host(11), 50_005, told[0x0505])


def llmnr_over_tcp(link: Link) -> None:
    """A query too long for UDP goes over TCP to the one who is known to have the name (RFC 4795, 2.4)."""
    asked = query(("printer", ANY), ident=0x0606)
    told = answer(v4("printer", 31), ident=0x0606, asked=("printer", ANY))
    asked, told = (struct.pack(">H", len(one)) + one for one in (asked, told))
    there, back = (host(11), 50_006, host(31), LLMNR), (host(31), LLMNR, host(11), 50_006)
    link.put(0, there[0], there[2], 6, tcp(*there, SYN, 100))
    link.put(1, back[0], back[2], 6, tcp(*back, SYN | ACK, 500, 101))
    link.put(2, there[0], there[2], 6, tcp(*there, ACK | PSH, 101, 501, asked))
    link.put(4, back[0], back[2], 6, tcp(*back, ACK | PSH, 501, 101 + len(asked), told))


SERVICE = "_ipp._tcp.local"
OFFICE = (SERVICE, PTR, name("Office._ipp._tcp.local"))
CELLAR = (SERVICE, PTR, name("Cellar._ipp._tcp.local"))


def mdns_answered(link: Link) -> None:
    """Asked of the group and answered to it, with the address among the additional records."""
    link.ask(0, 11, MDNS, query((SERVICE, PTR)))
    link.ask(25, 31, MDNS, answer(OFFICE, more=[v4("office.local", 31)]))


def mdns_over_ipv6(link: Link) -> None:
    """Names do not tell upper and lower case apart."""
    link.ask(0, 11, MDNS, query(("Office.local", AAAA)), v6=True)
    link.ask(30, 31, MDNS, answer(("office.LOCAL", AAAA, address(host(31, v6=True)))), v6=True)


def mdns_unanswered(link: Link) -> None:
    link.ask(0, 11, MDNS, query(("nobody.local", A)))


def mdns_two_responders(link: Link) -> None:
    """Both have a service: the first response is in the query's row, the second a row of its own."""
    link.ask(0, 11, MDNS, query((SERVICE, PTR)))
    link.ask(40, 31, MDNS, answer(OFFICE))
    link.ask(95, 32, MDNS, answer(CELLAR))


def mdns_unicast_wanted(link: Link) -> None:
    """A question with the QU bit, answered to the querier alone (RFC 6762, 5.4)."""
    link.ask(0, 11, MDNS, query(("office.local", A, UNICAST)))
    link.send(3, host(31), MDNS, host(11), MDNS, answer(v4("office.local", 31)))


def mdns_legacy(link: Link) -> None:
    """From another port than 5353: the answer comes to it and repeats number and question (RFC 6762, 6.7). What goes to
    the group, which nobody hears at that port, and what has another number are no answers."""
    link.ask(0, 12, 40_000, query(("office.local", A), ident=77), group=MDNS)
    link.ask(2, 31, MDNS, answer(v4("office.local", 31)))
    for at, ident in ((3, 78), (4, 77)):
        told = answer(v4("office.local", 31), ident=ident, asked=("office.local", A))
        link.send(at, host(31), MDNS, host(12), 40_000, told)


def mdns_announcement(link: Link) -> None:
    """Nobody asked (RFC 6762, 8.3)."""
    for at in (0, 1000):
        link.ask(at, 32, MDNS, answer(v4("cellar.local", 32)))


def mdns_two_queriers(link: Link) -> None:
    """One response answers both."""
    for at, last, text in ((0, 11, "cellar.local"), (5, 12, "CELLAR.local")):
        link.ask(at, last, MDNS, query((text, A)))
    link.ask(33, 32, MDNS, answer(v4("cellar.local", 32)))


def mdns_known_answer(link: Link) -> None:
    """The one who would answer is known already and keeps silent (RFC 6762, 7.1); the other one answers."""
    link.ask(0, 11, MDNS, query((SERVICE, PTR), known=[OFFICE, CELLAR]))
    link.ask(5000, 11, MDNS, query((SERVICE, PTR), known=[OFFICE]))
    link.ask(5060, 32, MDNS, answer(CELLAR))


def mdns_several_questions(link: Link) -> None:
    """One row a message: an answer to any of its questions is its answer."""
    link.ask(0, 11, MDNS, query(("cellar.local", AAAA), ("cellar.local", A), (SERVICE, PTR)))
    link.ask(28, 32, MDNS, answer(v4("cellar.local", 32)))


def mdns_probe(link: Link) -> None:
    """A host asks three times whether anybody has the name that it wants, then says that it has it: no answer to itself
    (RFC 6762, 8.1). The next one is told by the first that the name is taken."""
    mine, other = v4("new.local", 13), v4("new.local", 14)
    for at in (0, 250, 500):
        link.ask(at, 13, MDNS, message(0, 0, [("new.local", ANY, UNICAST)], proposed=[mine]))
    link.ask(750, 13, MDNS, answer(mine))
    link.ask(5000, 14, MDNS, message(0, 0, [("new.local", ANY, UNICAST)], proposed=[other]))
    link.ask(5001, 13, MDNS, answer(mine))


def mdns_other_answers(link: Link) -> None:
    """An alias, and that there is no such record (RFC 6762, 6.1); then one of another type, which is no answer."""
    link.ask(0, 11, MDNS, query(("www.local", A)))
    link.ask(20, 31, MDNS, answer(("www.local", CNAME, name("office.local")), v4("office.local", 31)))
    link.ask(4000, 11, MDNS, query(("office.local", AAAA)))
    link.ask(4020, 31, MDNS, answer(("office.local", NSEC, name("office.local") + b"\0\1\x40")))
    link.ask(5000, 11, MDNS, query(("office.local", SRV)))
    link.ask(5020, 31, MDNS, answer(("office.local", TXT, b"\1x")))


def mdns_other_link(link: Link) -> None:
    """The same query on three links, answered on two of them."""
    there = (host(11), MDNS, GROUPS[4, MDNS], MDNS, query(("office.local", A)))
    back = (host(31), MDNS, GROUPS[4, MDNS], MDNS, answer(v4("office.local", 31)))
    link.send(0, *there)
    link.send(1, *there, point=1)
    link.send(2, *there, vlan=20)
    link.send(30, *back, point=1)
    link.send(40, *back, vlan=20)


def mdns_late(link: Link) -> None:
    """What comes more than three seconds after a query answers its repetitions, not it (RFC 6762, 5.2)."""
    for at in (0, 1000, 3000):
        link.ask(at, 11, MDNS, query(("slow.local", A)))
    link.ask(3400, 31, MDNS, answer(v4("slow.local", 31)))


EXCHANGES: list[Callable[[Link], None]] = [
    llmnr_answered,
    llmnr_over_ipv6,
    llmnr_unanswered,
    llmnr_conflict,
    llmnr_two_queriers,
    llmnr_over_tcp,
    mdns_answered,
    mdns_over_ipv6,
    mdns_unanswered,
    mdns_two_responders,
    mdns_unicast_wanted,
    mdns_legacy,
    mdns_announcement,
    mdns_two_queriers,
    mdns_known_answer,
    mdns_several_questions,
    mdns_probe,
    mdns_other_answers,
    mdns_other_link,
    mdns_late,
]


def frames() -> list[tuple[int, Frame]]:
    """Interface and frame of all exchanges."""
    out: list[tuple[int, Frame]] = []
    for number, exchange in enumerate(EXCHANGES):
        link = Link(T0 + number * 10_000 * MS)
        exchange(link)
        out += link.frames
    return out


def capture() -> bytes:
    """The capture file."""
    return pcapng(POINTS, [(point, frame) for point, frame in frames()])


if __name__ == "__main__":
    FILE.write_bytes(capture())
