"""The same packet at each point where it was seen: hop by hop, with what changed and how long it took."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sniffkit.errors import SniffkitError
from sniffkit.matching import Array, window_ns
from sniffkit.matching.keys import TCP, Keys
from sniffkit.matching.pairs import SLACK, match
from sniffkit.matching.rewritten import link
from sniffkit.matching.sightings import Sightings, read
from sniffkit.matching.simultaneous import settle
from sniffkit.rows import RowTable

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit.api import Capture
    from sniffkit.tables import Table

# Column → kind, as sniffkit.rows has them.
KINDS = {
    "packet": "u64",
    "hop": "u32",
    "hops": "u32",
    "ts": "time",
    "file": "name",
    "netns": "name",
    "interface": "name",
    "delay": "i64",
    "elapsed": "i64",
    "ip_src": "name",
    "src_port": "u16",
    "ip_dst": "name",
    "dst_port": "u16",
    "ip_ttl": "u8",
    "changes": "names",
    "protocols": "name",
    "vlan_id": "u16s",
    "vxlan_vni": "u32",
    "outer_ip_src": "name",
    "outer_ip_dst": "name",
    "eth_src": "name",
    "eth_dst": "name",
    "frame_len": "u32",
    "direction": "name",
    "frame_number": "u64",
}
# What `changes` speaks of, in this order.
CHANGES = (
    *("ip_src", "src_port", "ip_dst", "dst_port", "ip_ttl", "ip_dscp", "vlan_id", "vxlan_vni", "outer_ip_src"),
    *("outer_ip_dst", "eth_src", "eth_dst", "tcp_seq", "tcp_window", "payload_len"),
)
MAX_POINTS = 62  # a bit each
LONGEST = 2**63 - 1  # ns


def trace(capture: Capture, columns: Sequence[str] | None, window: float, filter: str | None) -> Table:
    """The table; nothing is read before its rows are asked for."""
    apart = window_ns(window)
    return RowTable("trace", KINDS, partial(rows, capture, apart, filter), columns, capture.inputs)


def rows(capture: Capture, window: int, filter: str | None) -> pa.Table:
    """Every sighting, packets in order of their first one."""
    import numpy as np

    # A file is a point of its own where it names no interface.
    seen = read([(one, None) for one in capture.each()], filter)
    keys = Keys(seen)
    time = seen.numbers("ts")
    point = points(seen)
    packet = packets(keys, point, window)
    order = np.lexsort((np.arange(len(packet)), time, packet))
    order = settle(seen, point, packet, order, capture.inputs)
    first_of = np.flatnonzero(np.r_[True, packet[order][1:] != packet[order][:-1]]) if len(order) else order
    # Packets by the time of their first sighting.
    lengths = np.diff(np.r_[first_of, len(order)])
    by_time = np.argsort(time[order[first_of]], kind="stable")
    rank = np.empty(len(first_of), np.int64)
    rank[by_time] = np.arange(len(first_of))
    number = np.repeat(rank, lengths)
    hop = np.arange(len(order)) - np.repeat(first_of, lengths)
    again = np.argsort(number, kind="stable")
    paths = [one if isinstance(one, (str, os.PathLike)) else None for one in capture.inputs]
    names = [None if path is None else os.fsencode(path).decode("utf-8", "replace") for path in paths]
    return made(seen, names, order[again], number[again], hop[again], np.repeat(lengths, lengths)[again])


def points(seen: Sightings) -> Array:
    """The number of each row's capture point, those with the most rows first."""
    import numpy as np

    named = np.stack([seen.numbers(name) for name in ("source", "netns", "interface")])
    # The same interface in two files is one point, but two machines' eth0 are not.
    own = (named[2] < 0) | ((named[1] < 0) & np.isin(named[2], side_by_side(named, seen.numbers("ts"))))
    named[0] = np.where(own, named[0], -1)
    _, point, counts = np.unique(named, axis=1, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    if len(counts) > MAX_POINTS:
        raise SniffkitError(f"{len(counts)} capture points; {MAX_POINTS} at most: give fewer files")
    return rank[point.reshape(-1)]


def side_by_side(named: Array, time: Array) -> Array:
    """The interfaces that several files have over the same time, as one machine's files one after another do not."""
    import numpy as np

    rows = np.flatnonzero((named[1] < 0) & (named[2] >= 0) & (time != -1))
    kinds, of = np.unique(named[::2, rows], axis=1, return_inverse=True)
    first = np.full(kinds.shape[1], np.iinfo(np.int64).max)
    last = np.full(kinds.shape[1], np.iinfo(np.int64).min)
    np.minimum.at(first, of.reshape(-1), time[rows])
    np.maximum.at(last, of.reshape(-1), time[rows])
    found: set[int] = set()
    latest: dict[int, list[int]] = {}  # of each name, the span that ends last so far
    for name, *span in sorted(zip(kinds[1].tolist(), first.tolist(), last.tolist(), strict=True)):
        before = latest.setdefault(name, span)
        if before is not span and beside(*before, *span):
            found.add(name)
        latest[name] = max(before, span, key=lambda one: one[1])
    return np.array(sorted(found), np.int64)


def beside(begin: int, end: int, other_begin: int, other_end: int) -> bool:
    """Whether half of the shorter span is in the other one, which begins no earlier; of a single time, all of it."""
    shared, shorter = min(end, other_end) - other_begin, min(end - begin, other_end - other_begin)
    if begin == end and other_begin == other_end:
        return shared >= -SLACK
    return 2 * shared > shorter or (shorter == 0 and other_begin < end)


def packets(keys: Keys, point: Array, window: int) -> Array:
    """The number of the packet that each row is a sighting of: the position of one of its rows."""
    import numpy as np

    time = keys.seen.numbers("ts")
    packet = np.arange(len(point))
    known = np.zeros(0, np.int64)  # a row of each packet so far, by time
    for number in range(int(point.max(initial=-1)) + 1):
        here = np.flatnonzero(point == number)
        here = here[np.argsort(time[here], kind="stable")]
        a, b = match(keys, known, here, window, clocks_agree=True)
        packet[b] = packet[a]
        known = np.concatenate([known, here[np.isin(here, b, invert=True)]])
        known = known[np.argsort(time[known], kind="stable")]
    # What a NAT made of a packet is another one so far.
    rewritten = Rewritten(keys, packet, point, window)
    link(keys, known, known, window, chain=rewritten)
    return rewritten.packet


class Rewritten:
    """Packets of which some are what a NAT made of others; `packet` grows together."""

    def __init__(self, keys: Keys, packet: Array, point: Array, window: int) -> None:
        import numpy as np

        self.packet, self.time, self.window = packet, keys.seen.numbers("ts"), window
        self.bit = np.left_shift(1, point)
        self.ident = keys.seen.numbers("ip_id")
        self.tcp = keys.proto == TCP
        # A bit for each point that has a row's direction, with those ends.
        _, talk = np.unique(keys.talk, return_inverse=True)
        self.passed = gathered(talk.reshape(-1), self.bit)
        self._span()

    def _span(self) -> None:
        """Of each row's packet: its first and last time, and a bit for each point that has it."""
        import numpy as np

        rows, packet = len(self.packet), self.packet
        first, last = np.full(rows, np.iinfo(np.int64).max), np.full(rows, np.iinfo(np.int64).min)
        np.minimum.at(first, packet, self.time)
        np.maximum.at(last, packet, self.time)
        self.first, self.last, self.at = first[packet], last[packet], gathered(packet, self.bit)

    def allowed(self, a: Array, b: Array) -> Array:
        """Whether b's packet may be what became of a's: not before it, and seen at no point that has seen a's.

        Where neither TCP's numbers nor the identification tell so, no point has seen both directions either.
        """
        later = (self.first[a] < self.first[b]) | ((self.first[a] == self.first[b]) & (a < b))
        apart: Array = self.first[b] - self.last[a] >= -self.window
        tells = self.tcp[a] | ((self.ident[a] > 0) & (self.ident[a] == self.ident[b]))
        elsewhere = ((self.at[a] & self.at[b]) == 0) & (tells | ((self.passed[a] & self.passed[b]) == 0))
        return apart & later & (self.packet[a] != self.packet[b]) & elsewhere

    def join(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Those of a and b are the same packets, also in chains, as far as no point sees one twice; which are."""
        import numpy as np

        parent: dict[int, int] = {}
        at: dict[int, int] = {}

        def root(one: int) -> int:
            while (up := parent.get(one, one)) != one:
                parent[one] = parent.get(up, up)
                one = up
            return one

        order = np.argsort(self.first[b] - self.first[a], kind="stable")  # the nearest first
        a, b = a[order], b[order]
        columns = (self.packet[a], self.packet[b], self.at[a], self.at[b])
        same = np.zeros(len(a), bool)
        for pair, (one, other, at_one, at_other) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
            one, other = root(one), root(other)
            seen_one, seen_other = at.get(one, at_one), at.get(other, at_other)
            if one != other and not seen_one & seen_other:
                parent[other], same[pair] = one, True
                at[one] = seen_one | seen_other
        new = np.arange(len(self.packet))
        for one in parent:
            new[one] = root(one)
        self.packet = new[self.packet]
        self._span()
        return a[same], b[same]


def gathered(group: Array, bits: Array) -> Array:
    """Of each row, the bits of all rows of its group (a number below the count of rows)."""
    import numpy as np

    all_bits = np.zeros(len(group), np.int64)
    np.bitwise_or.at(all_bits, group, bits)
    return all_bits[group]


def made(seen: Sightings, files: list[str | None], order: Array, number: Array, hop: Array, hops: Array) -> pa.Table:
    """The table of sightings in this order; files: their names, by source."""
    import numpy as np
    import pyarrow as pa

    table = seen.table.take(pa.array(order))
    time = seen.numbers("ts")[order]
    timed = time != -1
    first = np.maximum.accumulate(np.where(hop == 0, np.arange(len(order)), 0))
    later = hop > 0
    previous = np.maximum(np.arange(len(order)) - 1, 0)
    columns: dict[str, Any] = {name: table[name] for name in KINDS if name in table.column_names}
    columns["file"] = pa.array(files, pa.string()).dictionary_encode().take(table["source"])
    columns["packet"] = pa.array(number + 1, pa.uint64())
    columns["hop"], columns["hops"] = pa.array(hop + 1, pa.uint32()), pa.array(hops, pa.uint32())
    columns["delay"] = pa.array(between(time[previous], time), mask=~(later & timed & timed[previous]))
    columns["elapsed"] = pa.array(between(time[first], time), mask=~(timed & timed[first]))
    columns["changes"] = changes(seen, table, order, later)
    return pa.table({name: columns[name] for name in KINDS})


def between(earlier: Array, later: Array) -> Array:
    """Of each row the ns between two times, at most what int64 holds (292 years): one of them may be damaged."""
    import numpy as np

    found: Array = later - earlier
    over = ((later ^ earlier) & (later ^ found)) < 0
    return np.where(over, np.where(later < 0, -LONGEST, LONGEST), found)


def changes(seen: Sightings, table: pa.Table, order: Array, later: Array) -> pa.Array:
    """Of each row, what differs from the hop before, as `ip_ttl:64>63`; null at the first hop."""
    import numpy as np
    import pyarrow as pa

    from sniffkit.matching.sightings import ADDRESSES, as_numbers

    said: list[list[str] | None] = [[] if one else None for one in later.tolist()]
    for name in CHANGES:
        codes = (seen.numbers(name) if name in ADDRESSES else as_numbers(seen.table[name]))[order]
        at = np.flatnonzero(later[1:] & (codes[1:] != codes[:-1])) + 1
        column = table[name]
        known: dict[tuple[int, int], str] = {}
        for row, was, now in zip(at.tolist(), codes[at - 1].tolist(), codes[at].tolist(), strict=True):
            if (was, now) not in known:
                known[was, now] = f"{name}:{value_text(column, row - 1)}>{value_text(column, row)}"
            said[row].append(known[was, now])  # type: ignore[union-attr]
    return pa.array(said, pa.list_(pa.string()))


def value_text(column: pa.ChunkedArray, row: int) -> str:
    """A value without blanks; nothing for null."""
    value = column[row].as_py()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
