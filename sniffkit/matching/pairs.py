"""Which rows of one side are which of another: by all that stays the same, then by time, then through a NAT."""

from __future__ import annotations

from dataclasses import dataclass

from sniffkit.matching import Array
from sniffkit.matching.keys import TCP, Keys, numbered_ways
from sniffkit.matching.nearest import empty, in_order, mutual, nearest, only_ones

# Packets that nothing but time tells apart are the same when no further apart than this (ns), or than the packets that
# are known to be the same are from each other, with SLACK.
WINDOW = 1_000_000_000
SLACK = 20_000_000
ENOUGH = 8  # so many pairs of a direction tell how much its delay varies
PART = 8  # a value that one in so many packets has on both sides is not the same by chance
FEW = 3  # so many packets that fit each other make a difference of clocks credible


def match(
    keys: Keys, rows_a: Array, rows_b: Array, window: int = WINDOW, clocks_agree: bool = False
) -> tuple[Array, Array]:
    """Pairs of rows with the same ends: positions in the sightings. rows_a, rows_b: what to pair, in order of time.

    clocks_agree: where nothing tells by how much the sides' times differ, none is guessed.
    """
    import numpy as np

    whole = keys.same()
    left = Left(keys, rows_a, rows_b)
    left.take(*sure(keys, whole, rows_a, rows_b, window))
    if left.found:
        shift = Shifts.of(keys, *left.pairs(), window)
    else:
        shift = Shifts.none(keys, window) if clocks_agree else guessed(keys, rows_a, rows_b, window)
    left.nearest(whole, shift)
    # Without a time there is only the order.
    for one, other in ((left.timeless, left.all), (left.all, left.timeless)):
        left.in_order(whole, one, other)
    if not left.both():
        return left.pairs()
    # The checksum was written anew: a network card's work, an option, a payload.
    number = keys.seen.numbers("ip_id")
    numbered = number > 0
    left.nearest(keys.same(checksum=False), shift, numbered, numbered)
    if not left.both():
        return left.pairs()
    # The identification was, as far as others of that direction do not speak against it.
    a, b = left.pairs()
    left.leave(numbered & np.isin(keys.way, kept(keys.way, number, a, b, rows_a)))
    left.nearest(keys.same(ident=False), shift, keys.checksum >= 0, keys.checksum >= 0)
    # Both, or there is no checksum. TCP's numbers tell as much, but in repeated segments; a SYN's options change (MSS).
    syn = (keys.seen.numbers("tcp_flags") & 0x02) > 0
    summed = np.isin(keys.way, kept(keys.way, keys.checksum + 1, a, b, rows_a))
    free = (keys.checksum < 0) | ((keys.proto == TCP) & (syn | ~summed))
    plain = keys.same(ident=False, checksum=False)
    for one, other in ((free, left.all), (left.all, free)):
        left.nearest(plain, shift, one, other)
    return left.pairs()


