"""All of `sniffkit stats` against tshark's taps and capinfos.

Of each project in the corpus one capture, the clean one with most frames up to 300: tshark and the figures of one take
about a second. With SNIFFKIT_WHOLE_CORPUS=1 all clean captures are compared, which takes some minutes.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from setting import SHARED
from tshark_figures import Figures, differing, ours, theirs

# Named for what several frames make together, or by a dissector that sniffkit does not have: ours is of one frame each.
OF_MANY_FRAMES = {"tls", "http", "data"}
TUNNEL = "addresses and ports are those of the innermost header; tshark counts every one"
TIMELESS = "capinfos gives no duration if one frame has no time, and does not count simple packet blocks"
FRAGMENTS = "tshark counts what fragments make together for one of them; each fragment is a frame here"
UNDECODED = "the addresses are inside a protocol that sniffkit does not decode (PPI, CAPWAP, IPComp, 6LoWPAN, MPLS)"
BROKEN = "IPv6 extension headers that the frame does not hold: tshark counts no address of such a packet"
HUGE = "a length or a fraction of a second beyond 32 bits: tshark's sums overflow"
CONV = {name: (f"conv,{name}", f"endpoints,{name}") for name in ("eth", "ip", "ipv6", "tcp", "udp")}
UDP, ETH_UDP, IP_TCP = CONV["udp"], (*CONV["eth"], *CONV["udp"]), (*CONV["ip"], *CONV["tcp"])
NO_TIMES = (11, 12, 16, 17, 18, 100, 101, 102, 201, 202)
EXCEPTIONS: dict[str, dict[str, str]] = {
    "dpkt--nb6-http.pcap": dict.fromkeys(UDP, TUNNEL),
    "libpcap--geneve.pcap": dict.fromkeys(ETH_UDP, TUNNEL),
    "libtrace--vxlan.pcap": dict.fromkeys(ETH_UDP, TUNNEL),
    "ndpi--http_origin_different_than_host.pcap": dict.fromkeys(UDP, TUNNEL),
    "ndpi--rtmp.pcap": dict.fromkeys(UDP, TUNNEL),
    "ndpi--tls_change_cipher.pcap": dict.fromkeys(UDP, TUNNEL),
    "packetnet--gre_custom_protocol.pcap": dict.fromkeys(CONV["eth"], TUNNEL),
    "packetnet--vxlan.pcap": dict.fromkeys(ETH_UDP, TUNNEL),
    "pcap-parser--wireshark_samples-test.pcapng": dict.fromkeys(UDP, TUNNEL),
    "libpcap--AH-IPcomp-IPv4.pcap": dict.fromkeys(IP_TCP, UNDECODED),
    "libpcap--http_PPI.pcap": dict.fromkeys((*IP_TCP, *UDP), UNDECODED),
    "ndpi--capwap_data.pcapng": dict.fromkeys(IP_TCP, UNDECODED),
    "tcpdump--802_15_4-data.pcap": dict.fromkeys(CONV["ipv6"], UNDECODED),
    "tcpreplay--test.replay_include.pcap": dict.fromkeys((*CONV["eth"], *CONV["ip"]), UNDECODED),
    "dnscap--dnsotcp-manyopkts.pcap": {"io,phs": FRAGMENTS},
    "ndpi--anyconnect-vpn.pcap": {"io,phs": FRAGMENTS},
    "packets--ipv6_fragments.pcapng": dict.fromkeys(("io,phs", *CONV["ipv6"]), FRAGMENTS),
    "ndpi--fuzz-2021-06-07-c6c72a0a56.pcap": dict.fromkeys((*ETH_UDP, *CONV["ip"]), HUGE),
    "tcpflow--bug8.pcap": {"capinfos": HUGE},
    **{
        f"tcpdump--{name}.pcap": dict.fromkeys(CONV["ipv6"], BROKEN)
        for name in ("ip6_frag_asan", "ipv6-next-header-oobr-1", "ipv6-next-header-oobr-2", "ipv6-rthdr-oobr")
    },
    **{f"pcapng-test-generator--test{number:03}.pcapng": {"capinfos": TIMELESS} for number in NO_TIMES},
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
        return {path.name: (ours(path), other) for path, other in zip(paths, said, strict=True)}


@pytest.mark.parametrize("name", CAPTURES)
def test_figures_are_those_of_tshark(name: str, figures: dict[str, tuple[Figures, Figures]]) -> None:
    mine, said = figures[name]
    assert mine.keys() == said.keys()
    # The same capture in the other byte order has a hash before its name.
    excepted = EXCEPTIONS.get(re.sub(r"^[0-9a-f]{6}-", "", name), {})
    for tap in said:
        differ = differing(mine, tap, said)
        if tap == "io,phs":
            differ = {path: both for path, both in differ.items() if str(path).split(":")[-1] not in OF_MANY_FRAMES}
        assert not differ or tap in excepted, (tap, differ)


def test_the_figures_are_of_something(figures: dict[str, tuple[Figures, Figures]]) -> None:
    """A tap whose output could not be read would agree with everything."""
    for tap in next(iter(figures.values()))[1]:
        assert sum(len(said[tap]) for _, said in figures.values()) >= 8, tap
