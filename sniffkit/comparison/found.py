"""Frames of two captures, which is which, and which way each went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sniffkit.matching import Array
from sniffkit.matching.keys import TCP, Keys
from sniffkit.matching.pairs import found_in, kept, match, medians, runs, timed
from sniffkit.matching.rewritten import clocks_apart, link
from sniffkit.matching.sightings import Sightings, read

if TYPE_CHECKING:
    from sniffkit.api import Capture

SYN_ONLY, SYN_MASK = 0x02, 0x12
CLEAR = 1_000_000  # ns by which clocks must contradict each other to be called wrong


@dataclass
class Found:
    """Rows are positions in `seen`. a, b: pairs. flow: number of each row's flow, the same on both sides of a NAT.

    forward: sent by the flow's originator. heading: 1 from a to b, -1 from b to a, 0 not known, of every row.
    """

    seen: Sightings
    keys: Keys
    a: Array
    b: Array
    rewritten: Array
    flow: Array
    forward: Array
    heading: Array
    offset: int | None

    @property
    def delay(self) -> Array:
        """Of each pair, in ns from the point it passed first to the other."""
        import numpy as np

        time = self.seen.numbers("ts")
        apart = time[self.b] - time[self.a] - (self.offset or 0)
        return np.where(self.heading[self.a] < 0, -apart, apart)

    @property
    def timed(self) -> Array:
        """Of each pair, whether both captures have its time."""
        time = self.seen.numbers("ts")
        return (time[self.a] != -1) & (time[self.b] != -1)


def find(sources: Sequence[tuple[Capture, str | None]], window: int, filter: str | None) -> Found:
    """Read both captures and pair their packets."""
    import numpy as np

    seen = read(sources, filter)
    keys = Keys(seen)
    time, source = seen.numbers("ts"), seen.numbers("source")
    rows_a, rows_b = np.flatnonzero(source == 0), np.flatnonzero(source == 1)
    rows_a, rows_b = (rows[np.argsort(time[rows], kind="stable")] for rows in (rows_a, rows_b))
    a, b = match(keys, rows_a, rows_b, window)
    known_a, known_b = timed(keys, a, b)
    if len(known_a):
        offset = round(float(np.median(time[known_b] - time[known_a])))
    else:
        offset = clocks_apart(keys, rows_a, rows_b, window)
    # What passed with its ends as they were has lost the rest.
    free = ~np.isin(keys.talk, kept(keys.talk, np.ones(len(seen)), a, b, rows_a))
    left_a, left_b = (rows[free[rows] & ~np.isin(rows, side)] for rows, side in ((rows_a, a), (rows_b, b)))
    nat_a, nat_b = link(keys, left_a, left_b, window, offset)
    rewritten = np.arange(len(a) + len(nat_a)) >= len(a)
    a, b = np.concatenate([a, nat_a]), np.concatenate([b, nat_b])
    flow, forward = flows(keys, rows_a, rows_b, a, b)
    heading, clock = headings(keys, flow, a, b)
    seen.forget()
    return Found(seen, keys, a, b, rewritten, flow, forward, heading, clock)


def flows(keys: Keys, rows_a: Array, rows_b: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The number of each row's flow, and whether its originator sent it. rows_a, rows_b: in order of time."""
    import numpy as np

    _, flow = np.unique(np.minimum(keys.way, keys.way_back), return_inverse=True)
    # What a NAT made of a flow is that flow.
    strange = flow[a] != flow[b]
    theirs, ours = most_frequent(flow[b][strange], flow[a][strange])
    same_ends = np.isin(theirs, flow[rows_a])  # the address after the NAT talks itself, too
    known, at = found_in(theirs[~same_ends], flow[rows_b])
    flow[rows_b[known]] = ours[~same_ends][at[known]]
    forward = np.zeros(len(flow), bool)
    for rows in (rows_a, rows_b):
        forward[rows] = originator_sent(keys, flow, rows)
    # Both sides agree on who began: a says, where it has the flow.
    ways, said = most_frequent(keys.way[b], forward[a])
    for way, turned in ((keys.way_back, True), (keys.way, False)):
        known, at = found_in(ways, way[rows_b])
        forward[rows_b[known]] = said[at[known]] ^ turned
    return flow, forward


