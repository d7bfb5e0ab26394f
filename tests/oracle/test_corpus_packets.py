"""Every frame of the clean reference captures, layer by layer, against tshark.

Compared, in the line grammar of `reference.py`: layers in wire order, Ethernet and IP addresses, VLAN ids, network
identifiers, IP protocol, fragment offsets, ports, TCP flags, sequence and acknowledgment numbers and lengths, UDP
lengths, ICMP types and codes, ARP, MPLS labels, PPPoE sessions, GRE keys, headers quoted in ICMP errors.

tshark opens thousands of protocols beyond the ones compared here. The same cut is made in every answer, and nowhere
else: a line ends behind the first layer that is named but not opened (NAMED), or before the first that is neither
(`cdp`, `tls`, `sflow`, …), so that an Ethernet header inside an sFlow sample does not count. Frames are single
(`nodefrag`): reassembly is the flow tracker's. Where tshark calls a frame malformed, the layer in which it gave up is
not compared, nor what follows. Where the field lists behind the answer were misaligned there is no answer.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from core_example import RUNS_CARGO, core_example

pytestmark = RUNS_CARGO

LINKS = {"eth", "vlan", "ieee8021ad", "llc", "mpls", "pppoes", "ppp", "chdlc", "sll", "null", "raw"}
NETWORK = {"arp", "ip", "ipv6", "ipv6.hopopts", "ipv6.routing", "ipv6.dstopts", "ipv6.fraghdr", "ah", "icmp", "icmpv6"}
TRANSPORT = {"tcp", "udp", "sctp"}
TUNNELS = {"gre", "erspan", "vxlan", "geneve", "gtp", "l2tp", "teredo", "udpencap"}
OPENED = LINKS | NETWORK | TRANSPORT | TUNNELS
NAMED = {"pppoed", "stp", "lldp", "loop", "esp", "igmp", "dccp", "udplite", "ospf", "eigrp", "pim", "vrrp"}

# Part of `frame.protocols`, but without an element in the line.
SILENT = {"ethertype", "udpencap"}

# Files with a difference that stays, and why.
EXCEPTIONS = {
    "libtrace--5_packets.erf.pcap": "not a pcap file but bare Endace ERF records, a format that is not read",
}
MIN_SHARE = 0.995


def cut(protocols: str, line: str) -> str:
    """The part of a reference line that is compared: see above."""
    elements = line.split("|") if line else []
    kept: list[str] = []
    for name in protocols.split(":"):
        if name in SILENT:
            continue
        if name not in OPENED | NAMED:
            break
        if name == "gtp" and not (kept and ">2152:" in kept[-1]):
            break  # GTP's control messages (port 2123) are not opened, only its user plane
        if elements and elements[0] == "(":
            kept.append(elements.pop(0))
        if not elements:
            break
        kept.append(elements.pop(0))
        while name == "mpls" and elements and elements[0].startswith("mpls:"):
            kept.append(elements.pop(0))
        if name in NAMED:
            break
    return "|".join(kept)


def same(expected: str, got: str | None, malformed: bool) -> bool:
    if got is None:
        return False
    if not malformed:
        return expected == got
    sure = expected.split("|")[:-1]
    return got.split("|")[: len(sure)] == sure if sure else True


def differences(answer: dict[str, Any], got: dict[int, str]) -> list[str]:
    found = []
    if len(got) != answer["packet_count"]:
        found.append(f"{len(got)} frames instead of {answer['packet_count']}")
    single = dict(answer.get("nodefrag", {}).get("changed_packets", []))
    skipped, malformed = set(answer["misaligned_frames"]), set(answer["malformed_frames"])
    for number, _, _, _, _, protocols, line in answer["packets"]:
        if number in skipped:
            continue
        expected = single.get(number) or cut(answer["protocol_index"][protocols], line)
        if not same(expected, got.get(number), number in malformed):
            found.append(f"frame {number}\n  tshark   {expected}\n  sniffkit {got.get(number)}")
    return found


@pytest.fixture(scope="module")
def lines(corpus: Path) -> dict[str, dict[int, str]]:
    """File → frame number → layers, as the Rust core decodes them, for every capture of the corpus."""
    captures = sorted((corpus / "captures").iterdir())
    files: dict[str, dict[int, str]] = {}
    current: dict[int, str] = {}
    for row in core_example("canonical_lines", captures):
        key, _, value = row.partition("\t")
        if key == "file":
            current = files.setdefault(Path(value).name, {})
        elif key != "error":
            current[int(key)] = value
    assert len(files) == len(captures)
    return files


def answers(corpus: Path, clean: bool) -> dict[str, dict[str, Any]]:
    loaded = {}
    for path in sorted((corpus / "reference").glob("*.json.gz")):
        answer = json.loads(gzip.decompress(path.read_bytes()))
        if answer["clean"] == clean:
            loaded[path.name.removesuffix(".json.gz")] = answer
    return loaded


def test_clean_files_agree_with_tshark(corpus: Path, lines: dict[str, dict[int, str]]) -> None:
    references = answers(corpus, clean=True)
    wrong = {name: found for name, answer in references.items() if (found := differences(answer, lines[name]))}
    frames = sum(answer["packet_count"] for answer in references.values())
    share = 1 - len(wrong) / len(references)
    print(
        f"\n{len(references) - len(wrong)} of {len(references)} files ({share:.2%}), {frames} frames, agree with tshark"
    )
    for name, reason in EXCEPTIONS.items():
        print(f"  except {name}: {reason}")
    unexplained = {name: found[:3] for name, found in wrong.items() if name not in EXCEPTIONS}
    assert not unexplained, "\n".join(f"{name}: {text}" for name, found in unexplained.items() for text in found)
    assert set(EXCEPTIONS) <= set(wrong), "a file listed as an exception agrees by now: take it from the list"
    assert share >= MIN_SHARE


def test_unclean_files_give_the_rows_before_the_damage(corpus: Path, lines: dict[str, dict[int, str]]) -> None:
    references = answers(corpus, clean=False)
    assert references
    for name, answer in references.items():
        assert len(lines[name]) >= answer["packet_count"], name


def test_the_cut_is_where_it_should_be() -> None:
    eth, ip = "eth:a>b:0x0800", "ip4:1.2.3.4>5.6.7.8:17"
    assert cut("eth:ethertype:ip:udp:sflow:eth", f"{eth}|{ip}|udp:1>6343:9|{eth}") == f"{eth}|{ip}|udp:1>6343:9"
    assert cut("eth:ethertype:mpls:ip:icmp:ip:udp", f"{eth}|mpls:1|mpls:2|{ip}|icmp:3/3|(|{ip}|udp:1>2:3").endswith(
        "2:3"
    )
    assert not same("a|b|c", "a|b", malformed=False)
    assert same("a|b|c", "a|b", malformed=True)
    assert not same("a|b|c", "a|x|c", malformed=True)
