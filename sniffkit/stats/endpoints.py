"""Who takes part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sniffkit.stats import PORTED, check_layer
from sniffkit.stats.conversations import ends

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result


def table(capture: Capture, layer: str = "ip") -> Result:
    """A row an end, most frames first."""
    end = "address, port" if check_layer(layer) in PORTED else "address"
    return capture.sql(f"""
        WITH ends AS ({ends(layer)}), sides AS (
            SELECT n, len, unnest([a, b]) AS address, unnest([ap, bp]) AS port, unnest([true, false]) AS sent FROM ends
        )
        SELECT {end}, count(*)::UBIGINT AS frames, sum(len)::UBIGINT AS bytes,
               (count(*) FILTER (WHERE sent))::UBIGINT AS tx_frames,
               coalesce(sum(len) FILTER (WHERE sent), 0)::UBIGINT AS tx_bytes,
               (count(*) FILTER (WHERE NOT sent))::UBIGINT AS rx_frames,
               coalesce(sum(len) FILTER (WHERE NOT sent), 0)::UBIGINT AS rx_bytes
        FROM sides GROUP BY {end} ORDER BY frames DESC, min(n), {end}
    """)
