"""What the kernel knows of neighbours: its ARP and ND tables and its default routes, as a start for `arp --live`."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

from sniffkit.netlink import SIX_BYTES, name_of, run_in
from sniffkit.points import point

# linux/neighbour.h: an entry with an address that the kernel uses. Others are unanswered, failed or need none.
NUD_USED = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent
# (netns, interface, vlans, vni, ip, stations, which is current, is it a router's): see `_core.open_table`
Known = tuple[str | None, str | None, list[int], int | None, str, list[tuple[str, int, int]], int, bool]


def known(names: Sequence[str], points: Sequence[str], netns: str | None) -> list[Known]:
    """An entry for each neighbour and each default gateway of capture points.

    names: the points as the capture calls them; points: as the user does, in `netns` if they do not say.
    """
    found: list[Known] = []
    read: dict[str | None, list[tuple[str, str, str | None, bool]]] = {}
    for name, text in zip(names, points, strict=True):
        namespace, interface = point(text, netns)
        if namespace not in read:
            read[namespace] = run_in(namespace, entries)
        label = name.rpartition("/")[0] or None
        for of_interface, ip, mac, gateway in read[namespace]:
            if interface in (of_interface, "any"):
                now = time.time_ns()
                found.append((label, interface, [], None, ip, [(mac, now, now)] if mac else [], 0, gateway))
    return found


def entries() -> list[tuple[str, str, str | None, bool]]:
    """(interface, address, hardware address if there is one, is it a default gateway) in this thread's namespace."""
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        links = list(ip.get_links())
        families = (socket.AF_INET, socket.AF_INET6)
        routes = [one for family in families for one in ip.get_routes(family=family) if one["dst_len"] == 0]
        neighbours = [one for family in families for one in ip.get_neighbours(family=family)]
    names = {one["index"]: name_of(one) for one in links}
    with_macs = {one["index"] for one in links if one["ifi_type"] in SIX_BYTES}  # a tunnel's neighbour is at an address
    gateways = {hop for route in routes for hop in next_hops(route)}
    macs = {
        (one["ifindex"], one.get_attr("NDA_DST")): one.get_attr("NDA_LLADDR")
        for one in neighbours
        if one["state"] & NUD_USED and one["ifindex"] in with_macs and len(one.get_attr("NDA_LLADDR") or "") == 17
    }
    return [
        (names[index], address, macs.get((index, address)), (index, address) in gateways)
        for index, address in sorted(macs.keys() | gateways)
        if index in names
    ]


def next_hops(route: Any) -> list[tuple[int, str]]:
    """(interface index, gateway) of a route, those of a multipath route among them."""
    hops = []
    for one in (route, *(route.get_attr("RTA_MULTIPATH") or ())):
        via = one.get_attr("RTA_VIA")  # a gateway of the other family (RFC 8950)
        address = one.get_attr("RTA_GATEWAY") or (via or {}).get("addr")
        index = one.get_attr("RTA_OIF") if one is route else one["oif"]
        if address and index:
            hops.append((index, address))
    return hops


def start_from(kept: list[Any], kernel: list[Known]) -> tuple[list[Any], list[str]]:
    """What is known at the start: `kept` from earlier runs, and what the kernel adds; in words where they differ."""

    def key(one: Any) -> tuple[Any, ...]:
        return (one[0], one[1], tuple(one[2]), one[3], one[4])

    merged = {key(one): tuple(one) for one in kept}
    differing = []
    for one in kernel:
        before = merged.get(key(one))
        if before is None:
            merged[key(one)] = one
            continue
        netns, interface, vlans, vni, ip, stations, current, gateway = before
        merged[key(one)] = (netns, interface, vlans, vni, ip, stations, current, gateway or one[7])
        if one[5] and stations and stations[current][0] != one[5][0][0]:
            place = "/".join(part for part in (netns, interface) if part)
            differing.append(f"{place}: {ip} is at {one[5][0][0]} in the kernel's table, was at {stations[current][0]}")
    return list(merged.values()), differing