class Left:
    """Rows of both sides that have no partner yet, and the pairs so far. Masks are of all sightings."""

    def __init__(self, keys: Keys, rows_a: Array, rows_b: Array) -> None:
        import numpy as np

        self.time = keys.seen.numbers("ts")
        self.all, self.timeless = np.ones(len(self.time), bool), self.time == -1
        self.rows_a, self.rows_b = rows_a, rows_b
        self.found: list[tuple[Array, Array]] = []

    def both(self) -> bool:
        """Whether both sides have rows left."""
        return len(self.rows_a) > 0 and len(self.rows_b) > 0

    def pairs(self) -> tuple[Array, Array]:
        """Those found so far."""
        import numpy as np

        none = np.zeros(0, np.int64)
        return np.concatenate([none, *(a for a, _ in self.found)]), np.concatenate([none, *(b for _, b in self.found)])

    def take(self, a: Array, b: Array) -> None:
        """a and b (rows) are pairs."""
        import numpy as np

        if len(a):
            self.found.append((a, b))
            self.rows_a = self.rows_a[np.isin(self.rows_a, a, invert=True)]
            self.rows_b = self.rows_b[np.isin(self.rows_b, b, invert=True)]

    def leave(self, mask: Array) -> None:
        """These rows get no partner."""
        self.rows_a, self.rows_b = self.rows_a[~mask[self.rows_a]], self.rows_b[~mask[self.rows_b]]

    def nearest(self, key: Array, shift: Shifts, of_a: Array | None = None, of_b: Array | None = None) -> None:
        """Pair rows of these masks that have the same key, by time."""
        a, b = self._of(of_a, of_b)
        if len(a) and len(b):
            offset, slack = shift.at(a)
            at_a, at_b = nearest(key[a], self.time[a] + offset, key[b], self.time[b], slack, slack)
            self.take(a[at_a], b[at_b])

    def in_order(self, key: Array, of_a: Array, of_b: Array) -> None:
        """Pair the first of a key with the first, the second with the second."""
        a, b = self._of(of_a, of_b)
        if len(a) and len(b):
            at_a, at_b = in_order(key[a], key[b])
            self.take(a[at_a], b[at_b])

    def _of(self, of_a: Array | None, of_b: Array | None) -> tuple[Array, Array]:
        a, b = self.rows_a, self.rows_b
        return a if of_a is None else a[of_a[a]], b if of_b is None else b[of_b[b]]


def kept(way: Array, value: Array, a: Array, b: Array, rows: Array) -> Array:
    """The directions of which at least one in PART of `rows` has a partner with the same value (above 0)."""
    import numpy as np

    same = (value[a] > 0) & (value[a] == value[b])
    ways, count = np.unique(way[a[same]], return_counts=True)
    known, size = np.unique(way[rows], return_counts=True)
    return ways[count * PART >= size[found_in(known, ways)[1]]]


def sure(keys: Keys, whole: Array, rows_a: Array, rows_b: Array, window: int) -> tuple[Array, Array]:
    """Pairs that are the same whatever the time: what tells them apart is on each side once.

    A checksum alone tells less: the same message may be sent again. Such pairs must fit the others in time.
    """
    import numpy as np

    tells = keys.tells_with_checksum()
    mine_a, mine_b = rows_a[tells[rows_a]], rows_b[tells[rows_b]]
    at_a, at_b = only_ones(whole[mine_a], whole[mine_b])
    a, b = mine_a[at_a], mine_b[at_b]
    if not len(a):
        return empty()
    time, strong = keys.seen.numbers("ts"), keys.tells()[a]
    apart = time[b] - time[a]
    middle = np.median(apart[strong]) if strong.any() else np.median(apart)
    fits = strong | (np.abs(apart - middle) <= window)
    return a[fits], b[fits]


@dataclass
class Shifts:
    """How much later b saw what a saw: the median by direction of a flow, else by hosts, by sender, of all."""

    keys: Keys
    levels: list[tuple[Array, Array, Array]]  # what it is by, values of that, medians
    all: int
    spread: tuple[Array, Array]  # directions with ENOUGH pairs, how far theirs are apart
    reach: int  # how far from that a pair may be at most

    @classmethod
    def none(cls, keys: Keys, reach: int) -> Shifts:
        """Both sides' times as they are."""
        import numpy as np

        return cls(keys, [], 0, (np.zeros(0, np.uint64), np.zeros(0, np.int64)), reach)

    @classmethod
    def of(cls, keys: Keys, a: Array, b: Array, reach: int) -> Shifts:
        """From pairs that are known, and have a time."""
        import numpy as np

        a, b = timed(keys, a, b)
        if not len(a):
            return cls.none(keys, reach)
        apart = keys.seen.numbers("ts")[b] - keys.seen.numbers("ts")[a]
        levels = [(by, *medians(by[a], apart)) for by in (keys.way, keys.hosts, keys.src)]
        ways, least, most, count = extremes(keys.way[a], apart)
        many = count >= ENOUGH
        return cls(keys, levels, int(np.median(apart)), (ways[many], (most - least)[many]), reach)

    def at(self, rows: Array) -> tuple[Array, Array]:
        """Of each row: how much later it should be, and by how much that may be wrong."""
        import numpy as np

        offset = np.full(len(rows), self.all, np.int64)
        for by, values, middle in reversed(self.levels):
            known, at = found_in(values, by[rows])
            offset[known] = middle[at[known]]
        slack = np.full(len(rows), self.reach, np.int64)
        known, at = found_in(self.spread[0], self.keys.way[rows])
        slack[known] = np.minimum(2 * self.spread[1][at[known]] + SLACK, self.reach)
        return offset, slack