def originator_sent(keys: Keys, flow: Array, rows: Array) -> Array:
    """Of each row, whether it goes the way of its flow's first packet, of a TCP flow's first SYN where there is one."""
    import numpy as np

    flags = keys.seen.numbers("tcp_flags")[rows]
    syn = (keys.proto[rows] == TCP) & (flags >= 0) & ((flags & SYN_MASK) == SYN_ONLY)
    order = np.lexsort((np.arange(len(rows)), ~syn, flow[rows]))
    starts, _ = runs(flow[rows][order])
    first = rows[order[starts]]
    _, at = found_in(flow[first], flow[rows])
    way: Array = keys.way[rows] == keys.way[first][at] if len(rows) else np.zeros(0, bool)
    return way


def most_frequent(group: Array, value: Array) -> tuple[Array, Array]:
    """The groups, sorted, and the most frequent value of each."""
    import numpy as np

    if not len(group):
        return group, value
    order = np.lexsort((value, group))
    group, value = group[order], value[order]
    starts = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (value[1:] != value[:-1])])
    counts = np.diff(np.r_[starts, len(group)])
    group, value = group[starts], value[starts]
    order = np.lexsort((-counts, group))
    group, value = group[order], value[order]
    starts, _ = runs(group)
    return group[starts], value[starts]


def headings(keys: Keys, flow: Array, a: Array, b: Array) -> tuple[Array, int | None]:
    """Which way each row went, and how much b's clock is ahead if that can be told.

    A router on the way takes from the time to live; else the earlier sighting is the nearer one.
    """
    import numpy as np

    heading = np.zeros(len(flow), np.int64)
    if not len(a):
        return heading, None
    number = keys.seen.numbers
    way = keys.way[a]
    ways, hops = medians(way, number("ip_ttl")[b] - number("ip_ttl")[a])
    of_flow = flow[a][np.unique(way, return_index=True)[1]]
    timed_a, timed_b = timed(keys, a, b)
    timed_ways, apart = medians(keys.way[timed_a], number("ts")[timed_b] - number("ts")[timed_a])
    has_time = np.isin(ways, timed_ways)
    offset = clock_offset(of_flow[has_time], apart, hops[has_time])
    by_way = -np.sign(hops)
    by_time = has_time & (hops == 0)
    by_way[by_time] = np.sign(apart - (offset or 0))[by_time[has_time]]
    # The rest of a direction, its answers, and what else goes from stations of one side to stations of the other.
    ways_b, of_b = most_frequent(keys.way[b], by_way[found_in(ways, way)[1]] + 1)
    for known_ways, value in ((ways_b, of_b - 1), (ways, by_way)):
        for column, sign in ((keys.way_back, -1), (keys.way, 1)):
            known, at = found_in(known_ways, column)
            heading[known] = sign * value[at[known]]
    stations, sends = one_way_stations(keys, heading)
    (src_known, src), (dst_known, dst) = (found_in(stations, column) for column in (keys.src, keys.dst))
    if len(stations):
        between = (heading == 0) & src_known & dst_known & (sends[src] == -sends[dst])
        heading[between] = sends[src[between]]
    return heading, offset


def one_way_stations(keys: Keys, heading: Array) -> tuple[Array, Array]:
    """Stations all of whose packets went the same way, sorted, and which way."""
    import numpy as np

    known = (heading != 0) & (keys.src >= 0)
    told = np.unique(keys.src[known] * 2 + (heading[known] > 0))
    starts, lengths = runs(told // 2)
    told = told[starts[lengths == 1]]
    return told // 2, (told % 2) * 2 - 1


def clock_offset(flow: Array, apart: Array, hops: Array) -> int | None:
    """How much b's clock is ahead, from how much later b saw each direction: where both ways cannot be as they look.

    That is so where one way arrives before it was sent; both ways are then taken to last equally long.
    """
    import numpy as np

    to_b, to_a = apart[hops < 0], apart[hops > 0]
    if len(to_b) and len(to_a):
        low, high = float(np.median(to_a)), float(np.median(to_b))
    else:
        order = np.lexsort((apart, flow))
        starts, lengths = runs(flow[order])
        two = starts[lengths == 2]
        if not len(two):
            return None
        low, high = float(np.median(apart[order][two])), float(np.median(apart[order][two + 1]))
    if low <= CLEAR and high >= -CLEAR:
        return None
    return round((low + high) / 2)
