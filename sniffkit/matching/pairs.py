"""Which rows of one side are which of another: by all that stays the same, then by time, then through a NAT."""

from __future__ import annotations

from dataclasses import dataclass

from sniffkit.matching import Array
from sniffkit.matching.keys import Keys, numbered_ways
from sniffkit.matching.nearest import empty, in_order, nearest, only_ones, rest

# Packets that nothing but time tells apart are the same when no further apart than this (ns), or than the packets that
# are known to be the same are from each other, with SLACK.
WINDOW = 1_000_000_000
SLACK = 20_000_000
ENOUGH = 8  # so many pairs of a direction tell how much its delay varies


def match(keys: Keys, rows_a: Array, rows_b: Array, window: int = WINDOW) -> tuple[Array, Array]:
    """Pairs of rows with the same ends: positions in the sightings. rows_a, rows_b: what to pair, in order of time."""
    import numpy as np

    time = keys.seen.numbers("ts")
    whole, plain = keys.whole(), keys.plain()
    sure_a, sure_b = sure(keys, whole, rows_a, rows_b, window)
    shift = Shifts.of(keys, sure_a, sure_b) if len(sure_a) else guessed(keys, plain, rows_a, rows_b)
    found = [(sure_a, sure_b)]
    rows_a, rows_b = np.setdiff1d(rows_a, sure_a), np.setdiff1d(rows_b, sure_b)
    for key in (whole, plain):
        offset, slack = shift.at(rows_a, window)
        at_a, at_b = nearest(key[rows_a], time[rows_a] + offset, key[rows_b], time[rows_b], slack, slack)
        found.append((rows_a[at_a], rows_b[at_b]))
        rows_a, rows_b = rows_a[rest(len(rows_a), at_a)], rows_b[rest(len(rows_b), at_b)]
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


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

    @classmethod
    def of(cls, keys: Keys, a: Array, b: Array) -> Shifts:
        """From pairs that are known."""
        import numpy as np

        apart = keys.seen.numbers("ts")[b] - keys.seen.numbers("ts")[a]
        levels = [(by, *medians(by[a], apart)) for by in (keys.way, keys.hosts, keys.src)]
        ways, least, most, count = extremes(keys.way[a], apart)
        many = count >= ENOUGH
        return cls(keys, levels, int(np.median(apart)), (ways[many], (most - least)[many]))

    def at(self, rows: Array, window: int) -> tuple[Array, Array]:
        """Of each row: how much later it should be, and by how much that may be wrong."""
        import numpy as np

        offset = np.full(len(rows), self.all, np.int64)
        for by, values, middle in reversed(self.levels):
            known, at = found_in(values, by[rows])
            offset[known] = middle[at[known]]
        slack = np.full(len(rows), window, np.int64)
        known, at = found_in(self.spread[0], self.keys.way[rows])
        slack[known] = np.minimum(2 * self.spread[1][at[known]] + SLACK, window)
        return offset, slack


def guessed(keys: Keys, plain: Array, rows_a: Array, rows_b: Array) -> Shifts:
    """Shifts where nothing tells packets apart: as if those that both sides have equally often were in order."""
    import numpy as np

    a, b = numbered_ways(keys, plain, rows_a), numbered_ways(keys, plain, rows_b)
    at_a, at_b = only_ones(a, b)  # keys that are equally often on both sides
    if not len(at_a):
        at_a, at_b = in_order(plain[rows_a], plain[rows_b])
    if not len(at_a):
        none = np.zeros(0, np.uint64)
        return Shifts(keys, [], 0, (none, np.zeros(0, np.int64)))
    shifts = Shifts.of(keys, rows_a[at_a], rows_b[at_b])
    shifts.spread = (shifts.spread[0][:0], shifts.spread[1][:0])
    return shifts


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
