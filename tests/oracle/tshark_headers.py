"""The headers that tshark's taps count, one by one, and those of them that `sniffkit stats` counts.

tshark counts every header of a frame; a row of `packets` holds the innermost ones, and nothing behind a protocol that
sniffkit does not open. Where figures differ for that, both are worked out here from tshark's fields: every header must
give what tshark's taps say, and the chosen ones must give what `stats` says. So nothing is pardoned unseen.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tshark_figures import LAYERS, PORTED, UNASSEMBLED, Figures, add

ENDS = {
    "eth": ("eth.src", "eth.dst"),
    "isl": ("isl.src", "isl.dst"),
    "ip": ("ip.src", "ip.dst"),
    "ipv6": ("ipv6.src", "ipv6.dst"),
    "tcp": ("tcp.srcport", "tcp.dstport"),
    "udp": ("udp.srcport", "udp.dstport"),
}
MORE = ("ipv6.fraghdr.offset", "ipv6.routing.segleft", "ipv6.routing.src.addr", "ipv6.routing.srh.addr")
# Not opened by sniffkit, each with headers inside that tshark counts: `packets` says `data`, or names the link type.
UNOPENED = {
    *("avsp", "cmd", "macsec", "nsh"),  # Ethernet types of Arista, of Cisco's metadata; IEEE 802.1AE; RFC 8300
    *("capwap.data", "openflow", "pwethheuristic"),  # RFC 5415; a controller's packets in and out; Ethernet in MPLS
    *("6lowpan", "ipcomp", "isl", "wlan"),  # RFC 6282, RFC 3173, Cisco's trunks, IEEE 802.11
    *("fr", "ipnet", "ipoib", "juniper", "nflog", "pktap"),  # link types
}
# Headers that tshark counts only once it has read what belongs to them, and what that is.
COUNTED_LATE = {
    "ipv6": {"ipv6", "ipv6.hopopts", "ipv6.routing", "ipv6.dstopts", "ipv6.fraghdr"},  # extension headers
    "tcp": {"tcp", "mptcp"},  # options
}


class Header(NamedTuple):
    """A layer and its two ends. place: where it stands in the stack. said: what tshark takes for the second end."""

    layer: str
    place: int
    ends: tuple[str, str]
    said: str


class Frame(NamedTuple):
    """What tshark saw of a frame. gave_up: not all of the last layer was there; later: a fragment but the first."""

    length: int
    stack: list[str]
    headers: list[Header]
    gave_up: bool
    later: bool


def frames(path: Path) -> Iterator[Frame]:
    """Every frame with its headers, but for those quoted in ICMP errors. Raises ValueError where fields are missing."""
    names = [
        "frame.len",
        "frame.protocols",
        "_ws.malformed",
        "_ws.short",
        *MORE,
        *(end for two in ENDS.values() for end in two),
    ]
    fields = [part for name in names for part in ("-e", name)]
    command = ["tshark", "-n", "-r", str(path), *UNASSEMBLED, "-T", "fields", *fields]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    for line in text.splitlines():
        found = {name: value.split(",") if value else [] for name, value in zip(names, line.split("\t"), strict=True)}
        stack = found["frame.protocols"][0].split(":")
        if found["isl.src"]:
            stack[0] = "isl"  # which tshark calls eth there
        gave_up = bool(found["_ws.malformed"] or found["_ws.short"])
        later = any(int(offset) for offset in found["ipv6.fraghdr.offset"])
        yield Frame(int(found["frame.len"][0]), stack, list(headers(stack, found, gave_up)), gave_up, later)


def headers(stack: list[str], found: dict[str, list[str]], gave_up: bool) -> Iterator[Header]:
    """The headers of a frame up to the first ICMP header; what stands behind that is data or was never sent."""
    around = ("", "")
    target = ""
    for place, layer in enumerate(stack):
        if layer in ("icmp", "icmpv6"):
            return
        if layer not in ENDS:
            continue
        source, end = (found[name].pop(0) if found[name] else "" for name in ENDS[layer])
        if not (source and end):
            if gave_up and layer not in stack[place + 1 :]:
                return
            raise ValueError(f"{':'.join(stack)}: a header without fields")
        if layer in PORTED:
            yield Header(layer, place, (f"{around[0]}:{source}", f"{around[1]}:{end}"), f"{target}:{end}")
        else:
            yield Header("eth" if layer == "isl" else layer, place, (source, end), end)
        if layer in ("ip", "ipv6"):
            around, target = (source, end), end
            if stack[place + 1 : place + 2] == ["ipv6.routing"]:
                target = route_end(found) or end


def route_end(found: dict[str, list[str]]) -> str | None:
    """Where a source route ends: the last of its list (RFC 2460) or the first (RFC 8754); None if that is reached."""
    if found["ipv6.routing.segleft"] == ["0"]:
        return None
    route = found["ipv6.routing.src.addr"] or found["ipv6.routing.srh.addr"][::-1]
    return route[-1] if route else None


def counted_by_tshark(frame: Frame) -> Iterator[Header]:
    """Every header, but for one inside of which tshark gave up, and IPv6 headers of later fragments.

    A transport's second end is at the end of the source route, as for its checksum (RFC 8200, 8.1); `ip_dst` is what
    the header says.
    """
    for header in frame.headers:
        late = COUNTED_LATE.get(header.layer, set())
        inside = {*frame.stack[header.place :]} <= late
        if (frame.gave_up and inside) or (frame.later and "ipv6.fraghdr" in late):
            continue
        yield header._replace(ends=(header.ends[0], header.said))


def counted_by_stats(frame: Frame) -> Iterator[Header]:
    """The innermost Ethernet header, the outermost and the innermost IP header, the ports of the latter."""
    end = next((place for place, layer in enumerate(frame.stack) if layer in UNOPENED), len(frame.stack))
    opened = [header for header in frame.headers if header.place <= end]
    network = [header for header in opened if header.layer in ("ip", "ipv6")]
    yield from [header for header in opened if header.layer == "eth"][-1:]
    yield from network[:1]
    yield from network[1:][-1:]
    yield from [header for header in opened if header.layer in PORTED and header.place > network[-1].place][-1:]


def figures(seen: Iterable[Frame], counted: Callable[[Frame], Iterator[Header]]) -> Figures:
    """Conversations and endpoints of the headers that `counted` names."""
    found: Figures = {f"{tap},{layer}": {} for tap in ("conv", "endpoints") for layer in LAYERS}
    for frame in seen:
        for header in counted(frame):
            add(found[f"conv,{header.layer}"], *header.ends, (1, frame.length), (0, 0))
            for end, sent in zip(header.ends, (1, 0), strict=True):
                more = (1, frame.length, sent, sent * frame.length, 1 - sent, (1 - sent) * frame.length)
                known = found[f"endpoints,{header.layer}"].setdefault(end, (0,) * len(more))
                assert isinstance(known, tuple)
                found[f"endpoints,{header.layer}"][end] = tuple(map(sum, zip(known, more, strict=True)))
    return found
