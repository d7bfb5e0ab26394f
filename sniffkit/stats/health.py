"""How TCP fared over all flows: counts, and percentiles of the round-trip time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sniffkit.stats.tcp import FAILED

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result


def total(counter: str) -> str:
    """A query's column: a counter of both sides over all flows."""
    return f"coalesce(sum(orig_{counter} + resp_{counter}), 0)::UBIGINT AS {counter}"


QUERY = f"""
SELECT count(*)::UBIGINT AS flows, (count(*) FILTER (WHERE conn_state IN {FAILED}))::UBIGINT AS failed_handshakes,
       (count(*) FILTER (WHERE end_reason = 'rst'))::UBIGINT AS resets,
       {total("retrans_pkts")}, {total("ooo_pkts")}, {total("dup_acks")}, {total("zero_window")},
       count(tcp_rtt)::UBIGINT AS rtts, min(tcp_rtt) AS rtt_min, quantile_cont(tcp_rtt, 0.5)::BIGINT AS rtt_p50,
       quantile_cont(tcp_rtt, 0.9)::BIGINT AS rtt_p90, quantile_cont(tcp_rtt, 0.95)::BIGINT AS rtt_p95,
       quantile_cont(tcp_rtt, 0.99)::BIGINT AS rtt_p99, max(tcp_rtt) AS rtt_max
FROM flows WHERE proto = 'tcp'
"""


def table(capture: Capture) -> Result:
    """One row. rtts: handshakes that were timed; their percentiles (linear between ranks) in ns, null without any."""
    return capture.sql(QUERY)
