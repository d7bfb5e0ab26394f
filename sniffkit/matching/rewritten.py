"""Packets whose addresses or ports were changed on the way: by what a NAT leaves, between flows that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Protocol

from sniffkit.matching import Array
from sniffkit.matching.keys import TCP, Keys, mixed
from sniffkit.matching.nearest import nearest, only_ones
from sniffkit.matching.pairs import FEW, SLACK, found_in, kept, runs

NEIGHBORS = 4  # rows of the same content, before and behind in time, that are looked at for each
SHARE = 0.2  # of the smaller flow's packets that must fit
MAX_ROUNDS = 4  # flows that one flow becomes, one after another


@dataclass
class Votes:
    """Flows (one direction each) that may be the same: how many packets fit, how many surely, how far apart."""

    from_way: Array
    to_way: Array
    count: Array  # each packet once, however many it fits
    sure: Array
    summed: Array  # those with the same checksum
    apart: Array
    kept_end: Array  # and no other identification
    kept_ports: Array  # and ICMP identifier: a NAT leaves them where it can

    def of(self, which: Array) -> Votes:
        """Some of them."""
        return Votes(*(getattr(self, field.name)[which] for field in fields(self)))


class Chain(Protocol):
    """Packets that may be rewritten more than once, each time later: rows of one kind are both sides."""

    def allowed(self, a: Array, b: Array) -> Array:
        """Whether b may be what became of a."""

    def join(self, a: Array, b: Array) -> tuple[Array, Array]:
        """b is what became of a: those pairs of which that can be."""


def link(
    keys: Keys, rows_a: Array, rows_b: Array, window: int, offset: int = 0, chain: Chain | None = None
) -> tuple[Array, Array]:
    """Pairs of rows (positions in the sightings) that are the same packet with other addresses or ports.

    offset: how much later b's clock is; chain: is told of pairs, and says which there may be.
    """
    import numpy as np

    may = keys.may_be_rewritten()
    rows_a, rows_b = rows_a[may[rows_a]], rows_b[may[rows_b]]
    a = b = np.zeros(0, np.int64)
    found = [(a, b)]
    for key, of_a, of_b in steps(keys, rows_a, found):
        for _ in range(MAX_ROUNDS):
            mine, other = rows_a[of_a[rows_a]], rows_b[of_b[rows_b]]
            if not len(mine) or not len(other):
                break
            fits = candidates(keys, key, mine, other, window, offset, chain)
            votes = count(keys, *fits)
            if chain is None:
                votes = votes.of(going_on(keys, votes, found))
            accepted = flows(keys, votes, mine, other, chain is not None)
            one, other = packets(keys, key, mine, other, accepted, window, chain)
            if chain is not None:
                one, other = chain.join(one, other)
            if not len(one):
                break
            found.append((one, other))
            rows_a, rows_b = np.setdiff1d(rows_a, one), np.setdiff1d(rows_b, other)
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def steps(keys: Keys, rows_a: Array, found: list[tuple[Array, Array]]) -> Iterator[tuple[Array, Array, Array]]:
    """What packets are known by, one after another, and which rows of either side: a key and two masks.

    found: grows between the steps.
    """
    import numpy as np

    any_row = np.ones(len(keys.seen), bool)
    yield keys.endless(), any_row, any_row
    # A network card has still to finish the checksum, or there is none.
    key, unsummed = keys.endless(checksum=False), (keys.summed < 0) & (keys.proto != TCP)
    yield key, unsummed, any_row
    yield key, any_row, unsummed
    # The identification was written anew, too: not in flows that have kept it.
    a, b = (np.concatenate(side) for side in zip(*found, strict=True))
    number = keys.seen.numbers("ip_id")
    stays = (number > 0) & np.isin(keys.talk, kept(keys.talk, number, a, b, rows_a))
    key, summed = keys.endless(ident=False), (keys.summed >= 0) & ~stays
    yield key, summed & (number > 0), summed
    yield key, summed, summed & (number > 0)


def candidates(
    keys: Keys, key: Array, rows_a: Array, rows_b: Array, window: int, offset: int, chain: Chain | None
) -> tuple[Array, Array]:
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
        fits = near & (key[a] == key[b]) & (keys.way[a] != keys.way[b])
        # What comes from the end that a went to, or goes to the one that sent it, is an answer.
        fits &= (keys.dst_end[a] != keys.src_end[b]) & (keys.src_end[a] != keys.dst_end[b])
        if chain is not None:
            fits &= chain.allowed(a, b)
        found_a.append(a[fits])
        found_b.append(b[fits])
    return np.concatenate(found_a), np.concatenate(found_b)


def count(keys: Keys, a: Array, b: Array) -> Votes:
    """The candidates by the flows that they are of."""
    import numpy as np

    number = keys.seen.numbers
    numbered = (number("ip_id")[a] > 0) & (number("ip_id")[b] > 0)
    same_number = numbered & (number("ip_id")[a] == number("ip_id")[b])
    renumbered = numbered & ~same_number
    sure = (keys.proto[a] == TCP) | same_number | ((number("ident_seq")[a] >= 0) & ~renumbered)
    summed = (keys.summed[a] >= 0) & (keys.summed[a] == keys.summed[b])
    apart = number("ts")[b] - number("ts")[a]
    both = mixed(keys.talk[a], keys.talk[b])
    order = np.lexsort((apart, both))
    a, b, apart, renumbered = a[order], b[order], apart[order], renumbered[order]
    starts, lengths = runs(both[order])
    fitting = np.minimum(*(distinct(side, starts, lengths) for side in (a, b)))
    kept_end = ((keys.src_end[a] == keys.src_end[b]) | (keys.dst_end[a] == keys.dst_end[b])) & ~renumbered
    kept_ports = np.ones(len(a), bool)
    for name in ("src_port", "dst_port", "echo"):
        kept_ports &= number(name)[a] == number(name)[b]
    surely, with_sum = (
        np.minimum(np.add.reduceat(one[order].astype(np.int64), starts), fitting) if len(starts) else starts
        for one in (sure, summed)
    )
    middle = apart[starts + (lengths - 1) // 2] if len(starts) else starts
    stayed = kept_end[starts], kept_ports[starts]
    return Votes(keys.talk[a][starts], keys.talk[b][starts], fitting, surely, with_sum, middle, *stayed)


def going_on(keys: Keys, votes: Votes, found: list[tuple[Array, Array]]) -> Array:
    """Which votes agree with the pairs so far: a flow that has a partner gets another only where an end is kept.

    So is the far one where a mapping timed out; else what two flows have lost would be one.
    """
    import numpy as np

    one, other = (np.concatenate([keys.talk[rows] for rows in side]) for side in zip(*found, strict=True))
    taken = np.isin(votes.from_way, one) | np.isin(votes.to_way, other)
    partners = np.isin(mixed(votes.from_way, votes.to_way), mixed(one, other))
    return partners | ~taken | votes.kept_end


def distinct(rows: Array, starts: Array, lengths: Array) -> Array:
    """How many different rows each run has."""
    import numpy as np

    run = np.repeat(np.arange(len(starts)), lengths)
    order = np.lexsort((rows, run))
    run, rows = run[order], rows[order]
    other = np.ones(len(rows), bool)
    other[1:] = (run[1:] != run[:-1]) | (rows[1:] != rows[:-1])
    return np.bincount(run[other], minlength=len(starts))


def flows(keys: Keys, votes: Votes, rows_a: Array, rows_b: Array, chained: bool) -> tuple[Array, Array, Array]:
    """Which direction of a flow became which, and how much later (ns): each has one partner, the one that most fits.

    A partner that only lengths, times and one checksum speak for must have kept one of its ends. Where one direction is
    known, so is the other. chained: a partner is later, and may have become a third one.
    """
    import numpy as np

    sizes = [np.unique(keys.talk[rows], return_counts=True) for rows in (rows_a, rows_b)]
    smaller = np.minimum(*(
        size[found_in(ways, way)[1]] for (ways, size), way in zip(sizes, (votes.from_way, votes.to_way), strict=True)
    ))  # fmt: skip
    good = (votes.count >= SHARE * smaller) & ((votes.sure > 0) | (votes.summed > 1) | votes.kept_end)
    weight = votes.count * (1 + votes.kept_ports + votes.kept_end) + votes.sure
    order = np.lexsort((np.abs(votes.apart), -weight))
    back: dict[int, int] = {}
    for rows in (rows_a, rows_b):
        ways, first = np.unique(keys.talk[rows], return_index=True)
        back.update(zip(ways.tolist(), keys.talk_back[rows][first].tolist(), strict=True))
    partner: dict[int, tuple[int, int]] = {}
    taken: set[int] = set()
    for at in order[good[order]].tolist():
        one, other, apart = int(votes.from_way[at]), int(votes.to_way[at]), int(votes.apart[at])
        if one in partner or other in taken:
            if one in partner and partner[one][0] == other:
                partner[one] = (other, apart)  # known by its answers: how long it takes itself says more
            continue
        # Answers go the way back, not to a third flow: in a chain from the last to the first.
        back_one, back_other = (back[other], back[one]) if chained else (back[one], back[other])
        known_back = partner.get(back_one)
        if known_back is not None and known_back[0] != back_other:
            continue
        partner[one] = (other, apart)
        taken.add(other)
        if back_one not in partner and back_other not in taken:
            partner[back_one] = (back_other, apart if chained else -apart)
            taken.add(back_other)
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
    chain: Chain | None,
) -> tuple[Array, Array]:
    """The packets of flows that belong together, each with its nearest of the same content."""
    import numpy as np

    time = keys.seen.numbers("ts")
    ways, others, apart = accepted
    by_from, by_to = np.argsort(ways), np.argsort(others)
    of_a, at_a = found_in(ways[by_from], keys.talk[rows_a])
    of_b, at_b = found_in(others[by_to], keys.talk[rows_b])
    rows_a, rows_b = rows_a[of_a], rows_b[of_b]
    pair_a, pair_b = by_from[at_a[of_a]], by_to[at_b[of_b]]
    slack = np.maximum(np.minimum(np.abs(apart[pair_a]) + SLACK, window), window // 4)
    a, b = nearest(
        mixed(key[rows_a], pair_a), time[rows_a] + apart[pair_a], mixed(key[rows_b], pair_b), time[rows_b],
        slack, slack,
    )  # fmt: skip
    one, other = rows_a[a], rows_b[b]
    if chain is not None and len(one):
        fits = chain.allowed(one, other)
        one, other = one[fits], other[fits]
    return one, other


def clocks_apart(keys: Keys, rows_a: Array, rows_b: Array, window: int) -> int:
    """How much later b has what a has, ns, if nothing has kept its ends: most of what is on each side once says so.

    0 where that is too little, or does not agree.
    """
    import numpy as np

    tells = keys.may_be_rewritten() & ((keys.summed >= 0) | (keys.proto == TCP)) & (keys.seen.numbers("ts") != -1)
    a, b = rows_a[tells[rows_a]], rows_b[tells[rows_b]]
    key, time = keys.endless(), keys.seen.numbers("ts")
    at_a, at_b = only_ones(key[a], key[b])
    if len(at_a) < FEW:
        return 0
    apart = time[b[at_b]] - time[a[at_a]]
    middle = round(float(np.median(apart)))
    return middle if np.mean(np.abs(apart - middle) <= window) > 0.5 else 0
