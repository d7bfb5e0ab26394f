"""Where TCP suffered: the flows that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result

# conn_state of handshakes that came to nothing (Zeek): no answer, refused, given up, answered without a SYN seen.
FAILED = "('S0', 'REJ', 'RSTOS0', 'RSTRH', 'SH', 'SHR')"

QUERY = f"""
WITH tcp AS (
    SELECT uid, ts, orig_h, orig_p, resp_h, resp_p, conn_state, tcp_rtt, orig_pkts + resp_pkts AS pkts,
           coalesce(orig_retrans_pkts, 0) + coalesce(resp_retrans_pkts, 0) AS retrans_pkts,
           coalesce(orig_ooo_pkts, 0) + coalesce(resp_ooo_pkts, 0) AS ooo_pkts,
           coalesce(orig_dup_acks, 0) + coalesce(resp_dup_acks, 0) AS dup_acks,
           coalesce(orig_zero_window, 0) + coalesce(resp_zero_window, 0) AS zero_window,
           end_reason = 'rst' AS reset, conn_state IN {FAILED} AS handshake_failed
    FROM flows WHERE proto = 'tcp'
)
SELECT uid, ts, orig_h, orig_p, resp_h, resp_p, pkts::UBIGINT AS pkts, retrans_pkts::UBIGINT AS retrans_pkts,
       ooo_pkts::UBIGINT AS ooo_pkts, dup_acks::UBIGINT AS dup_acks, zero_window::UBIGINT AS zero_window, reset,
       handshake_failed, conn_state, tcp_rtt
FROM tcp WHERE retrans_pkts + ooo_pkts + dup_acks + zero_window > 0 OR reset OR handshake_failed
ORDER BY retrans_pkts + ooo_pkts + zero_window DESC, handshake_failed DESC, reset DESC, ts, uid
"""


def table(capture: Capture) -> Result:
    """A row a flow with something wrong."""
    return capture.sql(QUERY)
