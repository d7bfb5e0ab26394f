"""Frames and bytes over time."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result

# More rows than anybody plots: a capture with one frame of 1970 in it would ask for billions.
MAX_ROWS = 1_000_000
SHORTEST = 1e-9  # s: times have no more digits
LONGEST = 1e9  # s; what int64 nanoseconds hold, and some more than 30 years


def step_of(interval: float | None) -> int:
    """`interval` seconds in ns, 1 s for None. Raises SniffkitError if no capture can be cut by it."""
    if interval is None:
        interval = 1.0
    if not isinstance(interval, Real):
        raise SniffkitError(f"interval is a number of seconds, not {interval!r}")
    if not SHORTEST <= interval <= LONGEST:
        raise SniffkitError(f"interval {interval:g}: it must be at least {SHORTEST:g} s and at most {LONGEST:g} s")
    return round(interval * 1e9)


def table(capture: Capture, interval: float | None = None, most: int = MAX_ROWS) -> Result:
    """A row for every `interval` seconds from the first frame on. Raises SniffkitError if those are too many.

    None: 1 s, or as many powers of ten as give no more than `most` rows.
    """
    step = step_of(interval)
    span = capture.sql("SELECT epoch_ns(min(ts)) AS a, epoch_ns(max(ts)) AS b FROM packets").to_arrow()
    first, last = span["a"][0].as_py(), span["b"][0].as_py()
    if first is not None and last is None:
        last = 2**63 - 1  # DuckDB takes the last time that there is for infinity
    lasts = 0 if first is None else last - first
    while interval is None and lasts // step >= most:
        step *= 10
    count = 0 if first is None else lasts // step + 1
    if count > MAX_ROWS:
        raise SniffkitError(f"interval {interval:g} s gives {count} rows: the capture lasts {lasts / 1e9:.9g} s")
    return capture.sql(f"""
        WITH counted AS (
            SELECT (epoch_ns(ts)::HUGEINT - {first or 0}) // {step} AS n, count(*) AS frames, sum(frame_len) AS bytes
            FROM packets WHERE ts IS NOT NULL GROUP BY 1
        )
        SELECT range::HUGEINT * {step} / 1e9 AS start, coalesce(frames, 0)::UBIGINT AS frames,
               coalesce(bytes, 0)::UBIGINT AS bytes
        FROM range(0, {count}) LEFT JOIN counted ON range = n ORDER BY range
    """)
