"""Whose row what is told goes to: DHCP of both versions, DNS, broadcasts, frames without time."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

import sniffkit as sk
from captures.dhcp.make import ACK, REQUEST, Client, option
from captures.discovery.names import answer, name, query, record
from captures.wire import (
    CLIENT_MAC,
    MS,
    SERVER_MAC,
    T0,
    Frame,
    address,
    arp,
    eth,
    ip4,
    ip6,
    mac,
    pcap,
    pcapng,
    tcp,
    udp,
)

INFORM = 8
Row = dict[str, Any]
A, B = "10.0.0.1", "10.0.0.2"
ALL = "ff:ff:ff:ff:ff:ff"


def table(kind: str, data: bytes, **options: Any) -> list[Row]:
    rows: list[Row] = getattr(sk.open(io.BytesIO(data)), kind)(**options).to_arrow().to_pylist()
    return rows


def hosts(frames: list[bytes], link_type: int = 1) -> dict[str, Row]:
    """The rows by address."""
    data = pcap([Frame(T0 + at * MS, frame) for at, frame in enumerate(frames)], link_type=link_type)
    return {row["ip"]: row for row in table("hosts", data)}


def datagram(src: str, sport: int, dst: str, dport: int, payload: bytes = b"x", *macs: str) -> bytes:
    packet, kind = (ip6, 0x86DD) if ":" in src else (ip4, 0x0800)
    return eth(kind, packet(src, dst, 17, udp(src, sport, dst, dport, payload)), *macs)


def test_a_name_goes_to_the_station_that_leased_the_address() -> None:
    stations = [Client(last, f"host{last}") for last in range(1, 22)]
    for at, station in enumerate(stations):
        station.says(70 * at, REQUEST)
        station.hears(70 * at + 1, ACK, "10.0.0.5")
    rows = [row for row in table("hosts", pcap([frame for one in stations for frame in one.frames]))
            if row["ip"] == "10.0.0.5"]  # fmt: skip
    assert sorted((row["mac"], row["hostname"]) for row in rows) == [(one.mac, one.name) for one in stations]


def test_a_name_that_a_client_informs_of() -> None:
    pc = Client(7, "winpc")
    pc.says(0, INFORM, own="10.0.0.7")
    pc.send(1, "10.0.0.1", 67, "10.0.0.7", 68, pc.message(2, ACK, "10.0.0.7", "0.0.0.0", b""), SERVER_MAC, pc.mac)
    (row,) = [row for row in table("hosts", pcap(pc.frames)) if row["ip"] == "10.0.0.7"]
    assert (row["mac"], row["hostname"], row["hostname_source"]) == (pc.mac, "winpc", "dhcp")


def option6(code: int, data: bytes) -> bytes:
    return struct.pack(">HH", code, len(data)) + data


WIRED, WIFI, LEASED = "02:00:00:00:00:11", "02:00:00:00:00:22", "2001:db8::9"
DUID = option6(1, b"\0\1\0\1\x2a\0\0\1" + mac(WIRED))
SERVERS = ("ff02::1:2", 547)


def association(valid: int = 60) -> bytes:
    return option6(3, bytes(12) + option6(5, address(LEASED) + struct.pack(">II", valid, valid)))


def dhcpv6(kind: int, *options: bytes) -> bytes:
    return bytes([kind, 0, 0, 1]) + DUID + b"".join(options)


def test_a_duid_names_no_station() -> None:
    """RFC 8415, 11: it may be made from another card. The station is the one that the client speaks from."""
    asks = datagram("fe80::22", 546, *SERVERS, dhcpv6(3, option6(39, b"\0" + name("laptop"))), WIFI, ALL)
    told = datagram("fe80::1", 547, "fe80::22", 546, dhcpv6(7, association()), SERVER_MAC, WIFI)
    both = hosts([asks, told])
    assert (both[LEASED]["mac"], both[LEASED]["mac_source"], both[LEASED]["hostname"]) == (WIFI, "dhcp", "laptop")
    # A client is no server.
    assert (both["fe80::22"]["ports"], both["fe80::22"]["services"]) == (None, None)
    # Whoever has seen only the answer knows no station.
    alone = hosts([told])[LEASED]
    assert (alone["mac"], alone["source"]) == (None, ["dhcp"])
    assert LEASED not in hosts([datagram("fe80::1", 547, "fe80::22", 546, dhcpv6(7, association(0)), SERVER_MAC, WIFI)])


@pytest.mark.parametrize(("heard", "station"), [(option6(79, b"\0\1" + mac(WIFI)), WIFI), (b"", None)])
def test_a_relay_may_tell_the_station(heard: bytes, station: str | None) -> None:
    """RFC 6939."""
    around = bytes([0]) + address("2001:db8::") + address("fe80::22")
    asks = dhcpv6(3, option6(39, b"\0" + name("laptop")))
    forward = bytes([12]) + around + heard + option6(9, asks)
    reply = bytes([13]) + around + option6(9, dhcpv6(7, association()))
    frames = [
        datagram("2001:db8::5", 547, "2001:db8:1::1", 547, forward, CLIENT_MAC, SERVER_MAC),
        datagram("2001:db8:1::1", 547, "2001:db8::5", 547, reply, SERVER_MAC, CLIENT_MAC),
    ]
    row = hosts(frames)[LEASED]
    assert (row["mac"], row["hostname"]) == (station, "laptop")
    (asked, _) = table("dhcp", pcap([Frame(T0, frame) for frame in frames]))
    assert asked["client_mac"] == (station or WIRED)


def test_names_of_answers_whose_aliases_are_in_no_order() -> None:
    def alias(owner: str, target: str) -> bytes:
        return record(owner, 5, name(target))

    asked, back = ("www.a.test", 1), ("7.2.0.192.in-addr.arpa", 12)
    answers = [alias("c.test", "d.test"), alias("www.a.test", "c.test"), record("d.test", 1, address("192.0.2.80"))]
    # Look-ups in part of a class C network (RFC 2317).
    zone = "7.0-25.2.0.192.in-addr.arpa"
    told = [answer(asked, answers), answer(back, [alias(back[0], zone), record(zone, 12, name("seven.test"))])]
    frames = []
    for port, question, message in zip((4000, 4001), (asked, back), told, strict=True):
        frames += [datagram(A, port, B, 53, query(*question)), datagram(B, 53, A, port, message)]
    frames += [datagram(A, 9, "192.0.2.7", 9), datagram(A, 9, "192.0.2.80", 9)]
    found = hosts(frames)
    assert (found["192.0.2.80"]["hostname"], found["192.0.2.7"]["hostname"]) == ("www.a.test", "seven.test")


def test_a_packet_to_oneself_is_one() -> None:
    frame = datagram(A, 1000, A, 2000)
    row = hosts([frame])[A]
    assert (row["pkts"], row["bytes"]) == (1, len(frame))


def test_which_addresses_are_hosts() -> None:
    ends = ["240.1.1.1", "255.255.255.254", "255.255.255.255", "224.0.0.1", "239.1.1.1", "127.0.0.1", "0.0.0.0"]
    assert hosts([datagram(A, 9, end, 9) for end in ends]).keys() == {A, "240.1.1.1", "255.255.255.254"}


@pytest.mark.parametrize("link_type", [113, 276])
@pytest.mark.parametrize(("kind", "found"), [(1, {A}), (0, {A, "10.0.0.255"})])
def test_a_broadcast_in_a_cooked_capture_is_no_host(link_type: int, kind: int, found: set[str]) -> None:
    packet = ip4(A, "10.0.0.255", 17, udp(A, 138, "10.0.0.255", 138, b"x"))
    own = mac(CLIENT_MAC) + bytes(2)
    head = struct.pack(">HHH", kind, 1, 6) + own + b"\x08\0"
    if link_type == 276:
        head = struct.pack(">HHIHBB", 0x0800, 0, 1, 1, kind, 6) + own
    assert hosts([head + packet], link_type).keys() == found


def test_no_time_is_null() -> None:
    """Simple packet blocks of pcapng have none."""
    request, reply = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    asks, told = query("www.a.test", 1), answer(("www.a.test", 1), [record("www.a.test", 1, address("192.0.2.80"))])
    pc = Client(7, "pc")
    pc.says(0, REQUEST)
    frames = [
        pc.frames[0].data,
        datagram(A, 4000, B, 53, asks),
        datagram(B, 53, A, 4000, told),
        *(eth(0x0800, ip4(*ends[::2], 6, tcp(*ends, 0x18, *rest))) for ends, rest in (
            ((A, 1000, B, 80), (1, 1, request)),
            ((B, 80, A, 1000), (1, 1 + len(request), reply)),
        )),
    ]  # fmt: skip
    for points in ([None] * len(frames), [0, 0, None, 0, None]):
        made = [
            (point, Frame(T0 + at * MS, frame)) for at, (point, frame) in enumerate(zip(points, frames, strict=True))
        ]
        data = pcapng(["eth0"], made)
        (dhcp,), (dns,), (http,) = (table(kind, data) for kind in ("dhcp", "dns", "http"))
        assert (dns["rtt"], http["duration"]) == (None, None)
        assert {row["ts"] is None for row in (dhcp, dns, http)} == {points[0] is None}
    data = pcapng(["eth0"], [(None, Frame(T0, frame)) for frame in frames])
    assert {row["ts"] for kind in ("streams", "files") for row in table(kind, data)} == {None}
    assert {(row["first_seen"], row["last_seen"]) for row in table("hosts", data)} == {(None, None)}
    one = eth(0x0806, arp(1, CLIENT_MAC, A, "00:00:00:00:00:00", B))
    mixed = pcapng(["eth0"], [(None, Frame(T0, one)), (0, Frame(T0, one)), (None, Frame(T0, one))])
    (row,) = table("hosts", mixed)
    assert row["first_seen"] == row["last_seen"]
    assert row["first_seen"].value == T0


def test_dhcp_messages_that_are_not_as_usual() -> None:
    pc = Client(7, "pc")
    message = pc.message(1, REQUEST, "0.0.0.0", "0.0.0.0", option(12, b"pc"))
    # A relay's own port (RFC 8357).
    relayed = datagram("10.0.0.9", 50_000, "10.0.0.1", 67, message)
    (row,) = table("dhcp", pcap([Frame(T0, relayed)]))
    assert (row["msg_type"], row["host_name"], row["complete"]) == ("REQUEST", "pc", True)
    # Cut in front of the type of the message, and in front of the client's address.
    (row,) = table("dhcp", pcap([Frame(T0, relayed)], snap_len=100))
    assert (row["client_mac"], row["msg_type"]) == (pc.mac, None)
    assert (row["complete"], row["reason"]) == (False, "cut by the snap length")
    assert table("dhcp", pcap([Frame(T0, relayed)], snap_len=70)) == []
