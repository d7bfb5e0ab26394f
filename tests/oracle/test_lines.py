"""Lines and fields of `sniffkit read` against tcpdump and tshark, on the reference captures.

tcpdump opens applications that are not opened here (SNMP, BGP, STP's flags, …), so not every line can be the same. The
files of SAME must be, line by line; over all files the share must not fall.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sniffkit import _core

pytestmark = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")

MIN_SAME_LINES = 0.85

# Share of lines that must be tcpdump's to the letter, by the innermost protocol that is decoded here (its last name in
# `frame.protocols`); what the rest is, measured on the whole corpus. A protocol that is not listed need not agree.
SHARES = {
    "data": (0.85, "applications that tcpdump opens: OpenFlow, SNMP, BGP, RTP, SMB, NTP, …"),
    "tcp": (0.96, "MPTCP's options, which tcpdump opens"),
    "arp": (0.99, "ARP inside ERSPAN, which tcpdump does not open"),
    "tls": (0.98, "inside GTP, which tcpdump does not open"),
    "mdns": (0.99, "cooked v2: tcpdump asks this machine for the name of the capturing one's interface"),
    "http": (0.76, "on other ports, which tcpdump does not take for HTTP"),
    "dns": (0.96, "DNS over TCP"),
    "icmpv6": (0.91, "routing headers, L2TP's session in front"),
    "igmp": (0.96, "DVMRP"),
    "stp": (0.76, "70 of 302 inside ERSPAN, which tcpdump does not open; a broken 802.1aq"),
    "esp": (0.96, "one that is cut"),
}

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
    same: Counter[str] = Counter()
    total: Counter[str] = Counter()
    whole = 0
    for path in sorted((corpus / "captures").iterdir()):
        expected = tcpdump(path)
        try:
            got = ours(path, link=False)
            protocols = text(path, "fields", fields=["frame.protocols"])
        except OSError:
            continue  # not a capture for either of them
        if len(expected) != len(got):
            continue  # a file whose frames tcpdump prints on several lines
        equal = [line == other for line, other in zip(expected, got, strict=True)]
        for stack, agrees in zip(protocols, equal, strict=True):
            innermost = stack.rpartition(":")[2]
            total[innermost] += 1
            same[innermost] += agrees
        whole += all(equal)
    share = same.total() / total.total()
    print(f"\n{same.total()} of {total.total()} lines ({share:.1%}) are tcpdump's, in {whole} files all of them")
    for name, count in total.most_common():
        reason = SHARES.get(name, (0, "not opened here, or a handful of lines"))[1] if same[name] < count else ""
        print(
            f"  {name or '(link type not decoded)':24} {same[name]:6} of {count:6} ({same[name] / count:.1%}) {reason}"
        )
    assert share >= MIN_SAME_LINES
    assert whole >= 100
    worse = {name: same[name] / total[name] for name, (least, _) in SHARES.items() if same[name] < least * total[name]}
    assert worse == {}


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


@pytest.mark.parametrize("flag", ["-A", "-x", "-ttt", "-ttttt"])
def test_payloads_that_end_lines_and_nanoseconds(flag: str) -> None:
    """Payloads with newlines at their ends, and times finer than tcpdump shows them."""
    path = str(Path(__file__).parents[2] / "captures" / "web" / "mix.pcap")
    command = [sys.executable, "-m", "sniffkit", "read", "-n", flag, path]
    ours, theirs = (
        subprocess.run(line, capture_output=True, timeout=60, check=True).stdout
        for line in (command, ["tcpdump", "-nn", flag, "-r", path])
    )
    assert ours.splitlines() == theirs.splitlines()


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


# Fields whose share may be lower over the whole corpus, and why. All others: FIELD_SHARE.
FIELD_SHARE = 0.97
FIELD_EXCEPTIONS = {
    "tcp.options.sack_le": (0.0, "relative in tshark, as it stands in the segment here"),
    "tcp.options.sack_re": (0.0, "relative in tshark, as it stands in the segment here"),
    "geneve.option.length": (0.5, "tshark has the length of each option too"),
    "sll.etype": (0.5, "tshark has none in cooked v2"),
    "icmpv6.echo.identifier": (0.7, "answers to echo requests of RFC 8335, which are of another type"),
    "igmp.max_resp": (0.8, "DVMRP and a group query of version 0, which tshark opens otherwise"),
    "igmp.maddr": (0.9, "DVMRP"),
    "igmp.type": (0.9, "DVMRP"),
    "igmp.checksum": (0.9, "DVMRP"),
    "ip.opt.type": (0.8, "options that are cut, which tshark gives up"),
    "ip.opt.len": (0.8, "options that are cut, which tshark gives up"),
    "eth.len": (0.9, "Cisco ISL, in which tshark finds another Ethernet header"),
    "ipv6.fraghdr.ident": (0.9, "cut fragment headers, which tshark gives up"),
    "ipv6.fraghdr.more": (0.9, "cut fragment headers, which tshark gives up"),
    "ipv6.fraghdr.nxt": (0.9, "cut fragment headers, which tshark gives up"),
    "ipv6.fraghdr.offset": (0.9, "cut fragment headers, which tshark gives up"),
}


def test_every_field_is_one_of_tsharks_and_agrees(corpus: Path, tmp_path: Path) -> None:
    names = [name for name in _core.known_fields() if name not in ("_ws.malformed", "frame.protocols")]
    glossary = subprocess.run(["tshark", "-G", "fields"], capture_output=True, timeout=60, check=True).stdout.decode()
    theirs = {line.split("\t")[2] for line in glossary.splitlines()}
    assert [name for name in names if name not in theirs] == []
    manifest = (line.split("\t") for line in (corpus / "MANIFEST.tsv").read_text().splitlines()[1:])
    clean = {row[4] for row in manifest if row[3] == "1"} - {"libtrace--5_packets.erf.pcap"}
    files = [path for path in sorted((corpus / "captures").iterdir()) if path.name in clean]
    # One capture of all small files, so that tshark starts once.
    merged = tmp_path / "all.pcapng"
    subprocess.run(["mergecap", "-a", "-w", merged, *(p for p in files if p.stat().st_size < 40_000)], check=True)
    single = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    wanted = [part for name in names for part in ("-e", name)]
    command = ["tshark", "-n", *single, "-r", str(merged), "-T", "fields", *wanted]
    expected = subprocess.run(command, capture_output=True, timeout=100, check=True).stdout.decode().splitlines()
    got = text(merged, "fields", fields=[*names, "frame.protocols"])
    assert len(got) == len(expected) > 5000
    agree: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for told, ours_ in zip(expected, got, strict=True):
        *mine, stack = ours_.split("\t")
        # Where the stack ends in data (or the link type is not decoded) tshark may open more: a longer list.
        open_end = stack.endswith("data") or not stack
        for name, right, value in zip(names, told.split("\t"), mine, strict=True):
            if right or value:
                seen[name] += 1
                agree[name] += right == value or (open_end and right.startswith(value))
    shares = {name: agree[name] / seen[name] for name in names if seen[name]}
    print(
        f"\n{len(shares)} of {len(names)} fields met, {sum(s == 1 for s in shares.values())} always as tshark has them"
    )
    for name, share in shares.items():
        if share < 1:
            print(f"  {name:28} {agree[name]:6} of {seen[name]:6} {FIELD_EXCEPTIONS.get(name, ('', ''))[1]}")
    least = {name: FIELD_EXCEPTIONS.get(name, (FIELD_SHARE, ""))[0] for name in shares}
    assert {name: share for name, share in shares.items() if share < least[name]} == {}
    assert len(shares) > 150


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"ip\.nonsense"):
        _core.read_text([], "fields", fields=["ip.src", "ip.nonsense"])
