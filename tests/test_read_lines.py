"""The lines of `sniffkit read` where frames are cut, lie about their lengths, or are on unusual links.

tcpdump 4.99.3 prints the same words unless said otherwise.
"""

from __future__ import annotations

import io
import ipaddress
import struct
from typing import Any

import pytest

from sniffkit import _core

MAC = bytes.fromhex("020000000002020000000001")
LINK = "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype"
V6 = [ipaddress.IPv6Address(one).packed for one in ("2001:db8::1", "2001:db8::2")]


def lines(*frames: bytes | tuple[bytes, int], link_type: int = 1, **options: Any) -> list[str]:
    """What is printed of frames, or of the first so many bytes of them."""
    out = io.BytesIO(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type))
    out.seek(0, io.SEEK_END)
    for frame in frames:
        whole, cut = (frame, len(frame)) if isinstance(frame, bytes) else frame
        out.write(struct.pack("<IIII", 1, 0, cut, len(whole)) + whole[:cut])
    out.seek(0)
    return "".join(_core.read_text([out], time="none", **options)).splitlines()


def ipv4(payload: bytes, proto: int, src: str = "10.0.0.1", dst: str = "10.0.0.2", word: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, word, 64, proto, 0)
    return head + ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed + payload


def ipv6(payload: bytes, proto: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + V6[0] + V6[1] + payload


def eth4(payload: bytes, proto: int, **more: Any) -> bytes:
    return MAC + b"\x08\0" + ipv4(payload, proto, **more)


def eth6(payload: bytes, proto: int) -> bytes:
    return MAC + b"\x86\xdd" + ipv6(payload, proto)


def udp(src: int, dst: int, payload: bytes, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", src, dst, 8 + len(payload) if length is None else length, 0) + payload


def tcp(flags: int, seq: int, ack: int, options: bytes = b"", payload: bytes = b"", words: int | None = None) -> bytes:
    words = 5 + len(options) // 4 if words is None else words
    return struct.pack("!HHIIHHHH", 40000, 443, seq, ack, words << 12 | flags, 1000, 0, 0) + options + payload


IP = ipv4(udp(5, 6, b"abcdefg"), 17, "1.2.3.4", "5.6.7.8")
TALK = "1.2.3.4.5 > 5.6.7.8.6: UDP, length 7"
QUOTED = ipv4(udp(1111, 2222, b"x" * 8), 17, "10.0.0.2", "9.9.9.9")


def test_tcp_that_was_cut_keeps_its_ends_and_what_is_there() -> None:
    options = b"\2\4\5\xb4\4\2\x08\x0a" + struct.pack("!II", 1, 0) + b"\1\3\3\7"
    ends = "10.0.0.1.40000 > 10.0.0.2.443: "
    assert lines(
        (eth4(tcp(2, 100, 0, options), 6), 68), (eth4(tcp(2, 100, 0), 6), 36), (eth4(tcp(2, 1, 0), 6), 38)
    ) == [
        f"IP {ends}Flags [S], seq 100, win 1000, options [mss 1460,sackOK,TS [|tcp]",
        "IP 10.0.0.1 > 10.0.0.2: [|tcp]",
        f"IP {ends} [|tcp]",
    ]
    # tcpdump prints neither flags nor numbers of a header that is not whole.
    ends = "2001:db8::1.40000 > 2001:db8::2.443: "
    assert lines((eth6(tcp(0x18, 101, 1, payload=b"x" * 300), 6), 68)) == [
        f"IP6 {ends}Flags [P.], seq 101:401, ack 1 [|tcp]"
    ]


def test_numbers_are_relative_to_a_handshake_that_was_cut() -> None:
    options = b"\2\4\5\xb4\4\2\x08\x0a" + struct.pack("!II", 1, 0) + b"\1\3\3\7"
    cut, whole = lines((eth4(tcp(0x12, 5000, 101, options), 6), 68), eth4(tcp(0x10, 5001, 101), 6))
    assert "seq 5000, ack 101" in cut
    assert whole.endswith("Flags [.], ack 1, win 1000, length 0")


def test_headers_that_lie_about_lengths() -> None:
    missing = eth4(udp(1000, 2000, b"abc"), 17)
    assert lines(eth4(tcp(2, 1, 0, words=4), 6), eth4(tcp(2, 1, 0, words=9), 6)) == [
        "IP 10.0.0.1.40000 > 10.0.0.2.443:  tcp 4 [bad hdr length 16 - too short, < 20]",
        "IP 10.0.0.1.40000 > 10.0.0.2.443: Flags [S] [bad hdr length 36 - too long, > 20]",
    ]
    assert lines(eth4(udp(1000, 2000, b"abc", 65520), 17), eth4(udp(1000, 2000, b"abc", 7), 17), (missing, 43)) == [
        "IP 10.0.0.1.1000 > 10.0.0.2.2000: UDP, bad length 65512 > 3",
        "IP 10.0.0.1.1000 > 10.0.0.2.2000: truncated-udplength 7",
        "IP 10.0.0.1.1000 > 10.0.0.2.2000: UDP, length 3",
    ]
    assert lines(eth4(udp(1000, 2000, b"abc", 0), 17))[0].endswith(": truncated-udplength 0")
    # The length of a datagram whose other fragments follow is no lie.
    assert lines(eth4(udp(1000, 2000, b"abc", 2000), 17, word=0x2000))[0].endswith("UDP, length 1992")
    # What the frame lacks of its IP packet is missing; the lengths in it are right.
    short = "IP truncated-ip - 1 bytes missing! 10.0.0.1"
    assert lines(missing[:-1]) == [f"{short}.1000 > 10.0.0.2.2000: UDP, length 3"]
    assert lines(eth4(tcp(0x18, 1, 1, payload=b"abc"), 6)[:-1], absolute=True) == [
        f"{short}.40000 > 10.0.0.2.443: Flags [P.], seq 1:4, ack 1, win 1000, length 3"
    ]
    assert lines(eth4(b"\x08\0\0\0\0\1\0\2abc", 1)[:-1]) == [
        f"{short} > 10.0.0.2: ICMP echo request, id 1, seq 2, length 11"
    ]


def test_the_labels_of_mpls() -> None:
    stack = struct.pack("!II", 16 << 12 | 64, 17 << 12 | 0x100 | 63)
    assert lines(MAC + b"\x88\x47" + stack + IP) == [
        f"MPLS (label 16, tc 0, ttl 64) (label 17, tc 0, [S], ttl 63) IP {TALK}"
    ]
    assert lines(MAC + b"\x88\x47" + stack[:6], MAC + b"\x88\x47") == [
        "MPLS (label 16, tc 0, ttl 64) [|mpls]",
        "MPLS [|mpls]",
    ]


@pytest.mark.parametrize(
    ("frame", "cut", "text"),
    [
        (eth4(b"\3\3" + bytes(6) + QUOTED, 1), 64, "IP 10.0.0.1 > 10.0.0.2:  [|icmp]"),
        (eth4(b"\3\3" + bytes(6) + QUOTED, 1), 42, "IP 10.0.0.1 > 10.0.0.2:  [|icmp]"),
        (eth6(b"\x80\0\0\0\0\x4d\0\x09abcd", 58), 58, "ICMP6, echo request [|icmp6]"),
        (eth6(b"\1\0" + bytes(46), 58), 80, "ICMP6, destination unreachable, unreachable route [|icmp6]"),
        (eth6(b"\x8f\0\0\0\0\0\0\2" + bytes(40), 58), 58, "ICMP6, multicast listener report v2 [|icmp6]"),
        (eth4(udp(123, 123, b"\x23" + bytes(47)), 17), 42, "IP 10.0.0.1.123 > 10.0.0.2.123:  [|ntp]"),
        (eth4(bytes(24), 50), 34, "IP 10.0.0.1 > 10.0.0.2:  [|esp]"),
        (eth4(udp(4500, 4500, b"\0\0\x12\x34" + bytes(20)), 17), 46, "UDP-encap:  [|esp]"),
        (eth4(udp(4500, 4500, b"abcd"), 17), 42, "IP 10.0.0.1.4500 > 10.0.0.2.4500:  [|isakmp]"),
        (eth4(b"\x22\0\0\0\0\0\0\2" + bytes(16), 2), 38, "IP 10.0.0.1 > 10.0.0.2:  [|igmp]"),
        (eth4(udp(4789, 4789, bytes(30)), 17), 41, "IP 10.0.0.1.4789 > 10.0.0.2.4789:  [|udp]"),
        (eth4(udp(4000, 53, bytes(30)), 17), 42, "IP 10.0.0.1.4000 > 10.0.0.2.53:  [|domain]"),
        (eth4(udp(68, 67, b"\1\1\6" + bytes(300)), 17), 60, "BOOTP/DHCP, Request [|bootp]"),
        (MAC + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + bytes(20), 40, "ARP,  [|arp]"),
        (MAC + b"\x08\0" + IP, 30, "IP  [|ip]"),
        (MAC + b"\x08\0" + IP, 12, " [|ether]"),
        (eth6(bytes(8), 17), 53, " [|ip6]"),
        (eth4(b"\0\0\x86\xdd" + ipv6(bytes(8), 17), 47), 77, "IP 10.0.0.1 > 10.0.0.2: GREv0, length 52:  [|ip6]"),
        (eth4(udp(6081, 6081, bytes(30)), 17), 42, "10.0.0.2.6081: Geneve [|geneve]"),
        (eth4(udp(6081, 6081, bytes(30)), 17), 49, "10.0.0.2.6081: Geneve [|geneve]"),
    ],
)
def test_what_was_not_captured_is_not_told(frame: bytes, cut: int, text: str) -> None:
    [line] = lines((frame, cut))
    assert line.endswith(text)


def test_every_frame_has_a_line() -> None:
    lcp, unknown = b"\xff\x03\xc0\x21\1\1\0\4", b"\xff\x03\x12\x34ab"
    pap = b"\xff\x03\xc0\x23\1\1\0\x0c\2ab\4abcd"
    assert lines(b"\xff\x03\0\x21" + IP, lcp, pap, unknown, link_type=9) == [
        f"IP {TALK}",
        "LCP, Conf-Request (0x01), id 1, length 6",
        "PAP, Auth-Req (0x01), id 1, Peer ab, Name abcd",
        "unknown PPP protocol (0x1234), length 2",
    ]
    mac = b"\2\0\0\0\0\1\0\0"
    frame = struct.pack("!HHH8sH", 0, 1, 6, mac, 0x88B5) + b"abcdefgh"
    assert lines(frame, link_type=113) == [" In 02:00:00:00:00:01 ethertype Unknown (0x88b5), length 24:"]
    assert lines(b"\xaa\xaa\x07ab", link_type=100) == ["llc:data, length 5"]
    slarp = struct.pack("!IIIHI", 2, 5, 6, 0xFFFF, 3_661_000)
    seen = "mineseen=0x00000005, yourseen=0x00000006, reliability=0xffff, link uptime=0d1h1m1s"
    assert lines(b"\x8f\0\x80\x35" + slarp, b"\x0f\0\x20\0abcd", link_type=104) == [
        f"SLARP (length: 18), keepalive: {seen}",
        "unknown CHDLC protocol (0x2000), length 8",
    ]
    # The frame in a tunnel too.
    inner = udp(4789, 4789, b"\x08\0\0\0\0\0\x64\0" + MAC + b"\x88\xb5abcd")
    assert lines(eth4(inner, 17))[0].endswith(f"vni 100: {LINK} Unknown (0x88b5), length 18:")


def test_link_headers() -> None:
    mac = b"\2\0\0\0\0\1\0\0"
    cooked = [struct.pack("!HHH8sH", kind, 1, 6, mac, 0x800) + IP for kind in (0, 4)]
    assert lines(*cooked, link_type=113, link=True) == [
        f" In 02:00:00:00:00:01 ethertype IPv4 (0x0800), length 51: {TALK}",
        f"Out 02:00:00:00:00:01 ethertype IPv4 (0x0800), length 51: {TALK}",
    ]
    # tcpdump looks for the name that this machine has for the interface.
    second = struct.pack("!HHIHBB8s", 0x800, 0, 3, 1, 4, 6, mac) + IP
    assert lines(second, link_type=276) == [f"ifindex 3 Out IP {TALK}"]
    sender = "02:00:00:00:00:01 ethertype IPv4 (0x0800), length 55"
    assert lines(second, link_type=276, link=True) == [f"ifindex 3 Out {sender}: {TALK}"]
    assert lines(b"\xff\x03\0\x21" + IP, link_type=9, link=True) == [f"IP (0x0021), length 39: {TALK}"]
    assert lines(b"\x0f\0\x08\0" + IP, link_type=104, link=True) == [
        f"unicast, ethertype IPv4 (0x0800), length 39: {TALK}"
    ]
    assert lines(struct.pack("<I", 7) + IP, link_type=0, link=True) == ["AF ISO (7), length 39:"]


def test_pppoe() -> None:
    def pppoe(kind: int, code: int, body: bytes) -> bytes:
        return MAC + struct.pack("!HBBHH", kind, 0x11, code, 5, len(body)) + body

    tags = b"\1\3\0\4abcd\1\1\0\0\1\4\0\2\xff\0"
    assert lines(pppoe(0x8864, 0, b"\x80\x21\1\2\0\x0a" + bytes(6)), pppoe(0x8863, 0x65, tags)) == [
        "PPPoE  [ses 0x5] IPCP, Conf-Request (0x01), id 2, length 12",
        'PPPoE PADS [ses 0x5] [Host-Uniq "abcd"] [Service-Name] [AC-Cookie 0xFF00]',
    ]


def test_icmp() -> None:
    def text(kind: int, code: int, word: bytes = bytes(4)) -> str:
        return lines(eth4(bytes([kind, code, 0, 0]) + word + QUOTED, 1))[0].partition("ICMP ")[2]

    unreachable = {
        5: "9.9.9.9 unreachable - source route failed",
        6: "net 9.9.9.9 unreachable - unknown",
        7: "host 9.9.9.9 unreachable - unknown",
        8: "9.9.9.9 unreachable - source host isolated",
        9: "net 9.9.9.9 unreachable - admin prohibited",
        11: "net 9.9.9.9 unreachable - tos prohibited",
        12: "host 9.9.9.9 unreachable - tos prohibited",
        14: "host 9.9.9.9 unreachable - host precedence violation",
        15: "host 9.9.9.9 unreachable - precedence cutoff",
        16: "9.9.9.9 unreachable - #16",
    }
    for code, expected in unreachable.items():
        assert text(3, code) == f"{expected}, length 44"
    assert text(11, 2) == "time exceeded-#2, length 44"
    assert text(5, 2, b"\x0a\0\0\x09") == "redirect-tos 9.9.9.9 to net 10.0.0.9, length 44"
    assert text(5, 4, b"\x0a\0\0\x09") == "redirect-#4 9.9.9.9 to 10.0.0.9, length 44"
    assert text(12, 0, b"\x14\0\0\0") == "parameter problem - octet 20, length 44"
    assert text(12, 1) == "parameter problem - code 1, length 44"
    assert [text(kind, 0) for kind in (15, 16, 17)] == [
        "information request, length 44",
        "information reply, length 44",
        "address mask request, length 44",
    ]


def test_icmpv6() -> None:
    def text(kind: int, code: int, word: bytes = bytes(4), body: bytes = ipv6(udp(1111, 2222, b""), 17)) -> str:
        line = lines(eth6(bytes([kind, code, 0, 0]) + word + body, 58))[0]
        return line.partition("ICMP6, ")[2].rpartition(", length ")[0]

    behind = ipv6(b"\x11\0\1\4\0\0\0\0" + udp(1111, 2222, b""), 0)
    assert text(1, 4, body=behind) == "destination unreachable, unreachable port, 2001:db8::2 udp port 2222"
    assert text(1, 2) == "destination unreachable, beyond scope 2001:db8::2, source address 2001:db8::1"
    assert text(3, 2) == "time exceeded in-transit, unknown code (2)"
    assert text(4, 1, b"\0\0\0\x28") == "parameter problem, next header - octet 40"
    assert text(131, 0, body=V6[0]) == "multicast listener report max resp delay: 0 addr: 2001:db8::1"
    assert text(141, 0) == "inverse neighbor solicitation"
    assert text(144, 0, b"\0\x07\0\0") == "ha discovery request, id 0x0007"
    assert text(99, 0) == "unknown icmp6 type (99)"


def test_dns() -> None:
    name, soa = b"\3www\7example\0", b"\0\6\0\1"
    version = b"\7version\4bind\0\0\x10\0\3"

    def text(flags: int, counts: tuple[int, int, int, int], body: bytes) -> str:
        [line] = lines(eth4(udp(4000, 53, struct.pack("!HHHHHH", 5, flags, *counts) + body), 17))
        return line.partition("53: ")[2]

    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"
    assert text(0x2800, (1, 0, 1, 0), name + soa + record) == "5 update [1n] SOA? www.example. (45)"
    assert text(0x2400, (1, 0, 0, 0), name + soa) == "5 notify [b2&3=0x2400] SOA? www.example. (29)"
    assert text(0, (1, 0, 0, 0), version) == "5 TXT CHAOS? version.bind. (30)"
    answer = b"\xc0\x0c\0\x10\0\3\0\0\0\0\0\6\5BIND9"
    assert text(0x8400, (1, 1, 0, 0), version + answer) == '5*- 1/0/0 CHAOS TXT "BIND9" (48)'
    assert text(0xA809, (1, 0, 0, 0), name + soa) == "5 update NotAuth- 0/0/0 (29)"
    assert text(0x8180, (1, 0, 0, 1), name + b"\0\1\0\1" + b"\0\0\x29\4\xd0\1\0\0\0\0\0") == "5 BadVers 0/0/1 (40)"
    assert text(0x100, (1, 0, 0, 0), name + b"\0\xfc\0\1") == "5+ AXFR? www.example. (29)"
    assert text(0x100, (1, 0, 0, 0), b"\x05w\0\xe9.x\0\0\1\0\1") == "5+ A? w^@M-i.x. (23)"
    assert text(0x8180, (1, 1, 0, 0), name + b"\0\1\0\1" + record[:-2]) == "5 1/0/0 A [|domain]"
    many = text(0x8180, (0, 600, 0, 0), b"\0" + record[2:] + b"".join(b"\0" + record[2:] for _ in range(599)))
    assert many.count("A 1.2.3.4") == 512
    assert many.endswith("A 1.2.3.4 [88 more] (9012)")


def test_igmp() -> None:
    records = b"".join(b"\4\0\0\0" + bytes([239, 1, 2, last]) for last in (3, 4))
    report = eth4(b"\x22\0\0\0\0\0\0\2" + records, 2)
    query = eth4(b"\x11\x94\0\0\xef\1\2\3\x0a\x7d\0\2" + b"\x0a\0\0\1\x0a\0\0\2", 2)
    old = eth4(b"\x11\x94\0\0" + bytes(4), 2)
    assert [line.partition("2: ")[2] for line in lines(report, query, old)] == [
        "igmp v3 report, 2 group record(s)",
        "igmp query v3 [max resp time 32.0s] [gaddr 239.1.2.3, 2 source(s)]",
        "igmp query v2 [max resp time 148]",
    ]
    names = ["igmp.type", "igmp.maddr", "igmp.max_resp", "igmp.num_grp_recs", "igmp.record_type", "igmp.num_src"]
    names += ["igmp.s", "igmp.qrv", "igmp.qqic", "igmp.saddr"]
    told = [line.split("\t") for line in lines(report, query, old, style="fields", fields=names)]
    assert told == [
        ["0x22", "239.1.2.3,239.1.2.4", "", "2", "4,4", "0,0", "", "", "", ""],
        ["0x11", "239.1.2.3", "320", "", "", "2", "1", "2", "125", "10.0.0.1,10.0.0.2"],
        ["0x11", "0.0.0.0", "148", "", "", "", "", "", "", ""],
    ]


def test_arp() -> None:
    ends = b"\2\0\0\0\0\1\x0a\0\0\1\2\0\0\0\0\2\x0a\0\0\2"

    def text(head: bytes, body: bytes = ends) -> str:
        return lines(MAC + b"\x08\x06" + head + body)[0]

    assert text(b"\0\1\x08\0\6\4\0\x08") == (
        "ARP, Inverse Request who-is 02:00:00:00:00:02 tell 02:00:00:00:00:01, length 28"
    )
    assert text(b"\0\1\x08\0\6\4\0\x09") == "ARP, Inverse Reply 02:00:00:00:00:01 at 10.0.0.1, length 28"
    assert text(b"\0\1\x08\0\6\4\0\x0a") == "ARP, NACK Reply, length 28"
    assert text(b"\0\1\x08\6\6\4\0\1") == "ARP, Ethernet (len 6), ARP (len 4), length 28"
    eight = b"\2\0\0\0\0\0\0\1\x0a\0\0\1" + bytes(8) + b"\x0a\0\0\2"
    assert text(b"\0\x18\x08\0\x08\4\0\1", eight) == "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 32"


def test_options_of_tcp_and_versions_of_gre() -> None:
    def options(text: bytes) -> str:
        return lines(eth4(tcp(2, 1, 0, text), 6))[0].partition("options [")[2].partition("]")[0]

    assert options(b"\x06\6\0\0\0\1\x22\2") == "echo 1,tfo cookiereq"
    assert options(b"\x22\6abcd\1\1") == "tfo cookie 61626364,nop,nop"
    assert options(b"\x1c\4\0\x0b\x1d\4\1\2") == "uto 0xb 300,tcp-ao keyid 1 rnextkeyid 2"
    assert options(b"\xfe\4\x12\x34\x0b\6\0\0\0\2\1\1") == "exp-1234,cc 2,nop,nop"
    pptp = struct.pack("!HHHHII", 0x3081, 0x880B, 4, 7, 8, 9)
    assert lines(eth4(pptp + b"\xff\x03\xc0\x21\1\1\0\4", 47))[0].partition("2: ")[2] == (
        "GREv1, call 7, seq 8, ack 9, length 24: LCP, Conf-Request (0x01), id 1, length 6"
    )
    summed = struct.pack("!HHHHI", 0xA000, 0x0800, 5, 0, 7)
    assert lines(eth4(summed + IP, 47))[0].endswith(f"GREv0, off 0x0, key=0x7, length 47: IP {TALK}")
    assert lines(eth4(IP, 4))[0] == f"IP 10.0.0.1 > 10.0.0.2: IP {TALK}"
    assert lines(eth4(udp(4000, 123, b"\x16\2\0\1" + bytes(8)), 17))[0].endswith("NTPv2, Control Message, length 12")


def test_chunks_of_sctp() -> None:
    init = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65536, 10, 11, 12)
    data = struct.pack("!BBHIHHI", 0, 3, 18, 12, 1, 2, 0) + b"ab\0\0"
    ends = struct.pack("!HHII", 9, 9, 1, 0)
    text = "IP 10.0.0.1.9 > 10.0.0.2.9: sctp"
    assert lines(eth4(ends + init, 132), eth4(ends + data + b"\x0b\0\0\4", 132), (eth4(ends + init, 132), 54)) == [
        f"{text} (1) [INIT] [init tag: 7] [rwnd: 65536] [OS: 10] [MIS: 11] [init TSN: 12]",
        f"{text} (1) [DATA] (B)(E) [TSN: 12] [SID: 1] [SSEQ 2] [PPID 0x0] , (2) [COOKIE ACK]",
        f"{text} (1) [INIT]  [|sctp]",
    ]
