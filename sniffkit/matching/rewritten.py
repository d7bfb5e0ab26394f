"""Packets whose addresses or ports were changed on the way: by what a NAT leaves, between flows that fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sniffkit.matching import Array
from sniffkit.matching.keys import TCP, Keys, mixed
from sniffkit.matching.nearest import nearest
from sniffkit.matching.pairs import SLACK, found_in, runs

NEIGHBORS = 4  # rows of the same content, before and behind in time, that are looked at for each
SHARE = 0.2  # of the smaller flow's packets that must fit
MAX_ROUNDS = 4  # flows that one flow becomes, one after another


@dataclass
class Votes:
    """Flows (one direction each) that may be the same: how many packets fit, how many surely, how far apart."""

    from_way: Array
    to_way: Array
    count: Array
    sure: Array
    apart: Array
    kept_end: Array


Allowed = Callable[[Array, Array], Array]


def link(
    keys: Keys, rows_a: Array, rows_b: Array, window: int, offset: int = 0, allowed: Allowed | None = None
) -> tuple[Array, Array]:
    """Pairs of rows (positions in the sightings) that are the same packet with other addresses or ports.

    offset: how much later b's clock is; allowed: which candidates may be pairs at all.
    """
    import numpy as np

    may = keys.may_be_rewritten()
    rows_a, rows_b = rows_a[may[rows_a]], rows_b[may[rows_b]]
    found_a, found_b = [], []
    key = keys.endless()
    for _ in range(MAX_ROUNDS):
        if not len(rows_a) or not len(rows_b):
            break
        a, b = candidates(keys, key, rows_a, rows_b, window, offset)
        if allowed is not None:
            fits = allowed(a, b)
            a, b = a[fits], b[fits]
        accepted = flows(keys, count(keys, a, b), rows_a, rows_b)
        if not len(accepted[0]):
            break
        one, other = packets(keys, key, rows_a, rows_b, accepted, window, allowed)
        if not len(one):
            break
        found_a.append(one)
        found_b.append(other)
        rows_a, rows_b = np.setdiff1d(rows_a, one), np.setdiff1d(rows_b, other)
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *found_a]), np.concatenate([none, *found_b])


def candidates(keys: Keys, key: Array, rows_a: Array, rows_b: Array, window: int, offset: int) -> tuple[Array, Array]:
    """Rows of the same content and other ends, near in time: for each of a the NEIGHBORS nearest on either side."""
    import numpy as np

    time = keys.seen.numbers("ts")
    all_keys = np.concatenate([key[rows_a], key[rows_b]])
    times = np.concatenate([time[rows_a] + offset, time[rows_b]])
    of_b = np.arange(len(all_keys)) >= len(rows_a)
    order = np.lexsort((of_b, times, all_keys))
    sorted_b = order[of_b[order]] - len(rows_a)
    is_a = ~of_b[order]
    behind = np.cumsum(of_b[order])[is_a]  # how many of b stand before each of a
    row_a = rows_a[order[is_a]]
    found_a, found_b = [], []
    for step in range(-NEIGHBORS, NEIGHBORS):
        at = behind + step
        inside = (at >= 0) & (at < len(sorted_b))
        a, b = row_a[inside], rows_b[sorted_b[at[inside]]]
        near = np.abs(time[b] - time[a] - offset) <= window
        fits = near & (key[a] == key[b]) & (keys.way[a] != keys.way[b]) & (keys.way[a] != keys.way_back[b])
        found_a.append(a[fits])
        found_b.append(b[fits])
    return np.concatenate(found_a), np.concatenate(found_b)


def count(keys: Keys, a: Array, b: Array) -> Votes:
    """The candidates by the flows that they are of."""
    import numpy as np

    number = keys.seen.numbers
    sure = (keys.proto[a] == TCP) | (number("ip_id")[a] > 0) | (number("ident_seq")[a] >= 0)
    apart = number("ts")[b] - number("ts")[a]
    both = mixed(keys.way[a], keys.way[b])
    order = np.lexsort((apart, both))
    a, b, sure, apart = a[order], b[order], sure[order], apart[order]
    starts, lengths = runs(both[order])
    kept = (keys.src_end[a] == keys.src_end[b]) | (keys.dst_end[a] == keys.dst_end[b])
    surely = np.add.reduceat(sure.astype(np.int64), starts) if len(starts) else starts
    middle = apart[starts + (lengths - 1) // 2] if len(starts) else starts
    return Votes(keys.way[a][starts], keys.way[b][starts], lengths, surely, middle, kept[starts])


def flows(keys: Keys, votes: Votes, rows_a: Array, rows_b: Array) -> tuple[Array, Array, Array]:
    """Which direction of a flow became which, and how much later (ns): each has one partner, the one that most fits.

    A partner that only lengths and times speak for must have kept one of its ends. Where one direction is known, so
    is the other.
    """
    import numpy as np

    sizes = [np.unique(keys.way[rows], return_counts=True) for rows in (rows_a, rows_b)]
    smaller = np.minimum(*(
        size[found_in(ways, way)[1]] for (ways, size), way in zip(sizes, (votes.from_way, votes.to_way), strict=True)
    ))  # fmt: skip
    good = (votes.count >= SHARE * smaller) & ((votes.sure > 0) | votes.kept_end)
    weight = votes.count + votes.sure
    order = np.lexsort((np.abs(votes.apart), -weight))
    back: dict[int, int] = {}
    for rows in (rows_a, rows_b):
        ways, first = np.unique(keys.way[rows], return_index=True)
        back.update(zip(ways.tolist(), keys.way_back[rows][first].tolist(), strict=True))
    partner: dict[int, tuple[int, int]] = {}
    taken: set[int] = set()
    for at in order[good[order]].tolist():
        one, other, apart = int(votes.from_way[at]), int(votes.to_way[at]), int(votes.apart[at])
        if one in partner or other in taken:
            continue
        known_back = partner.get(back[one])
        if known_back is not None and known_back[0] != back[other]:
            continue  # answers go the way back, not to a third flow
        partner[one] = (other, apart)
        taken.add(other)
        if back[one] not in partner and back[other] not in taken:
            partner[back[one]] = (back[other], -apart)
            taken.add(back[other])
    ways = np.array(list(partner), np.uint64)
    others = np.array([other for other, _ in partner.values()], np.uint64)
    return ways, others, np.array([apart for _, apart in partner.values()], np.int64)


def packets(
    keys: Keys,
    key: Array,
    rows_a: Array,
    rows_b: Array,
    accepted: tuple[Array, Array, Array],
    window: int,
    allowed: Allowed | None,
) -> tuple[Array, Array]:
    """The packets of flows that belong together, each with its nearest of the same content."""
    import numpy as np

    time = keys.seen.numbers("ts")
    ways, others, apart = accepted
    by_from, by_to = np.argsort(ways), np.argsort(others)
    of_a, at_a = found_in(ways[by_from], keys.way[rows_a])
    of_b, at_b = found_in(others[by_to], keys.way[rows_b])
    rows_a, rows_b = rows_a[of_a], rows_b[of_b]
    pair_a, pair_b = by_from[at_a[of_a]], by_to[at_b[of_b]]
    slack = np.maximum(np.minimum(np.abs(apart[pair_a]) + SLACK, window), window // 4)
    a, b = nearest(
        mixed(key[rows_a], pair_a), time[rows_a] + apart[pair_a], mixed(key[rows_b], pair_b), time[rows_b],
        slack, slack,
    )  # fmt: skip
    one, other = rows_a[a], rows_b[b]
    if allowed is not None and len(one):
        fits = allowed(one, other)
        one, other = one[fits], other[fits]
    return one, other
