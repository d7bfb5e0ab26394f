"""Lines and fields of `sniffkit read` against tcpdump and tshark, on the reference captures.

tcpdump opens applications that are not opened here (SNMP, BGP, STP's flags, …), so not every line can be the same. The
files of SAME must be, line by line; over all files the share must not fall.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sniffkit import _core

pytestmark = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")

MIN_SAME_LINES = 0.85

# Every line the same, with and without the link header.
SAME = ["community-id-spec--icmp.pcap", "community-id-spec--icmp6.pcap", "community-id-spec--arp.pcap"]

FIELDS = [
    "eth.src",
    "eth.dst",
    "eth.type",
    "vlan.id",
    "vlan.etype",
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "ip.id",
    "ip.proto",
    "ip.flags.df",
    "ip.frag_offset",
    "ip.checksum",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.nxt",
    "ipv6.flow",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.len",
    "tcp.hdr_len",
    "tcp.window_size_value",
    "tcp.options.mss_val",
    "tcp.options.timestamp.tsval",
    "tcp.options.wscale.shift",
    "tcp.options.sack_perm",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "arp.opcode",
    "arp.src.hw_mac",
    "arp.dst.proto_ipv4",
    "icmp.type",
    "icmp.ident",
    "vxlan.vni",
    "geneve.vni",
    "gre.proto",
    "mpls.label",
    "mpls.ttl",
    "pppoe.session_id",
    "ip.addr",
    "tcp.port",
    "frame.number",
    "frame.len",
    "frame.cap_len",
]

# Names whose value tshark makes from more than the frame, or where it opens what is not opened here.
FIELD_FILES = [
    "community-id-spec--tcp.pcap",
    "community-id-spec--icmp.pcap",
    "community-id-spec--icmp6.pcap",
    "community-id-spec--arp.pcap",
    "libpcap--geneve.pcap",
    "libtrace--vxlan.pcap",
    "packetnet--802.1ad_vlan_ipv4.pcap",
    "tcpdump--mpls-over-udp.pcap",
]


def tcpdump(path: Path, *flags: str) -> list[str]:
    run = subprocess.run(
        ["tcpdump", "-nn", "-t", *flags, "-r", str(path)],
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        timeout=60,
    )
    # Continuation lines begin with white space; the frame inside VXLAN begins anew with its own protocol.
    return [line.rstrip() for line in run.stdout.decode("utf-8", "replace").splitlines() if line[:1].strip()]


def text(path: Path, style: str = "line", **options: Any) -> list[str]:
    return "".join(_core.read_text([str(path)], style, time="none", **options)).splitlines()


def ours(path: Path, link: bool) -> list[str]:
    return text(path, link=link)


def test_most_lines_are_tcpdumps(corpus: Path) -> None:
    same = total = whole = 0
    for path in sorted((corpus / "captures").iterdir()):
        expected = tcpdump(path)
        try:
            got = ours(path, link=False)
        except OSError:
            continue  # not a capture for either of them
        if len(expected) != len(got):
            continue  # a file whose frames tcpdump prints on several lines
        equal = sum(line == other for line, other in zip(expected, got, strict=True))
        same, total, whole = same + equal, total + len(got), whole + (equal == len(got))
    print(f"\n{same} of {total} lines ({same / total:.1%}) are tcpdump's, in {whole} files all of them")
    assert same / total >= MIN_SAME_LINES
    assert whole >= 100


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("link", [False, True])
def test_plain_files_are_the_same(corpus: Path, name: str, link: bool) -> None:
    path = corpus / "captures" / name
    assert ours(path, link) == tcpdump(path, *(["-e"] if link else []))


@pytest.mark.parametrize(("flag", "dump"), [("-x", "x"), ("-xx", "xx"), ("-X", "X"), ("-XX", "XX"), ("-A", "A")])
def test_dumps_are_the_same(corpus: Path, flag: str, dump: str) -> None:
    path = corpus / "captures" / SAME[0]
    run = subprocess.run(["tcpdump", "-nn", "-t", flag, "-r", str(path)], capture_output=True, timeout=60, check=True)
    expected = run.stdout.decode("ascii").splitlines()
    assert text(path, dump=dump) == expected


@pytest.mark.parametrize("name", FIELD_FILES)
def test_fields_are_tsharks(corpus: Path, name: str) -> None:
    path = corpus / "captures" / name
    wanted = [part for field in FIELDS for part in ("-e", field)]
    run = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *wanted], capture_output=True, timeout=60, check=True
    )
    expected = run.stdout.decode().splitlines()
    got = text(path, "fields", fields=FIELDS)
    assert len(got) == len(expected)
    for number, (theirs, mine) in enumerate(zip(expected, got, strict=True), 1):
        pairs = zip(FIELDS, theirs.split("\t"), mine.split("\t"), strict=True)
        assert not [(number, *pair) for pair in pairs if pair[1] != pair[2]]


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"ip\.nonsense"):
        _core.read_text([], "fields", fields=["ip.src", "ip.nonsense"])
