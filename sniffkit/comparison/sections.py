"""The sections of a comparison as tables, by SQL over its frames and pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sniffkit.interruptible import connected
from sniffkit.tables import Result

if TYPE_CHECKING:
    from sniffkit.comparison.found import Found

NAMES = {0: "?", 1: "a > b", -1: "b > a"}
QUANTILES = "min(delay) {0}delay_min, quantile_disc(delay, 0.5) {0}delay_median, quantile_disc(delay, 0.95) {0}delay_p95, max(delay) {0}delay_max"  # noqa: E501 - one line of SQL
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6", 89: "ospf", 132: "sctp"}


def database(found: Found) -> Any:
    """A connection with `frames` (both captures) and `pairs` (with their delays)."""
    import numpy as np
    import pyarrow as pa

    count = len(found.seen)
    partnered = np.zeros(count, bool)
    partnered[found.a] = True
    partnered[found.b] = True
    table = found.seen.table
    frames = pa.table({
        "row": np.arange(count),
        "in_a": found.seen.numbers("source") == 0,
        "paired": partnered,
        "flow": found.flow,
        "forward": found.forward,
        "heading": found.heading,
        "way": found.keys.way,
        "src": found.keys.src,
        "dst": found.keys.dst,
        "proto": found.keys.proto,
        "sport": table["src_port"],
        "dport": table["dst_port"],
        "t": table["ts"].cast(pa.int64()),
        "frame_number": table["frame_number"],
        "frame_len": table["frame_len"],
        "protocols": table["protocols"],
    })  # fmt: skip
    delay = pa.array(found.delay, mask=~found.timed)
    pairs = pa.table({
        "a": found.a, "b": found.b, "delay": delay, "rewritten": found.rewritten, "flow": found.flow[found.a],
        "forward": found.forward[found.a], "heading": found.heading[found.a],
    })  # fmt: skip
    connection = connected()
    connection.execute("SET TimeZone='UTC'; SET enable_external_access=false")
    connection.register("frames", frames)
    connection.register("pairs", pairs)
    return connection


def asked(found: Found, name: str, query: str) -> Result:
    with database(found) as connection:
        return Result(name, connection.sql(query).to_arrow_table())


def summary(found: Found) -> Result:
    """A row for each way, and one for all. loss: the share of packets sent that way that the other side has not."""
    offset = "NULL" if found.offset is None else found.offset
    counts = """count(*) FILTER (WHERE in_a) packets_a, count(*) FILTER (WHERE NOT in_a) packets_b,
        count(*) FILTER (WHERE in_a AND paired) packets_both, count(*) FILTER (WHERE in_a AND NOT paired) only_a,
        count(*) FILTER (WHERE NOT in_a AND NOT paired) only_b"""
    delays = QUANTILES.format("")
    return asked(found, "summary", f"""
        WITH counted AS (
            SELECT heading, {counts} FROM frames GROUP BY heading
            UNION ALL SELECT 2, {counts} FROM frames
        ), timed AS (
            SELECT heading, count(*) FILTER (WHERE rewritten) rewritten, {delays} FROM pairs GROUP BY heading
            UNION ALL SELECT 2, count(*) FILTER (WHERE rewritten), NULL, NULL, NULL, NULL FROM pairs
        )
        SELECT CASE heading WHEN 1 THEN 'a > b' WHEN -1 THEN 'b > a' WHEN 0 THEN '?' ELSE 'all' END AS way,
               packets_a::UBIGINT packets_a, packets_b::UBIGINT packets_b, packets_both::UBIGINT packets_both,
               only_a::UBIGINT only_a, only_b::UBIGINT only_b,
               CASE heading WHEN 1 THEN only_a / nullif(packets_a, 0) WHEN -1 THEN only_b / nullif(packets_b, 0)
               END::DOUBLE AS loss,
               delay_min, delay_median, delay_p95, delay_max, coalesce(rewritten, 0)::UBIGINT rewritten,
               CASE WHEN heading = 2 THEN {offset} END::BIGINT AS clock_offset
        FROM counted LEFT JOIN timed USING (heading)
        ORDER BY CASE heading WHEN 1 THEN 0 WHEN -1 THEN 1 WHEN 0 THEN 2 ELSE 3 END
    """)  # fmt: skip


def flows(found: Found) -> Result:
    """A row a flow, those that lost most first, those of one side last."""
    named = "CASE proto " + " ".join(f"WHEN {n} THEN '{name}'" for n, name in PROTOCOLS.items())
    sides = ", ".join(
        f"count(*) FILTER (WHERE in_a AND {side}) {name}_a, count(*) FILTER (WHERE NOT in_a AND {side}) {name}_b, "
        f"count(*) FILTER (WHERE NOT paired AND {side} AND ((in_a AND heading > 0) OR (NOT in_a AND heading < 0))) "
        f"{name}_lost, count(*) FILTER (WHERE {side} AND ((in_a AND heading > 0) OR (NOT in_a AND heading < 0))) "
        f"{name}_sent"
        for name, side in (("orig", "forward"), ("resp", "NOT forward"))
    )
    ends = ", ".join(
        f"first(struct_pack(orig := CASE WHEN forward THEN src ELSE dst END, orig_p := CASE WHEN forward THEN sport "
        f"ELSE dport END, resp := CASE WHEN forward THEN dst ELSE src END, resp_p := CASE WHEN forward THEN dport ELSE "
        f"sport END, paired := paired) ORDER BY paired DESC, t, row) FILTER (WHERE {side}) {name}"
        for name, side in (("end_a", "in_a"), ("end_b", "NOT in_a"))
    )
    changed = "(end_a IS NOT NULL AND end_b IS NOT NULL AND (end_a.orig, end_a.orig_p, end_a.resp, end_a.resp_p) IS DISTINCT FROM (end_b.orig, end_b.orig_p, end_b.resp, end_b.resp_p))"  # noqa: E501
    result = asked(found, "flows", f"""
        WITH counted AS (
            SELECT flow, {named} ELSE list_last(string_split(first(protocols ORDER BY t, row), ':')) END proto_name,
                   min(t) FILTER (WHERE in_a) first_a, min(t) first, {sides}, {ends},
                   count(*) FILTER (WHERE in_a AND paired) packets_both
            FROM frames GROUP BY flow, proto
        ), timed AS (
            SELECT flow,
                   {", ".join(f"quantile_disc(delay, {q}) FILTER (WHERE {side}) {name}_delay_{of}"
                              for name, side in (("orig", "forward"), ("resp", "NOT forward"))
                              for q, of in ((0, "min"), (0.5, "median"), (0.95, "p95"), (1, "max")))}
            FROM pairs GROUP BY flow
        )
        SELECT CASE WHEN orig_a + resp_a = 0 THEN 'b' WHEN orig_b + resp_b = 0 THEN 'a' ELSE 'both' END AS seen,
               make_timestamp_ns(first) AS ts, proto_name AS proto,
               coalesce(end_a, end_b).orig AS orig_h, coalesce(end_a, end_b).orig_p AS orig_p,
               coalesce(end_a, end_b).resp AS resp_h, coalesce(end_a, end_b).resp_p AS resp_p,
               CASE WHEN {changed} THEN end_b.orig END AS b_orig_h,
               CASE WHEN {changed} THEN end_b.orig_p END AS b_orig_p,
               CASE WHEN {changed} THEN end_b.resp END AS b_resp_h,
               CASE WHEN {changed} THEN end_b.resp_p END AS b_resp_p,
               (orig_a + resp_a)::UBIGINT AS packets_a, (orig_b + resp_b)::UBIGINT AS packets_b,
               packets_both::UBIGINT AS packets_both,
               CASE WHEN orig_sent > 0 THEN orig_lost::UBIGINT END AS orig_lost,
               CASE WHEN resp_sent > 0 THEN resp_lost::UBIGINT END AS resp_lost,
               (orig_lost / nullif(orig_sent, 0))::DOUBLE AS orig_loss,
               (resp_lost / nullif(resp_sent, 0))::DOUBLE AS resp_loss, timed.* EXCLUDE flow
        FROM counted LEFT JOIN timed USING (flow)
        ORDER BY seen = 'both' DESC, seen, counted.orig_lost + counted.resp_lost DESC, first, flow
    """)  # fmt: skip
    table = with_addresses(found, result.to_arrow(), ("orig_h", "resp_h", "b_orig_h", "b_resp_h"))
    at = table.column_names.index("ts")
    return Result("flows", table.set_column(at, "ts", table["ts"].cast(found.seen.table["ts"].type)))


def packets(found: Found) -> Result:
    """A row a packet of one side only. lost: the other side is where it went."""
    import pyarrow as pa

    rows = asked(found, "packets", """
        SELECT row, CASE WHEN in_a THEN 'a' ELSE 'b' END AS only_in, heading,
               (in_a AND heading > 0) OR (NOT in_a AND heading < 0) AS lost, src, dst
        FROM frames WHERE NOT paired ORDER BY t, row
    """).to_arrow()  # fmt: skip
    frames = found.seen.table.take(rows["row"])
    ways = [NAMES[heading] for heading in rows["heading"].to_pylist()]
    columns = {"only_in": rows["only_in"]}
    columns.update({name: frames[name] for name in ("frame_number", "ts", "netns", "interface")})
    columns["way"] = pa.array(ways, pa.string())
    columns["lost"] = rows["lost"]
    columns["src"], columns["dst"] = rows["src"], rows["dst"]
    columns.update({name: frames[name] for name in ("src_port", "dst_port", "protocols", "frame_len", "tcp_flags")})
    return Result("packets", with_addresses(found, pa.table(columns), ("src", "dst")))


def matches(found: Found) -> Result:
    """A row a packet of both sides, in order of a's frames."""
    import numpy as np
    import pyarrow as pa

    order = np.argsort(found.a, kind="stable")
    a, b = found.a[order], found.b[order]
    table = found.seen.table
    return Result("matches", pa.table({
        "frame_a": table["frame_number"].take(pa.array(a)),
        "frame_b": table["frame_number"].take(pa.array(b)),
        "ts_a": table["ts"].take(pa.array(a)),
        "ts_b": table["ts"].take(pa.array(b)),
        "way": pa.array([NAMES[one] for one in found.heading[a].tolist()], pa.string()),
        "delay": pa.array(found.delay[order], mask=~found.timed[order]),
        "rewritten": found.rewritten[order],
    }))  # fmt: skip


def with_addresses(found: Found, table: Any, names: tuple[str, ...]) -> Any:
    """A table with the texts of addresses in place of their codes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = found.seen.addresses if len(found.seen) else pa.array([], pa.string())
    for name in names:
        codes = table[name].combine_chunks() if isinstance(table[name], pa.ChunkedArray) else table[name]
        codes = codes.cast(pa.int64())
        texts = known.take(pc.if_else(pc.greater_equal(codes, 0), codes, pa.scalar(None, pa.int64())))
        table = table.set_column(table.column_names.index(name), name, texts)
    return table
