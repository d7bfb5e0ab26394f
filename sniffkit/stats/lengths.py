"""How long the frames are, in tshark's ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result

# Lower ends of the ranges, bytes on the wire: those of `tshark -z plen,tree`.
EDGES = (0, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120)


def name(number: int) -> str:
    """`40-79`, `5120 and greater`."""
    if number + 1 == len(EDGES):
        return f"{EDGES[number]} and greater"
    return f"{EDGES[number]}-{EDGES[number + 1] - 1}"


def table(capture: Capture) -> Result:
    """A row a range, also for empty ones."""
    values = ", ".join(f"({n}, '{name(n)}')" for n in range(len(EDGES)))
    edge = "CASE " + " ".join(f"WHEN frame_len >= {EDGES[n]} THEN {n}" for n in reversed(range(len(EDGES)))) + " END"
    return capture.sql(f"""
        WITH counted AS (
            SELECT {edge} AS n, count(*) AS frames, avg(frame_len) AS mean, min(frame_len) AS least,
                   max(frame_len) AS most
            FROM packets GROUP BY 1
        )
        SELECT name AS length, coalesce(frames, 0)::UBIGINT AS frames, mean, least, most,
               100.0 * coalesce(frames, 0) / (SELECT sum(frames) FROM counted) AS percent
        FROM (VALUES {values}) AS ranges(n, name) LEFT JOIN counted USING (n) ORDER BY n
    """)
