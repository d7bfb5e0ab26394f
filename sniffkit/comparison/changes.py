"""Fields of packets that the other side has with another value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sniffkit.matching.sightings import ADDRESSES, as_numbers
from sniffkit.tables import Result

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit.comparison.found import Found

# From the link upwards. A value that neither side has did not change.
FIELDS = (
    *("protocols", "frame_len", "eth_src", "eth_dst", "eth_type", "vlan_id", "vxlan_vni"),
    *("outer_ip_src", "outer_ip_dst", "ip_src", "ip_dst", "ip_ttl", "ip_dscp", "ip_ecn", "ipv6_tclass", "ip_id"),
    *("ip_checksum", "src_port", "dst_port", "tcp_seq", "tcp_ack", "tcp_flags", "tcp_window", "ident", "checksum"),
    *("payload_len", "arp_src_hw", "arp_src_ip", "arp_dst_hw", "arp_dst_ip"),
)


def changes(found: Found) -> Result:
    """A row a field, from the link upwards."""
    import pyarrow as pa

    rows = [row for name in FIELDS if (row := change(found, name)) is not None]
    kinds = {
        "field": pa.string(), "packets": pa.uint64(), "share": pa.float64(), "kinds": pa.uint64(),
        "from": pa.string(), "to": pa.string(), "of_this_kind": pa.uint64(), "frame_a": pa.uint64(),
        "frame_b": pa.uint64(),
    }  # fmt: skip
    schema = pa.schema(list(kinds.items()))
    return Result("changes", pa.Table.from_pylist(rows, schema))


def change(found: Found, name: str) -> dict[str, Any] | None:
    """How a field changed: in how many packets, in how many kinds (from, to), and the most frequent of those."""
    import numpy as np

    codes = as_numbers(found.seen.table[name]) if name not in ADDRESSES else found.seen.numbers(name)
    differs = np.flatnonzero(codes[found.a] != codes[found.b])
    if not len(differs):
        return None
    differs = differs[np.argsort(found.a[differs], kind="stable")]
    pairs = np.stack([codes[found.a[differs]], codes[found.b[differs]]])
    kinds, first, counts = np.unique(pairs, axis=1, return_index=True, return_counts=True)
    most = int(np.lexsort((first, -counts))[0])
    a, b = int(found.a[differs[first[most]]]), int(found.b[differs[first[most]]])
    column, numbers = found.seen.table[name], found.seen.table["frame_number"]
    return {
        "field": name,
        "packets": len(differs),
        "share": len(differs) / len(found.a),
        "kinds": kinds.shape[1],
        "from": text(column, a),
        "to": text(column, b),
        "of_this_kind": int(counts[most]),
        "frame_a": numbers[a].as_py(),
        "frame_b": numbers[b].as_py(),
    }


def text(column: pa.ChunkedArray, row: int) -> str | None:
    """A value as text."""
    value = column[row].as_py()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return None if value is None else str(value)
