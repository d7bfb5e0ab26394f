"""Community ID on the specification's own captures, against its published values and against its text in Python.

Source: <https://github.com/corelight/community-id-spec>, version 1 with seed 0; `PUBLISHED` is its baseline.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import struct
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk

PUBLISHED = {
    "arp": set[str](),
    "icmp": {"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:YHxtAirCG//0OzkcVAukqKQN9xM="},
    "icmp6": {
        "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=",
        "1:pkvHqCL88/tg1k4cPigmZXUtL00=",
    },
    "ipv6": {"1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
    "rsvp": {"1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
    "sctp": {"1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
    "tcp": {"1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
    "udp": {"1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
}

# Messages of the specification that answer each other; all others are one-way.
PAIRS = {
    1: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10},
    58: {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 144: 145, 145: 144}
    | {139: 140, 140: 139},
}


def by_the_text(row: dict[str, Any]) -> str | None:
    """seed, source, destination, protocol, 0, ports: the end that sorts first in front; SHA-1; base 64."""
    if row["ip_proto"] is None:
        return None
    src, dst = (ipaddress.ip_address(row[name]).packed for name in ("orig_h", "resp_h"))
    proto, one_way = row["ip_proto"], False
    ports: tuple[int, int] | None = None
    if proto in PAIRS and row["icmp_type"] is not None:
        answer = PAIRS[proto].get(row["icmp_type"])
        one_way = answer is None
        ports = (row["icmp_type"], row["icmp_code"] if answer is None else answer)
    elif row["orig_p"] is not None:
        ports = (row["orig_p"], row["resp_p"])
    if not one_way and (src, ports or ()) > (dst, ports[::-1] if ports else ()):
        src, dst, ports = dst, src, ports[::-1] if ports else None
    data = b"\0\0" + src + dst + bytes([proto, 0]) + (struct.pack(">HH", *ports) if ports else b"")
    return "1:" + base64.b64encode(hashlib.sha1(data).digest()).decode()


def flows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sk.open(path).flows().to_arrow().to_pylist()
    return rows


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values(corpus: Path, name: str) -> None:
    found = {row["community_id"] for row in flows(corpus / "captures" / f"community-id-spec--{name}.pcap")}
    assert found - {None} == PUBLISHED[name]


def test_every_row_has_the_id_of_the_text(corpus: Path) -> None:
    captures = [*(corpus / "captures").glob("community-id-spec--*"), corpus / "captures/pycommunityid--tcp_multi.pcap"]
    assert len(captures) == 9
    for path in captures:
        for row in flows(path):
            assert row["community_id"] == by_the_text(row), (path.name, row)
