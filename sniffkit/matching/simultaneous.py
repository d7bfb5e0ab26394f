"""Sightings of one packet at one time, in the order of its way.

The kernel stamps a frame that comes in once: the interface, its bridge and the VLAN or tunnel above have the same time.
Other clocks are coarser than a hop is long.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sniffkit.errors import SniffkitError
from sniffkit.matching import Array

if TYPE_CHECKING:
    from sniffkit.matching.sightings import Sightings

NO_WAY, IN, OUT = range(3)
WAYS, TTLS, POINTS = 3, 257, 64  # how many of each a code tells apart; of layers, what is left
HIGHEST = 8  # interfaces on each other


class Place(NamedTuple):
    """A capture point. height: how much stands below it; peer: the other end of its cable. 0 and None: not known."""

    netns: tuple[str | None, int]
    height: int = 0
    peer: int | None = None


class Sighting(NamedTuple):
    """point: its number. layers: how many headers are around the packet. ttl: -1 where there is none."""

    point: int
    way: int
    ttl: int
    layers: int


def settle(seen: Sightings, point: Array, packet: Array, order: Array, inputs: Sequence[object]) -> Array:
    """`order`, which is by packet and time, with those of one time in the order of the packet's way."""
    import numpy as np

    time = seen.numbers("ts")[order]
    number = packet[order]
    same = (number[1:] == number[:-1]) & (time[1:] == time[:-1]) & (time[1:] != -1)
    if not same.any():
        return order
    edges = np.flatnonzero(np.diff(np.r_[False, same, False].astype(np.int8)))
    sizes = (edges[1::2] - edges[::2] + 1).tolist()
    at = np.flatnonzero(np.r_[False, same] | np.r_[same, False])
    rows = order[at]
    codes = coded(seen, point[rows], rows).tolist()
    where = places(seen, point, inputs)
    known: dict[tuple[int, ...], list[int]] = {}
    ways: list[int] = []
    for size in sizes:
        group = tuple(codes[len(ways) : len(ways) + size])
        if group not in known:
            known[group] = along([sighting(code) for code in group], where)
        begin = len(ways)
        ways += [begin + one for one in known[group]]
    out = order.copy()
    out[at] = rows[np.array(ways)]
    return out


def coded(seen: Sightings, point: Array, rows: Array) -> Array:
    """Of each row, all that its order depends on as one number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from sniffkit.matching.sightings import as_numbers

    table = seen.table.select(["direction", "ip_ttl", "protocols"]).take(pa.array(rows))
    direction = table["direction"].cast(pa.string())
    way = as_numbers(pc.index_in(direction, pa.array(["in", "out"]))) + 1
    layers = as_numbers(pc.count_substring(table["protocols"].cast(pa.string()), ":"))
    return ((layers * TTLS + as_numbers(table["ip_ttl"]) + 1) * WAYS + way) * POINTS + point


def sighting(code: int) -> Sighting:
    """What `coded` made a number of."""
    code, point = divmod(code, POINTS)
    code, way = divmod(code, WAYS)
    layers, ttl = divmod(code, TTLS)
    return Sighting(point, way, ttl - 1, layers)


def along(seen: Sequence[Sighting], where: Sequence[Place]) -> list[int]:
    """The positions of one packet's sightings at one time, in the order of its way.

    Routers count its TTL down. A namespace is entered before it is left, a cable the other way round. What comes in
    loses its outer headers from the interface upwards, what goes out gets them on its way down.
    """
    waits = [{at for at, one in enumerate(seen) if comes_before(one, other, where)} for other in seen]
    left = set(range(len(seen)))
    out: list[int] = []
    while left:
        leaving = {where[seen[at].point].netns for at in left if seen[at].way == OUT}

        def rank(at: int, leaving: set[tuple[str | None, int]] = leaving) -> tuple[int, ...]:
            one = seen[at]
            place = where[one.point]
            if one.way == NO_WAY:
                return (-one.ttl, 1, 0, 0, at)
            if one.way == OUT:
                return (-one.ttl, 0, one.layers, -place.height, at)
            return (-one.ttl, 1 if place.netns in leaving else 2, -one.layers, place.height, at)

        at = min([at for at in left if not waits[at] & left] or left, key=rank)
        left.remove(at)
        out.append(at)
    return out


def comes_before(one: Sighting, other: Sighting, where: Sequence[Place]) -> bool:
    """Whether a packet that both have was at `one` first, for certain."""
    here, there = where[one.point], where[other.point]
    if one.way == OUT and other.way == IN:
        return here.peer == other.point
    through = one.way == IN and other.way == OUT and here.netns == there.netns
    return through and one.ttl >= other.ttl and there.peer != one.point


def places(seen: Sightings, point: Array, inputs: Sequence[object]) -> list[Place]:
    """The capture points by their numbers, with what the labs that the captures carry say of them."""
    import numpy as np

    _, first = np.unique(point, return_index=True)
    found = seen.table.select(["netns", "interface", "source"]).take(first)
    rows = [tuple(row.values()) for row in found.to_pylist()]
    number = {(netns, interface): at for at, (netns, interface, _) in enumerate(rows)}
    peers: dict[int, int] = {}
    heights: dict[int, int] = {}
    for path in inputs:
        if isinstance(path, (str, os.PathLike)):
            cables, levels = topology(os.fspath(path))
            peers |= {number[one]: number[other] for one, other in cables.items() if one in number and other in number}
            heights |= {number[one]: level for one, level in levels.items() if one in number}
    return [
        Place((netns, -1 if netns is not None else source), heights.get(at, 0), peers.get(at))
        for at, (netns, _, source) in enumerate(rows)
    ]


End = tuple[str | None, str]


def topology(path: str) -> tuple[dict[End, End], dict[End, int]]:
    """Of the lab that a capture carries: which ends cables join, and how much stands below each interface."""
    from sniffkit.lab.model import HOST, Point
    from sniffkit.lab.report import of_capture

    try:
        lab = of_capture(path)
    except (SniffkitError, OSError):
        return {}, {}

    def end(one: Point) -> End:
        return (None if one[0] == HOST else one[0], one[1])

    below: dict[Point, list[Point]] = {}
    for one in lab.interfaces.values():
        if one.parent is not None:
            below.setdefault(one.point, []).append(one.parent)
        if one.bridge is not None:
            below.setdefault((one.node, one.bridge), []).append(one.point)

    heights = dict.fromkeys(lab.interfaces, 0)
    for _ in range(HIGHEST):
        heights |= {one: max(1 + heights[under] for under in stands_on) for one, stands_on in below.items()}
    cables = {end(one.point): end(one.peer) for one in lab.interfaces.values() if one.peer is not None}
    return cables, {end(one): height for one, height in heights.items()}
