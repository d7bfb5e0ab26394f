"""Captures as columns of numbers: one row a frame, the same code for the same text in all of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from sniffkit.errors import CaptureWarning, FilterError, SniffkitError
from sniffkit.matching import Array
from sniffkit.tables import callers_line, issue

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit.api import Capture

# What is read of the table of packets.
COLUMNS = (
    *("frame_number", "ts", "netns", "interface", "direction", "frame_len", "protocols", "eth_src", "eth_dst"),
    *("eth_type", "vlan_id", "vxlan_vni", "ip_version", "ip_src", "ip_dst", "outer_ip_src", "outer_ip_dst"),
    *("ip_proto", "ip_ttl", "ip_id", "ip_frag_offset", "ip_more_fragments", "src_port", "dst_port", "tcp_flags"),
    *("tcp_seq", "tcp_ack", "tcp_window", "icmp_type", "icmp_code", "arp_opcode", "arp_src_hw", "arp_src_ip"),
    *("arp_dst_hw", "arp_dst_ip", "payload_len"),
)
# What the table does not have, by tshark's names. A frame's values of one field are joined by commas, outermost first.
IDENTITY = ("icmp.ident", "icmp.seq", "icmpv6.echo.identifier", "icmpv6.echo.sequence_number")
CHECKSUMS = {6: "tcp.checksum", 17: "udp.checksum", 1: "icmp.checksum", 58: "icmpv6.checksum"}
FIELDS = (*IDENTITY, *CHECKSUMS.values(), "ip.checksum", "ip.dsfield.dscp", "ip.dsfield.ecn", "ipv6.tclass")
ADDRESSES = (
    *("eth_src", "eth_dst", "ip_src", "ip_dst", "outer_ip_src", "outer_ip_dst"),
    *("arp_src_hw", "arp_src_ip", "arp_dst_hw", "arp_dst_ip"),
)

MAX_READERS = 8  # captures that are read at a time


class Sightings:
    """Rows of one or several captures, one behind the other, as a pyarrow.Table and as numbers.

    source: number of the capture that each row is of.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._codes: dict[str, Array] = {}
        self._encode_addresses()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def numbers(self, name: str) -> Array:
        """A column as int64: the numbers, or codes of texts; -1 where it is null. Addresses share their codes."""
        if name not in self._codes:
            self._codes[name] = as_numbers(self.table[name])
        return self._codes[name]

    def forget(self) -> None:
        """Let go of what `numbers` made, but for addresses and times."""
        self._codes = {name: codes for name, codes in self._codes.items() if name in (*ADDRESSES, "ts", "source")}

    def _encode_addresses(self) -> None:
        import numpy as np
        import pyarrow as pa

        rows = len(self)
        chunks = [chunk for name in ADDRESSES for chunk in self.table[name].chunks]
        if not chunks:
            self._codes.update({name: np.zeros(0, np.int64) for name in ADDRESSES})
            return
        codes = as_numbers(pa.chunked_array(chunks))
        for at, name in enumerate(ADDRESSES):
            self._codes[name] = codes[at * rows : (at + 1) * rows]
        self.addresses = pa.chunked_array(chunks).unify_dictionaries().chunk(0).dictionary

    def text_of(self, code: int) -> str | None:
        """The address of a code."""
        return None if code < 0 else str(self.addresses[code])


