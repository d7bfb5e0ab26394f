"""Who talked to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sniffkit.stats import PORTED, check_layer, nanos

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.tables import Result


def ends(layer: str) -> str:
    """A query for the two ends of every frame at a layer: n, t, len, a, ap, b, bp (ports null below transport).

    IP is counted at the outermost and the innermost header, where tshark counts every one; the rest at the innermost.
    n grows in the order of the headers on the wire and is a row's own.
    """
    if layer == "eth":
        return """SELECT frame_number n, ts t, frame_len len, eth_src a, NULL ap, eth_dst b, NULL bp
            FROM packets WHERE eth_src IS NOT NULL"""
    if layer in ("ip", "ipv6"):
        # An IPv6 address may end in a dotted one (RFC 4291, 2.2), but only it has colons.
        family = "NOT contains" if layer == "ip" else "contains"
        return f"""SELECT * FROM (
            SELECT unnest([2 * frame_number, 2 * frame_number + 1]) n, ts t, frame_len len,
                   unnest([outer_ip_src, ip_src]) a, NULL ap, unnest([outer_ip_dst, ip_dst]) b, NULL bp
            FROM packets WHERE ip_src IS NOT NULL
        ) WHERE {family}(a, ':')"""
    return f"""SELECT frame_number n, ts t, frame_len len, ip_src a, src_port ap, ip_dst b, dst_port bp
        FROM packets WHERE ip_proto = {PORTED[layer]} AND src_port IS NOT NULL"""


def table(capture: Capture, layer: str = "ip") -> Result:
    """A row a pair of ends, most frames first; `a` is the end that sent the first frame."""
    ported = check_layer(layer) in PORTED
    ports = ("arg_min(ap, n) AS a_port,", "arg_min(bp, n) AS b_port,") if ported else ("", "")
    low = "(a, ap) <= (b, bp)" if ported else "a <= b"
    keys = "least(a, b), greatest(a, b)" + (f", CASE WHEN {low} THEN (ap, bp) ELSE (bp, ap) END" if ported else "")
    begin = capture.sql("SELECT epoch_ns(min(ts)) AS begin FROM packets").to_arrow()["begin"][0].as_py() or 0
    return capture.sql(f"""
        WITH ends AS ({ends(layer)}), grouped AS (
            SELECT arg_min(a, n) AS a, {ports[0]} arg_min(b, n) AS b, {ports[1]}
                   count(*) FILTER (WHERE {low}) AS up_frames, coalesce(sum(len) FILTER (WHERE {low}), 0) AS up_bytes,
                   count(*) AS frames, sum(len) AS bytes, arg_min({low}, n) AS first_is_up,
                   epoch_ns(min(t)) AS first, epoch_ns(max(t)) AS last, min(n) AS n
            FROM ends GROUP BY {keys}
        )
        SELECT a, {"a_port," if ported else ""} b, {"b_port," if ported else ""}
               (CASE WHEN first_is_up THEN up_frames ELSE frames - up_frames END)::UBIGINT AS a_to_b_frames,
               (CASE WHEN first_is_up THEN up_bytes ELSE bytes - up_bytes END)::UBIGINT AS a_to_b_bytes,
               (CASE WHEN first_is_up THEN frames - up_frames ELSE up_frames END)::UBIGINT AS b_to_a_frames,
               (CASE WHEN first_is_up THEN bytes - up_bytes ELSE up_bytes END)::UBIGINT AS b_to_a_bytes,
               frames::UBIGINT AS frames, bytes::UBIGINT AS bytes,
               (first::HUGEINT - {begin}) / 1e9 AS start, {nanos("last::HUGEINT - first")} AS duration
        FROM grouped ORDER BY frames DESC, grouped.n
    """)
