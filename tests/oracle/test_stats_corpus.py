"""All of `sniffkit stats` against tshark's taps and capinfos.

Of each project in the corpus one capture, the clean one with most frames up to 300: tshark and the figures of one take
about a second, so that not all 403 are here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tshark_figures import Figures, differing, ours, theirs

# Named for what several frames make together, or by a dissector that sniffkit does not have: ours is of one frame each.
OF_MANY_FRAMES = {"tls", "http", "data"}
TUNNEL = "addresses and ports are those of the innermost header; tshark counts every one"
TIMELESS = "capinfos gives no duration if one frame has no time, and does not count simple packet blocks"
FRAGMENTS = "tshark counts a conversation for the first fragment of an IPv6 packet only; each fragment is a frame here"
OUTER = ("conv,eth", "conv,udp", "conv,ip", "endpoints,eth", "endpoints,udp", "endpoints,ip")
EXCEPTIONS = {
    "dpkt--nb6-http.pcap": dict.fromkeys(("conv,udp", "endpoints,udp"), TUNNEL),
    "libtrace--vxlan.pcap": dict.fromkeys(OUTER, TUNNEL),
    "packets--ipv6_fragments.pcapng": dict.fromkeys(("io,phs", "conv,ipv6", "endpoints,ipv6"), FRAGMENTS),
    "pcapng-test-generator--test202.pcapng": {"capinfos": TIMELESS},
}
CAPTURES = [
    *EXCEPTIONS,
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
    excepted = EXCEPTIONS.get(name, {})
    for tap in said:
        differ = differing(mine, tap, said)
        if tap == "io,phs":
            differ = {path: both for path, both in differ.items() if str(path).split(":")[-1] not in OF_MANY_FRAMES}
        assert not differ or tap in excepted, (tap, differ)


def test_the_figures_are_of_something(figures: dict[str, tuple[Figures, Figures]]) -> None:
    """A tap whose output could not be read would agree with everything."""
    for tap in next(iter(figures.values()))[1]:
        assert sum(len(said[tap]) for _, said in figures.values()) >= 8, tap