def as_numbers(column: pa.ChunkedArray) -> Array:
    """A column as int64, null as -1: numbers as they are, times in ns, texts and lists by codes of their own."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_list(kind):
        from sniffkit.sinks.flat import space

        column = pc.binary_join(column.cast(pa.list_(pa.string())), space())
        kind = column.type
    if pa.types.is_string(kind):
        # In one piece: the pieces of an encoded column would carry the whole dictionary each.
        column = column.combine_chunks().dictionary_encode().indices
    elif pa.types.is_dictionary(kind):
        parts = [chunk.indices for chunk in column.unify_dictionaries().chunks]
        column = pa.chunked_array(parts, kind.index_type)
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    numbers: Array = column.cast(pa.int64()).fill_null(-1).to_numpy()
    return np.ascontiguousarray(numbers)


def read(sources: Sequence[tuple[Capture, str | None]], filter: str | None = None) -> Sightings:
    """The frames of captures, each at one point (`NS/IF` or `IF`) or at all of its own.

    Raises SniffkitError for a point that a capture does not have, with those that it has.
    """
    import pyarrow as pa

    for capture, _ in sources:
        if not capture.can_be_read_again:
            raise SniffkitError("captures are compared by reading them twice, which standard input and pipes cannot be")
    # A capture that is compared with itself, at two points, is read once.
    names = [
        [os.fspath(one) if isinstance(one, (str, os.PathLike)) else id(one) for one in capture.inputs]
        for capture, _ in sources
    ]
    different = [at for at, name in enumerate(names) if names.index(name) == at]
    with ThreadPoolExecutor(min(len(different), MAX_READERS)) as pool, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CaptureWarning)  # a thread's are told below, in the caller's
        stop = Event()
        tables_of = pool.map(lambda at: _table_or_refusal(sources[at][0], filter, stop), different)
        try:
            found = dict(zip(different, tables_of, strict=True))
        except BaseException:
            stop.set()  # ^C comes to this thread alone
            raise
    read_at = {at: one for at, one in found.items() if not isinstance(one, FilterError)}
    for at, one in found.items():
        if isinstance(one, FilterError):
            if not read_at:
                raise one
            read_at[at] = next(iter(read_at.values())).slice(0, 0)
            issue(CaptureWarning(f"{' '.join(map(str, names[at]))}: no frame matches: {one}"), callers_line())
    whole = [read_at[names.index(name)] for name in names]
    tables = [one if point is None else _only(one, point) for one, (_, point) in zip(whole, sources, strict=True)]
    for warned in caught:
        issue(cast(Warning, warned.message), callers_line())
    numbered = [
        table.append_column("source", pa.repeat(pa.scalar(number, pa.int32()), table.num_rows))
        for number, table in enumerate(tables)
    ]
    return Sightings(pa.concat_tables(numbered))


class Stopped(Exception):
    """Another thread has no use for what this one reads."""


def _table_or_refusal(capture: Capture, filter: str | None, stop: Event) -> pa.Table | FilterError:
    """The frames; or why the filter makes no sense for this capture, as it may for others."""
    try:
        return _table(capture, filter, stop)
    except FilterError as error:
        return error


def _table(capture: Capture, filter: str | None, stop: Event) -> pa.Table:
    def go_on(_: object = None) -> None:
        if stop.is_set():
            raise Stopped

    table = capture.packets(columns=COLUMNS, filter=filter)
    table.progress = go_on
    packets = table.to_arrow()
    for name, column in _beside(capture, packets, filter, go_on).items():
        packets = packets.append_column(name, column)
    return packets.replace_schema_metadata(None)


def _only(packets: pa.Table, point: str) -> pa.Table:
    """The rows that were captured at a point."""
    import pyarrow.compute as pc

    netns, _, interface = point.rpartition("/")
    mask = pc.fill_null(pc.equal(packets["interface"].cast("string"), interface), False)
    if netns:
        mask = pc.and_(mask, pc.fill_null(pc.equal(packets["netns"].cast("string"), netns), False))
    if not pc.any(mask).as_py():
        pairs = packets.select(["netns", "interface"]).group_by(["netns", "interface"]).aggregate([]).to_pylist()
        known = sorted(point_name(one["netns"], one["interface"]) for one in pairs)
        raise SniffkitError(f"no frame at the point {point!r}; there are: {' '.join(known) or 'none'}")
    return packets.filter(mask)


def point_name(netns: str | None, interface: str | None) -> str:
    """`NS/IF`, or what is known of it."""
    return "/".join(part for part in (netns, interface) if part) or "?"


def _beside(capture: Capture, packets: pa.Table, filter: str | None, go_on: Callable[[], None]) -> dict[str, Any]:
    """Columns that the table of packets does not have: identity of ICMP messages, checksums, traffic class."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    from sniffkit import _core

    pieces = []
    for piece in _core.read_text(capture.fresh(), "fields", fields=["frame.number", *FIELDS], filter=filter):
        pieces.append(piece)
        go_on()
    names = ["n", *FIELDS]
    if packets.num_rows == 0:
        text = pa.table({name: pa.array([], pa.string()) for name in names})
    else:
        text = csv.read_csv(
            pa.BufferReader("".join(pieces).encode()),
            csv.ReadOptions(column_names=names, block_size=1 << 24),
            csv.ParseOptions(delimiter="\t", quote_char=False),
            csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=True),
        )
    if text.num_rows != packets.num_rows:
        raise SniffkitError(f"{capture!r} changed while it was read")
    proto = packets["ip_proto"]
    # A tunnel's outer values stand before the inner ones; what an ICMP error quotes stands behind, as its content.
    kind = packets["icmp_type"]
    quotes = pc.or_(
        pc.and_(pc.equal(proto, 1), pc.is_in(kind, pa.array([3, 4, 5, 11, 12], kind.type))),
        pc.and_(pc.equal(proto, 58), pc.less(kind, 128)),
    )
    quotes = pc.fill_null(quotes, False)

    def inner(name: str) -> Any:
        go_on()
        return pc.if_else(quotes, text[name], pc.replace_substring_regex(text[name], ".*,", ""))

    checksum = pa.nulls(len(proto), pa.string())
    for number, name in CHECKSUMS.items():
        mine = pc.fill_null(pc.equal(proto, number), False)
        checksum = pc.if_else(mine, inner(name), checksum)
    ident = pc.coalesce(
        pc.binary_join_element_wise(text[IDENTITY[0]], text[IDENTITY[1]], "/"),
        pc.binary_join_element_wise(text[IDENTITY[2]], text[IDENTITY[3]], "/"),
    )
    echo = pc.coalesce(text[IDENTITY[0]], text[IDENTITY[2]])  # of queries; an error quotes one
    return {
        "ident": ident,
        "echo": pc.if_else(pc.or_(quotes, pc.invert(pc.match_substring_regex(echo, "^[0-9]+$"))), None, echo).cast(
            pa.int32()
        ),
        "ident_seq": pc.coalesce(text[IDENTITY[1]], text[IDENTITY[3]]),
        "checksum": checksum,
        "ip_checksum": inner("ip.checksum"),
        "ip_dscp": inner("ip.dsfield.dscp"),
        "ip_ecn": inner("ip.dsfield.ecn"),
        "ipv6_tclass": inner("ipv6.tclass"),
    }
