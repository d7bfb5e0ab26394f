"""Which protocols, inside which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sniffkit.tables import Result

if TYPE_CHECKING:
    from sniffkit.api import Capture

QUERY = """
SELECT protocols, count(*) AS frames, sum(frame_len)::UBIGINT AS bytes FROM packets
WHERE protocols IS NOT NULL GROUP BY 1 ORDER BY min(frame_number)
"""


def levels(protocols: str) -> tuple[str, ...]:
    """The levels of a stack as tshark counts them, outermost first.

    Extension headers, AH among them, are part of the IPv6 header (RFC 8200, 4): what they stand before is inside IPv6.
    Headers quoted in an ICMP error were not sent.
    """
    found: list[str] = []
    for name in protocols.split(":"):
        last = found[-1] if found else ""
        if last == "ipv6" and (name.startswith("ipv6.") or name == "ah"):
            continue
        if last in ("icmp", "icmpv6") and name != "data":
            break
        found.append(name)
    return tuple(found)


def table(capture: Capture) -> Result:
    """A row a protocol in its place, those inside behind theirs, in order of appearance; bytes are whole frames'."""
    import pyarrow as pa

    counts: dict[tuple[str, ...], list[int]] = {}
    for row in capture.sql(QUERY).to_arrow().to_pylist():
        stack = levels(row["protocols"])
        for depth in range(1, len(stack) + 1):
            count = counts.setdefault(stack[:depth], [0, 0])
            count[0] += row["frames"]
            count[1] += row["bytes"]
    order = {path: number for number, path in enumerate(counts)}
    paths = sorted(counts, key=lambda path: [order[path[:depth]] for depth in range(1, len(path) + 1)])
    columns = {
        "depth": pa.array([len(path) - 1 for path in paths], pa.uint8()),
        "protocol": pa.array([path[-1] for path in paths], pa.string()),
        "path": pa.array([":".join(path) for path in paths], pa.string()),
        "frames": pa.array([counts[path][0] for path in paths], pa.uint64()),
        "bytes": pa.array([counts[path][1] for path in paths], pa.uint64()),
    }
    return Result("hierarchy", pa.table(columns))
