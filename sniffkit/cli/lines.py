"""How frames are printed: the zone of their times, and tcpdump's flags for what they hold."""

from __future__ import annotations

import time

from sniffkit.errors import SniffkitError


def local_zone(begin: int = 0, years: int = 130) -> list[tuple[int, int]]:
    """Since when (seconds since 1970) local time is so many seconds ahead of UTC: every change from `begin` on for so
    many years; without, until 2100. The first also holds before.
    """
    month, end = 30 * 86400, begin + years * 365 * 86400

    def ahead(seconds: int) -> int:
        return time.localtime(seconds).tm_gmtoff

    changes = [(begin, ahead(begin))]
    for low in range(begin, end, month):
        high = low + month
        if ahead(low) == ahead(high):
            continue  # two changes within a month are not to be told apart, and have not been seen for decades
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if ahead(middle) == changes[-1][1] else (low, middle)
        changes.append((high, ahead(high)))
    return changes


def zone_from_now() -> list[tuple[int, int]]:
    """The same for a capture that begins now: ten years, since all of them take some milliseconds."""
    return local_zone(int(time.time()), 10)


def stamp_of(times: int) -> str:
    """How often tcpdump's -t was given, as the core names what it means."""
    stamps = ("clock", "none", "epoch", "delta", "date", "elapsed")
    return stamps[min(times, len(stamps) - 1)]


def dump_flag(x: int, upper_x: int, ascii: int) -> str | None:
    """tcpdump's -x -xx -X -XX -A -AA as the core names them; they exclude each other."""
    given = [name * min(count, 2) for name, count in (("x", x), ("X", upper_x), ("A", ascii)) if count]
    if len(given) > 1:
        raise SniffkitError("-x, -X and -A exclude each other")
    return given[0] if given else None
