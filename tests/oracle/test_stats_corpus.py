"""All of `sniffkit stats` against tshark's taps and capinfos.

Of each project in the corpus one capture, the clean one with most frames up to 300, and one for each rule by which the
figures differ: tshark and the figures of one take about a second. With SNIFFKIT_WHOLE_CORPUS=1 all clean captures are
compared, which takes some minutes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from setting import SHARED
from tshark_figures import Figures, differing, interval, ours, theirs
from tshark_headers import counted_by_stats, counted_by_tshark, frames
from tshark_headers import figures as by_header

Pardons = dict[str, tuple[str, set[Hashable]]]


def of_pair(reason: str, layer: str, a: str, b: str) -> Pardons:
    """Both figures of two ends."""
    return {f"conv,{layer}": (reason, {(a, b)}), f"endpoints,{layer}": (reason, {a, b})}


NO_TIME = "capinfos gives no duration if one frame has no time"
SIMPLE = "capinfos does not count simple packet blocks, and gives no duration if one frame has no time"
SEGMENTS = "a segment that begins within a message: tshark puts the message together, each segment is a frame here"
HUGE = "a length or a fraction of a second beyond 32 bits: tshark's sums overflow"
NO_BYTE = "a frame without a byte: tshark's tree of it has no layer, `protocols` names the one that was to come"
ISL = "Cisco's trunks are not opened: ISL's header, which tshark calls isl, is taken for that of an Ethernet frame"
NO_RANGE = "one frame of 65,598 bytes on the wire: tshark counts it in no range of lengths"
NFLOG = "a link type that is not decoded; tshark's tree begins with what is inside"
# What differs for a reason of its own: capture -> tap -> why, and which figures. See `tshark_headers` for the rules.
PARDONS: dict[str, Pardons] = {
    "dnscap--dnsotcp-manyopkts.pcap": {"io,phs": (SEGMENTS, {"eth:ip:tcp:dns"})},
    "ndpi--fuzz-2021-06-07-c6c72a0a56.pcap": {
        **of_pair(HUGE, "eth", "00:c0:5f:9d:95:25", "ff:00:00:24:00:23"),
        **of_pair(HUGE, "ip", "0.6.255.0", "102.110.128.32"),
        **of_pair(HUGE, "udp", "0.6.255.0:53975", "102.110.128.32:2152"),
        "plen,tree": (HUGE, {"5120 and greater"}),
    },
    "tcpdump--DTP.pcap": {"io,phs": (ISL, {"eth", "eth:llc"})},
    "tcpdump--nflog.pcap": {"io,phs": (NFLOG, {"ip", "ip:udp"})},
    "tcpdump--rx_serviceid_oobr.pcap": {"io,phs": (NO_BYTE, {"eth"}), "capinfos": (HUGE, {"duration"})},
    "tcpdump--extract_read2_asan.pcap": {"plen,tree": (NO_RANGE, {"5120 and greater"})},
    "tcpflow--bug8.pcap": {"capinfos": (HUGE, {"duration"}), "io,stat": (HUGE, set(range(9)))},
    "pcapng-test-generator--test017.pcapng": {"capinfos": (SIMPLE, {"packets", "bytes"})},
    **{
        f"pcapng-test-generator--test{number:03}.pcapng": {"capinfos": (SIMPLE, {"packets", "bytes", "duration"})}
        for number in (18, 102, 202)
    },
    **{
        f"pcapng-test-generator--test{number:03}.pcapng": {"capinfos": (NO_TIME, {"duration"})}
        for number in (11, 12, 16, 100, 101, 201)
    },
}
SOME = [
    "dpkt--nb6-http.pcap",
    "libtrace--vxlan.pcap",
    "packets--ipv6_fragments.pcapng",
    "pcapng-test-generator--test202.pcapng",
    "community-id-spec--icmp6.pcap",
    "gopacket--test301.pcapng",
    "ics-pcap--BACnet-exception-schedule-property-1.pcapng",
    "ics-security-tools--modbus_test_data_part1.pcap",
    "ipfixprobe--rtsp.pcap",
    "ja4--chrome-cloudflare-quic-with-secrets.pcapng",
    "libpcap--ISIS_p2p_adjacency.pcap",
    "mercury--bittorrent.pcap",
    "ndpi--tplink_shp.pcap",
    "packetnet--db2_select.pcap",
    "pcap-parser--err-buffertoosmall.pcapng",
    "pycommunityid--tcp_multi.pcap",
    "pyshark--capture_test.pcapng",
    "tcpdump--mptcp-v0.pcap",
    "tcpflow--local2.pcap",
    # One for each rule of `tshark_headers` and each pardon that the others have no use for.
    "dnscap--dnsotcp-manyopkts.pcap",
    "tcpdump--DTP.pcap",
    "tcpdump--ipv6-routing-header.pcap",
    "tcpdump--ipv6-srh-insert-cksum.pcap",
    "tcpdump--mptcp-dss-oobr.pcap",
    "tcpdump--nflog.pcap",
    "tcpdump--nsh.pcap",
    "tcpdump--rx_serviceid_oobr.pcap",
]


def captures() -> list[str]:
    """Names of the captures that are compared."""
    manifest = SHARED / "corpus" / "MANIFEST.tsv"
    if os.environ.get("SNIFFKIT_WHOLE_CORPUS") != "1" or not manifest.is_file():
        return SOME
    rows = [line.split("\t") for line in manifest.read_text().splitlines()[1:]]
    return [row[4] for row in rows if row[3] == "1" and not row[4].endswith(".erf.pcap")]  # Endace's format is not read


CAPTURES = captures()
pytestmark = pytest.mark.timeout(120 + 4 * len(CAPTURES))  # the first test waits for all of tshark's figures


@pytest.fixture(scope="module")
def figures(corpus: Path) -> dict[str, tuple[Figures, Figures]]:
    """Ours and theirs of each capture; tshark works beside us."""
    paths = [corpus / "captures" / name for name in CAPTURES]
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(theirs, paths)
        return {path.name: (ours(path, interval(other)), other) for path, other in zip(paths, said, strict=True)}


@pytest.mark.parametrize("name", CAPTURES)
def test_figures_are_those_of_tshark(name: str, figures: dict[str, tuple[Figures, Figures]], corpus: Path) -> None:
    mine, said = figures[name]
    assert mine.keys() - {"io,stat"} == said.keys() - {"io,stat"}
    # The same capture in the other byte order has a hash before its name.
    pardons = PARDONS.get(re.sub(r"^[0-9a-f]{6}-", "", name), {})
    found = {tap: differing(mine, tap, said) for tap in said}
    for tap, (reason, pardoned) in pardons.items():
        assert pardoned <= found[tap].keys(), f"{tap} agrees by now: {reason}"
        found[tap] = {figure: both for figure, both in found[tap].items() if figure not in pardoned}
    if any(found[tap] for tap in found if tap.startswith(("conv", "endpoints"))):
        seen = list(frames(corpus / "captures" / name))
        every, chosen = by_header(seen, counted_by_tshark), by_header(seen, counted_by_stats)
        for tap in every:
            if found[tap]:
                found[tap] = {**differing(every, tap, said), **differing(mine, tap, chosen)}
    assert not any(found.values()), found


def test_the_figures_are_of_something(figures: dict[str, tuple[Figures, Figures]]) -> None:
    """A tap whose output could not be read would agree with everything."""
    for tap in next(iter(figures.values()))[1]:
        assert sum(len(said.get(tap, ())) for _, said in figures.values()) >= 8, tap
