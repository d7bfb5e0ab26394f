"""DNS, TLS and DHCP of small captures made here, through the tables that users call."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

from streams_pcap import CLIENT, SERVER, End, connection, eth, ip, plain

import sniffkit as sk
from captures.dhcp import make as leases
from captures.wire import T0, pcap


def udp(source: End, target: End, payload: bytes) -> bytes:
    return eth(ip(source[0], target[0], 17, struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0) + payload))


def capture(path: Path, frames: list[bytes]) -> Any:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for i, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000, i * 1000, len(frame), len(frame)) + frame)
    return sk.open(str(path))


def rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_arrow().to_pylist())


QUESTION = b"\x03www\x07example\x03com\0\0\x01\0\x01"
QUERY = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + QUESTION
ANSWER = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"
REPLY = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + QUESTION + ANSWER
RESOLVER: End = ("10.0.0.53", 53)


def test_a_query_and_its_answer(tmp_path: Path) -> None:
    one = capture(tmp_path / "dns.pcap", [udp(CLIENT, RESOLVER, QUERY), udp(RESOLVER, CLIENT, REPLY)])
    (row,) = rows(one.dns())
    assert (row["query"], row["qtype_name"], row["rcode_name"]) == ("www.example.com", "A", "NOERROR")
    assert (row["answers"], row["ttls"], row["proto"], row["trans_id"]) == (["192.0.2.1"], [60], "udp", 7)
    assert (row["rtt"], row["query_frame"], row["response_frame"]) == (1_000_000, 1, 2)
    (flow,) = rows(one.flows(columns=["uid", "service", "dns_query"]))
    assert flow == {"uid": row["uid"], "service": "dns", "dns_query": "www.example.com"}


def test_an_unanswered_query_is_a_row(tmp_path: Path) -> None:
    (row,) = rows(capture(tmp_path / "dns.pcap", [udp(CLIENT, RESOLVER, QUERY)]).dns())
    assert (row["rcode"], row["rtt"], row["answers"], row["reason"]) == (None, None, None, "no response")


def test_answers_that_were_cut_off_are_not_known(tmp_path: Path) -> None:
    none = struct.pack(">HHHHHH", 7, 0x8183, 1, 0, 0, 0) + QUESTION
    for reply, answers in ((REPLY[: len(QUERY)], None), (REPLY[:20], None), (none, [])):
        (row,) = rows(capture(tmp_path / "dns.pcap", [udp(RESOLVER, CLIENT, reply)]).dns())
        assert [row[name] for name in ("answers", "ttls", "answer_types")] == [answers] * 3


def test_a_pointer_loop_is_a_row_with_its_reason(tmp_path: Path) -> None:
    loop = struct.pack(">HHHHHH", 8, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\x01\0\x01"
    (row,) = rows(capture(tmp_path / "dns.pcap", [udp(CLIENT, RESOLVER, loop)]).dns())
    assert (row["complete"], row["reason"]) == (False, "compression pointer does not point back")


def test_types_have_the_names_of_the_registry(tmp_path: Path) -> None:
    named = {
        56: "NINFO",
        66: "DSYNC",
        68: "BRID",
        103: "UNSPEC",
        128: "NXNAME",
        260: "AMTRELAY",
        264: "IPN",
        265: "TYPE265",
    }
    frames = [udp(CLIENT, RESOLVER, QUERY[:-4] + struct.pack(">HH", number, 1)) for number in named]
    assert [row["qtype_name"] for row in rows(capture(tmp_path / "dns.pcap", frames).dns())] == list(named.values())


def test_names_in_answers_are_those_of_queries(tmp_path: Path) -> None:
    """An instance of DNS-SD that a PTR record names is what is asked for next (RFC 6763, 4.1): tables join on it."""
    label = b'\x08a b;c"(@'
    reply = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + label + b"\0\0\x0c\0\x01\xc0\x0c\0\x0c\0\x01\0\0\0\x3c"
    reply += struct.pack(">H", len(label) + 1) + label + b"\0"
    (row,) = rows(capture(tmp_path / "dns.pcap", [udp(RESOLVER, CLIENT, reply)]).dns())
    assert (row["query"], row["answers"]) == ('a b;c"(@', ['a b;c"(@'])


def test_dns_over_tcp_in_pieces(tmp_path: Path) -> None:
    framed = struct.pack(">H", len(REPLY)) + REPLY
    frames = plain(connection(framed, server=RESOLVER))
    (row,) = rows(capture(tmp_path / "dns.pcap", frames).dns())  # the "request" there is HTTP's: no DNS query
    assert (row["proto"], row["answers"], row["reason"]) == ("tcp", ["192.0.2.1"], "no query")


def test_a_lease(tmp_path: Path) -> None:
    options = b"\x35\x01\x05\x33\x04\0\0\x0e\x10\x36\x04\x0a\0\0\x01\x0c\x04host\xff"
    fixed = struct.pack(">BBBBIHH4s4s4s4s6s", 2, 1, 6, 0, 99, 0, 0, b"", b"\x0a\0\0\x09", b"", b"", b"\x02\0\0\0\0\x01")
    message = fixed.ljust(236, b"\0") + b"\x63\x82\x53\x63" + options
    one = capture(tmp_path / "dhcp.pcap", [udp(("10.0.0.1", 67), ("255.255.255.255", 68), message)])
    (row,) = rows(one.dhcp())
    assert (row["msg_type"], row["assigned_addr"], row["host_name"]) == ("ACK", "10.0.0.9", "host")
    assert (row["client_mac"], row["lease_time"], row["server_addr"]) == ("02:00:00:00:00:01", 3600, "10.0.0.1")


def test_the_script_gives_the_kept_leases() -> None:
    """`docs/leases.md` shows them, and what SQL makes of them."""
    assert leases.capture() == leases.FILE.read_bytes()


def test_the_leases_of_a_client_that_gives_one_back_and_gets_another(tmp_path: Path) -> None:
    """By the query of `docs/leases.md`."""
    text = (Path(__file__).parent.parent / "docs" / "leases.md").read_text()
    query = text.partition("sniffkit sql '")[2].partition("'")[0]
    one = leases.Client(0x0B, "laptop")
    for start, given in ((0, "10.0.0.11"), (300, "10.0.0.11"), (400, "10.0.0.12")):
        one.gets(start, given)
    for at in (100, 350):
        one.says(at, leases.RELEASE, own="10.0.0.11")
    path = tmp_path / "again.pcap"
    path.write_bytes(pcap(sorted(one.frames, key=lambda frame: frame.ts)))
    found = [
        (row["address"], round((row["start"].value - T0) / 1e9), round((row["end"].value - T0) / 1e9))
        for row in rows(sk.open(path).sql(query))
    ]
    assert found == [("10.0.0.11", 0, 100), ("10.0.0.11", 300, 350), ("10.0.0.12", 400, 1000)]


def test_bytes_on_any_port_are_recognised(tmp_path: Path) -> None:
    hello = bytes([22, 3, 1, 0, 50, 1, 0, 0, 46, 3, 3]) + bytes(32) + bytes([0, 0, 2, 0x13, 1, 1, 0, 0, 3, 0, 0x17, 0])
    segments = connection(b"", server=("10.0.0.2", 12345))
    here = segments[3]
    frames = plain([*segments[:3], (*here[:5], hello)])
    (row,) = rows(capture(tmp_path / "tls.pcap", frames).tls())
    assert (row["resp_p"], row["established"], row["reason"]) == (12345, False, "ClientHello whose lengths do not fit")


def test_every_table_of_an_empty_capture_is_empty(tmp_path: Path) -> None:
    one = capture(tmp_path / "none.pcap", [])
    for name in ("http", "dns", "tls", "dhcp", "files", "streams"):
        assert getattr(one, name)().to_arrow().num_rows == 0


def test_cut_requests_are_rows(tmp_path: Path) -> None:
    segments = connection(b"", server=SERVER)
    frames = plain([*segments[:3], (*segments[3][:5], b"GET /cut HTTP/1.1\r\nHo")])
    (row,) = rows(capture(tmp_path / "cut.pcap", frames).http())
    assert (row["uri"], row["complete"], row["reason"]) == ("/cut", False, "the head ends early")
    assert (row["request_body_len"], row["response_body_len"]) == (None, None)


def frame2(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field, neither indexed nor compressed (RFC 7541, 6.2.2)."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def test_http2_by_upgrade() -> None:
    """The request that asks for the upgrade is answered in HTTP/2 (RFC 7540, 3.2): one row."""
    path = Path(__file__).parent.parent / "captures" / "h2c" / "h2c.pcapng"
    rows = sk.open(path).http().to_arrow().to_pylist()
    shown = [(r["trans_depth"], r["method"], r["uri"], r["version"], r["status_code"], r["complete"]) for r in rows]
    assert shown == [
        (1, "GET", "/one", "1.1", 200, True),
        (2, "GET", "/two", "2", 200, True),
        (3, "GET", "/three", "2", 200, True),
    ]
    assert {row["body_sha256"] for row in rows} == {hashlib.sha256(b"from behind\n").hexdigest()}
    assert [(row["request_frame"], row["response_frame"]) for row in rows] == [(4, 10), (12, 15), (17, 20)]


def test_http2_with_prior_knowledge(tmp_path: Path) -> None:
    request = b"".join(literal(*field) for field in ((b":method", b"GET"), (b":path", b"/two"), (b":authority", b"h2")))
    ask = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame2(4, 0, 0, b"") + frame2(1, 5, 1, request)
    # 0x88 is the static table's `:status: 200`; the body comes in two frames, the second one padded.
    answer = frame2(4, 0, 0, b"") + frame2(1, 4, 1, b"\x88" + literal(b"content-type", b"text/plain"))
    answer += frame2(0, 0, 1, b"ab") + frame2(0, 9, 1, b"\x02c\0\0")
    segments = connection(answer)
    split = 40
    here = segments[3]
    first, second = (*here[:5], ask[:split]), (*here[:3], here[3] + split, here[4], ask[split:])
    one = capture(tmp_path / "h2.pcap", plain([*segments[:3], first, second, *segments[4:-3]]))
    (row,) = rows(one.http())
    assert (row["version"], row["method"], row["host"], row["uri"]) == ("2", "GET", "h2", "/two")
    assert (row["status_code"], row["content_type"], row["response_body_len"]) == (200, "text/plain", 3)
    assert row["body_sha256"].startswith("ba7816bf")  # SHA-256 of "abc" (FIPS 180-4)
    assert (row["complete"], row["reason"]) == (True, None)
    (flow,) = rows(one.flows(columns=["service", "http_host"]))
    assert flow == {"service": "http2", "http_host": "h2"}


def http2(path: Path, ask: bytes, answer: bytes) -> Any:
    """A connection of HTTP/2 with prior knowledge: what both send behind their prefaces."""
    segments = connection(frame2(4, 0, 0, b"") + answer)
    here = segments[3]
    asked = (*here[:5], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame2(4, 0, 0, b"") + ask)
    return capture(path, plain([*segments[:3], asked, *segments[4:-3]]))


def get2(stream: int, path: bytes) -> bytes:
    """A request whose head is all there is of it."""
    return frame2(1, 5, stream, b"\x82\x86" + literal(b":path", path) + literal(b":authority", b"h2"))


def test_codings_of_http2_are_a_list(tmp_path: Path) -> None:
    """Several fields of one name are one list (RFC 9110, 5.3), as in HTTP/1."""
    body = gzip.compress(zlib.compress(b"abc"))
    codings = literal(b"content-encoding", b"deflate") + literal(b"content-encoding", b"GZIP")
    answer = frame2(1, 4, 1, b"\x88" + codings) + frame2(0, 1, 1, body)
    (row,) = rows(http2(tmp_path / "h2.pcap", get2(1, b"/two"), answer).http())
    assert (row["content_encoding"], row["reason"]) == ("deflate, gzip", None)
    assert row["body_sha256"] == hashlib.sha256(b"abc").hexdigest()


def test_a_range_of_a_coded_body_is_kept_as_transferred(tmp_path: Path) -> None:
    part = gzip.compress(b"abc" * 100)[10:30]
    fields = literal(b":status", b"206") + literal(b"content-encoding", b"gzip")
    answer = frame2(1, 4, 1, fields + literal(b"content-range", b"bytes 10-29/99")) + frame2(0, 1, 1, part)
    head = f"HTTP/1.1 206 P\r\nContent-Encoding: gzip\r\nContent-Range: bytes 10-29/99\r\nContent-Length: {len(part)}"
    one = capture(tmp_path / "h1.pcap", plain(connection(head.encode() + b"\r\n\r\n" + part)))
    for cap in (one, http2(tmp_path / "h2.pcap", get2(1, b"/part"), answer)):
        (row,) = rows(cap.files())
        assert (row["content_encoding"], row["size"], row["complete"], row["reason"]) == ("gzip", len(part), True, None)
        assert row["sha256"] == hashlib.sha256(part).hexdigest()


def test_what_a_start_line_lacks_is_null(tmp_path: Path) -> None:
    connect = frame2(1, 5, 1, literal(b":method", b"CONNECT") + literal(b":authority", b"a.example:443"))
    cap = http2(tmp_path / "h2.pcap", connect, frame2(1, 4, 1, b"\x88") + frame2(0, 1, 1, b"bytes"))
    (row,) = rows(cap.http())
    assert (row["method"], row["host"], row["uri"], row["status_msg"]) == ("CONNECT", "a.example:443", None, None)
    (file,) = rows(cap.files())
    assert (file["url"], file["size"]) == (None, 5)
    (row,) = rows(capture(tmp_path / "h1.pcap", plain(connection(b"HTTP/1.1 204 \r\n\r\n"))).http())
    assert (row["status_code"], row["status_msg"], row["complete"]) == (204, None, True)
    segments = connection(b"")
    cut = capture(tmp_path / "cut.pcap", plain([*segments[:3], (*segments[3][:5], b"GET /cut")]))
    (row,) = rows(cut.http())
    assert (row["method"], row["uri"], row["version"]) == ("GET", "/cut", None)


def test_a_header_block_that_cannot_be_read_is_a_row(tmp_path: Path) -> None:
    cap = http2(tmp_path / "h2.pcap", frame2(1, 5, 1, b"\xc6"), frame2(1, 5, 1, b"\x88"))
    (row,) = rows(cap.http())
    assert (row["method"], row["uri"], row["status_code"], row["request_frame"]) == (None, None, None, 4)
    assert (row["complete"], row["reason"]) == (False, "header block cannot be decoded")


def test_websocket_frames_are_counted(tmp_path: Path) -> None:
    ask = b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi\x81\x01!"
    segments = connection(answer)
    here = segments[3]
    masked = (*here[:3], here[3] + len(ask), here[4] + len(answer), b"\x81\x82\1\2\3\4ab")
    frames = plain([*segments[:3], (*here[:5], ask), segments[4], masked])
    (row,) = rows(capture(tmp_path / "ws.pcap", frames).http())
    assert (row["status_code"], row["ws_client_frames"], row["ws_server_frames"]) == (101, 1, 2)