def guessed(keys: Keys, rows_a: Array, rows_b: Array, window: int) -> Shifts:
    """Shifts where nothing tells packets apart: none, unless by another one clearly more of them fit closely.

    That one is as if those that both sides have equally often were in order.
    """
    import numpy as np

    plain, time = keys.same(ident=False, checksum=False), keys.seen.numbers("ts")
    a, b = numbered_ways(plain, rows_a), numbered_ways(plain, rows_b)
    at_a, at_b = only_ones(a, b)  # keys that are equally often on both sides
    if not len(at_a):
        at_a, at_b = in_order(plain[rows_a], plain[rows_b])
    a, b = timed(keys, rows_a[at_a], rows_b[at_b])
    offset = int(np.median(time[b] - time[a])) if len(a) else 0
    none = Shifts.none(keys, window)
    if offset == 0:
        return none

    def fitting(offset: int) -> tuple[Array, Array]:
        at_a, at_b = mutual(plain[rows_a], time[rows_a] + offset, plain[rows_b], time[rows_b])
        apart = time[rows_b[at_b]] - time[rows_a[at_a]] - offset
        near = np.abs(apart) <= window
        close = near & (np.abs(apart - (np.median(apart[near]) if near.any() else 0)) <= SLACK)
        return rows_a[at_a[close]], rows_b[at_b[close]]

    a, b = fitting(offset)
    if len(a) < FEW or 4 * len(a) <= 5 * len(fitting(0)[0]):
        return none
    # No pair is further apart than the window, but for what delays vary by.
    reach = window if abs(offset) > window else max(window - abs(offset), min(window, SLACK))
    shifts = Shifts.of(keys, a, b, reach)
    shifts.spread = none.spread
    return shifts


def timed(keys: Keys, a: Array, b: Array) -> tuple[Array, Array]:
    """The pairs of which both rows have a time."""
    time = keys.seen.numbers("ts")
    both = (time[a] != -1) & (time[b] != -1)
    return a[both], b[both]


def medians(group: Array, values: Array) -> tuple[Array, Array]:
    """The groups, sorted, and the lower median of each one's values."""
    import numpy as np

    order = np.lexsort((values, group))
    group, values = group[order], values[order]
    starts, lengths = runs(group)
    return group[starts], values[starts + (lengths - 1) // 2]


def extremes(group: Array, values: Array) -> tuple[Array, Array, Array, Array]:
    """The groups, sorted, with the smallest and largest of each one's values, and how many."""
    import numpy as np

    order = np.lexsort((values, group))
    group, values = group[order], values[order]
    starts, lengths = runs(group)
    return group[starts], values[starts], values[starts + lengths - 1], lengths


def runs(ordered: Array) -> tuple[Array, Array]:
    """Where each run of equal values begins, and how long it is."""
    import numpy as np

    if not len(ordered):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return starts, np.diff(np.r_[starts, len(ordered)])


def found_in(values: Array, wanted: Array) -> tuple[Array, Array]:
    """Whether each of `wanted` is among the sorted `values`, and where."""
    import numpy as np

    if not len(values):
        return np.zeros(len(wanted), bool), np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return values[at] == wanted, at
