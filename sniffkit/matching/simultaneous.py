"""Sightings of one packet at one time, in the order of its way.

The kernel stamps a frame that comes in once: the interface, its bridge and the VLAN or tunnel above have the same time.
Other clocks are coarser than a hop is long.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

from sniffkit.errors import SniffkitError
from sniffkit.matching import Array

if TYPE_CHECKING:
    from sniffkit.matching.sightings import Sightings

NO_WAY, IN, OUT = range(3)
WAYS, POINTS = 3, 64  # how many of each a code tells apart: no point sees a packet twice


class Place(NamedTuple):
    """A capture point. below: the points that it stands on; peer: the other end of its cable. As far as known."""

    netns: tuple[str | None, int]
    below: frozenset[int] = frozenset()
    peer: int | None = None


class Sighting(NamedTuple):
    """point: its number. ttl, layers (headers around the packet): their ranks among the sightings of its time."""

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
    codes = coded(seen, point[rows], rows, np.repeat(np.arange(len(sizes)), sizes)).tolist()
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


def coded(seen: Sightings, point: Array, rows: Array, group: Array) -> Array:
    """Of each row, all that its order in its group depends on as one number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from sniffkit.matching.sightings import as_numbers

    table = seen.table.select(["direction", "ip_ttl", "protocols"]).take(pa.array(rows))
    direction = table["direction"].cast(pa.string())
    way = as_numbers(pc.index_in(direction, pa.array(["in", "out"]))) + 1
    layers = ranked(group, as_numbers(pc.count_substring(table["protocols"].cast(pa.string()), ":")))
    return ((layers * POINTS + ranked(group, as_numbers(table["ip_ttl"]))) * WAYS + way) * POINTS + point


def ranked(group: Array, value: Array) -> Array:
    """Of each value, its rank in its group, from 0: in ranks few groups differ, and only those that do take time."""
    import numpy as np

    order = np.lexsort((value, group))
    begins = np.r_[True, np.diff(group[order]) != 0]
    count = np.cumsum(begins | np.r_[True, np.diff(value[order]) != 0])
    out = np.empty(len(order), np.int64)
    out[order] = count - np.maximum.accumulate(np.where(begins, count, 0))
    return out


def sighting(code: int) -> Sighting:
    """What `coded` made a number of."""
    code, point = divmod(code, POINTS)
    code, way = divmod(code, WAYS)
    layers, ttl = divmod(code, POINTS)
    return Sighting(point, way, ttl, layers)


def along(seen: Sequence[Sighting], where: Sequence[Place]) -> list[int]:
    """The positions of one packet's sightings at one time, in the order of its way.

    Routers count its TTL down. A namespace is entered before it is left, a cable the other way round. What comes in
    goes upwards through the interfaces that stand on each other, what goes out downwards. Where nothing tells which do,
    the outer headers do: lost on the way up, got on the way down.
    """
    waits = [{at for at, one in enumerate(seen) if comes_before(one, other, where)} for other in seen]
    left = set(range(len(seen)))
    out: list[int] = []
    while left:
        leaving = {where[seen[at].point].netns for at in left if seen[at].way == OUT}

        def rank(at: int, leaving: set[tuple[str | None, int]] = leaving) -> tuple[int, ...]:
            one = seen[at]
            if one.way == NO_WAY:
                return (-one.ttl, 1, 0, at)
            if one.way == OUT:
                return (-one.ttl, 0, one.layers, at)
            return (-one.ttl, 1 if where[one.point].netns in leaving else 2, -one.layers, at)

        at = min([at for at in left if not waits[at] & left] or left, key=rank)
        left.remove(at)
        out.append(at)
    return out


def comes_before(one: Sighting, other: Sighting, where: Sequence[Place]) -> bool:
    """Whether a packet that both have was at `one` first, for certain."""
    here, there = where[one.point], where[other.point]
    if one.way == OUT and other.way == IN:
        return here.peer == other.point
    if one.ttl < other.ttl:
        return False
    if one.way == other.way:
        return one.point in there.below if one.way == IN else one.way == OUT and other.point in here.below
    return one.way == IN and other.way == OUT and here.netns == there.netns and there.peer != one.point


def places(seen: Sightings, point: Array, inputs: Sequence[object]) -> list[Place]:
    """The capture points by their numbers, with what the labs that the captures carry say of them."""
    import numpy as np

    _, first = np.unique(point, return_index=True)
    found = seen.table.select(["netns", "interface", "source"]).take(first)
    rows = [tuple(row.values()) for row in found.to_pylist()]
    # Files without namespaces are of one machine, but for those that have points of their own.
    named = Counter((netns, interface) for netns, interface, _ in rows)
    alone = {file for netns, name, file in rows if netns is None and (name is None or named[netns, name] > 1)}
    peers: dict[int, int] = {}
    below: dict[int, frozenset[int]] = {}
    for source, path in enumerate(inputs):
        if isinstance(path, (str, os.PathLike)):
            number = {
                (netns, name): at
                for at, (netns, name, file) in enumerate(rows)
                if file == source or named[netns, name] == 1
            }
            cables, stands = topology(os.fspath(path), number.keys())
            peers |= {number[one]: number[other] for one, other in cables.items()}
            below |= {number[one]: frozenset(number[under] for under in all_under) for one, all_under in stands.items()}
    return [
        Place((netns, file if netns is None and file in alone else -1), below.get(at, frozenset()), peers.get(at))
        for at, (netns, _, file) in enumerate(rows)
    ]


End = tuple[str | None, str]


def topology(path: str, seen: Set[End]) -> tuple[dict[End, End], dict[End, set[End]]]:
    """Of the lab that a capture carries: which of these ends cables join, and which of them each stands on."""
    from sniffkit.lab.model import HOST, Point
    from sniffkit.lab.report import of_capture

    try:
        lab = of_capture(path)
    except (SniffkitError, OSError):
        return {}, {}

    def end(one: Point) -> End:
        return (None if one[0] == HOST else one[0], one[1])

    under: dict[End, set[End]] = {}
    for one in lab.interfaces.values():
        if one.parent is not None:
            under.setdefault(end(one.point), set()).add(end(one.parent))
        if one.bridge is not None:
            under.setdefault(end((one.node, one.bridge)), set()).add(end(one.point))

    cables = {end(one.point): end(one.peer) for one in lab.interfaces.values() if one.peer is not None}
    joined = {one: other for one, other in cables.items() if one in seen and other in seen}
    return joined, {one: reached(one, under) & seen for one in under if one in seen}


def reached(one: End, under: dict[End, set[End]]) -> set[End]:
    """All that an interface stands on, also through others."""
    out: set[End] = set()
    left = [one]
    while left:
        new = under.get(left.pop(), set()) - out - {one}
        out |= new
        left += new
    return out
