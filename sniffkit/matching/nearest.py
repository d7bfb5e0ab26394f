"""Rows of two sides that have the same key, paired by time. Everything is vectorised; a round costs one sort."""

from __future__ import annotations

from sniffkit.matching import Array

MAX_ROUNDS = 64


def empty() -> tuple[Array, Array]:
    """No pairs."""
    import numpy as np

    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def only_ones(key_a: Array, key_b: Array) -> tuple[Array, Array]:
    """Pairs (positions in a and in b) of keys that each side has exactly once."""
    import numpy as np

    once = []
    for key in (key_a, key_b):
        values, first, counts = np.unique(key, return_index=True, return_counts=True)
        once.append((values[counts == 1], first[counts == 1]))
    (values_a, first_a), (values_b, first_b) = once
    _, at_a, at_b = np.intersect1d(values_a, values_b, assume_unique=True, return_indices=True)
    return first_a[at_a], first_b[at_b]


def in_order(key_a: Array, key_b: Array) -> tuple[Array, Array]:
    """Pairs of the first of a key with the first, the second with the second, as far as both sides go; rows by time."""
    return only_ones(numbered(key_a), numbered(key_b))


def numbered(key: Array) -> Array:
    """Each key with its occurrence number, as a new key."""
    from sniffkit.matching.keys import mixed

    return mixed(key, occurrence(key))


def occurrence(key: Array) -> Array:
    """How many rows of the same key stand before each row."""
    import numpy as np

    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(key) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(key)])
    count = np.empty(len(key), np.int64)
    count[order] = np.arange(len(key)) - np.repeat(starts, lengths)
    return count


def nearest(
    key_a: Array, time_a: Array, key_b: Array, time_b: Array, early: int | Array, late: int | Array
) -> tuple[Array, Array]:
    """Pairs of rows that are each other's nearest in time within a key, again and again until none are left.

    b comes at most `late` ns after a and at most `early` before (of each row of a, or of all). Rows at the very same
    time are paired in their order.
    """
    import numpy as np

    from sniffkit.matching.keys import mixed

    early, late = (np.broadcast_to(np.asarray(one, np.int64), len(key_a)) for one in (early, late))
    at_a, at_b = in_order(mixed(key_a, time_a), mixed(key_b, time_b))
    found = [(at_a, at_b)]
    left_a, left_b = rest(len(key_a), at_a), rest(len(key_b), at_b)
    for _ in range(MAX_ROUNDS):
        common = np.intersect1d(key_a[left_a], key_b[left_b])
        left_a, left_b = left_a[np.isin(key_a[left_a], common)], left_b[np.isin(key_b[left_b], common)]
        if not len(left_a):
            break
        at_a, at_b = mutual(key_a[left_a], time_a[left_a], key_b[left_b], time_b[left_b])
        apart = time_b[left_b[at_b]] - time_a[left_a[at_a]]
        near = (apart <= late[left_a[at_a]]) & (apart >= -early[left_a[at_a]])
        if not near.any():
            break
        at_a, at_b = at_a[near], at_b[near]
        found.append((left_a[at_a], left_b[at_b]))
        left_a, left_b = left_a[rest(len(left_a), at_a)], left_b[rest(len(left_b), at_b)]
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def rest(count: int, taken: Array) -> Array:
    """The positions of 0 … count - 1 that are not taken."""
    import numpy as np

    free = np.ones(count, bool)
    free[taken] = False
    return np.flatnonzero(free)


def mutual(key_a: Array, time_a: Array, key_b: Array, time_b: Array) -> tuple[Array, Array]:
    """Pairs of rows of which each is the other's nearest."""
    import numpy as np

    key, time = np.concatenate([key_a, key_b]), np.concatenate([time_a, time_b])
    of_b = np.arange(len(key)) >= len(key_a)
    order = np.lexsort((of_b, time, key))
    key, time, of_b = key[order], time[order], of_b[order]
    place = np.arange(len(key))
    best = np.full(len(key), -1)
    for other in (True, False):
        before = np.maximum.accumulate(np.where(of_b == other, place, -1))
        after = np.minimum.accumulate(np.where(of_b == other, place, len(key))[::-1])[::-1]
        far = np.iinfo(np.int64).max
        back = np.where((before >= 0) & (key[before] == key), time - time[before], far)
        clipped = np.minimum(after, len(key) - 1)
        ahead = np.where((after < len(key)) & (key[clipped] == key), time[clipped] - time, far)
        partner = np.where(back <= ahead, before, clipped)
        best = np.where((of_b != other) & (np.minimum(back, ahead) < far), partner, best)
    mutual = (best >= 0) & (best[best] == place) & ~of_b
    return order[place[mutual]], order[best[mutual]] - len(key_a)
