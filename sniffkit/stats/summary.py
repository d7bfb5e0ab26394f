"""What capinfos says of a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sniffkit.stats import nanos

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result

SPAN = "(epoch_ns(max(ts))::HUGEINT - epoch_ns(min(ts)))"

QUERY = f"""
SELECT count(*)::UBIGINT AS packets, coalesce(sum(frame_len), 0)::UBIGINT AS bytes,
       coalesce(sum(cap_len), 0)::UBIGINT AS captured_bytes,
       min(ts) AS first, max(ts) AS last, {nanos(SPAN)} AS duration,
       count(*) / nullif({SPAN} / 1e9, 0) AS packets_per_s, sum(frame_len) / nullif({SPAN} / 1e9, 0) AS bytes_per_s,
       avg(frame_len) AS mean_len, count(DISTINCT (netns, interface))::UINTEGER AS interfaces,
       (count(*) FILTER (WHERE malformed IS NOT NULL))::UBIGINT AS malformed
FROM packets
"""


def table(capture: Capture) -> Result:
    """One row. duration in ns; no rates for a single instant."""
    return capture.sql(QUERY)
