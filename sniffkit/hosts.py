"""The `hosts` table: what traffic tells of each host, with the vendor of its card, and a scan merged in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sniffkit.rows import TYPES, RowTable
from sniffkit.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit.scan import ScanResult
    from sniffkit.scan.report import Host

# The columns of the core's table, which declares what they mean, with their types (sniffkit.rows.TYPES).
COLUMNS = {
    "ip": "name", "mac": "name", "vendor": "name", "hostname": "name", "os_guess": "name", "netns": "name",
    "first_seen": "time", "last_seen": "time", "pkts": "u64", "bytes": "u64", "ports": "u16s", "services": "names",
    "source": "names", "os_confidence": "u8", "os_signature": "text", "hostname_source": "name", "mac_source": "name",
    "os_source": "name", "ports_source": "names",
}  # fmt: skip


# Null where there is nothing in them.
LISTS = ("ports", "services", "source", "ports_source")


def hosts_table(passive: Table, columns: Sequence[str] | None = None, scan: Any = None) -> Table:
    """The core's table of hosts with vendors; `scan` (a ScanResult or the path of nmap's XML) merged in.

    Raises SniffkitError for a column that is not there or a file that is not nmap's.
    """
    return HostTable(passive, columns, scan_result(scan))


class HostTable(RowTable):
    """`hosts_table`; holds no function, so that a table of files can be pickled."""

    def __init__(self, passive: Table, columns: Sequence[str] | None, found: ScanResult | None) -> None:
        super().__init__("hosts", COLUMNS, self._rows, columns, passive.inputs)
        self._passive, self._found = passive, found

    def _rows(self) -> Any:
        self._passive.progress, self._passive.on_end = self.progress, self.on_end
        data = with_vendors(self._passive.to_arrow())
        if self._found is None:
            return data
        self.metadata = dict(data.schema.metadata or self.metadata)
        made = plain_rows(data)
        merge(made, self._found)
        return made


def vendor_of(mac: str | None) -> str | None:
    """The vendor of a card."""
    from sniffkit.vendor import vendor

    return vendor(mac)


def scan_result(scan: Any) -> ScanResult | None:
    """A ScanResult from what a caller gave."""
    if scan is None:
        return None
    from sniffkit.scan import ScanResult
    from sniffkit.scan.report import from_file

    return scan if isinstance(scan, ScanResult) else ScanResult([from_file(os.fspath(scan))])


def with_vendors(data: pa.Table) -> pa.Table:
    """The core's table with its `vendor` column filled, and null for lists that are empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    data = data.unify_dictionaries()
    chunks = data.column("mac").chunks
    # Each address is looked up once, however many rows have it: the dictionary is the same in all chunks.
    macs = chunks[0].dictionary.to_pylist() if chunks else []
    names = pa.array(map(vendor_of, macs), pa.string()).dictionary_encode()
    coded = [pa.DictionaryArray.from_arrays(names.indices.take(chunk.indices), names.dictionary) for chunk in chunks]
    vendors = pa.chunked_array(coded, TYPES["name"](pa))
    data = data.set_column(data.column_names.index("vendor"), "vendor", vendors)
    for name in LISTS:
        column = data.column(name)
        filled = pc.if_else(pc.greater(pc.list_value_length(column), 0), column, pa.scalar(None, column.type))
        data = data.set_column(data.column_names.index(name), name, filled)
    return data


def plain_rows(data: pa.Table) -> list[dict[str, Any]]:
    """Rows as mappings, times as nanoseconds: Python's own end at microseconds."""
    import pyarrow as pa

    for at, field in enumerate(data.schema):
        if pa.types.is_timestamp(field.type):
            data = data.set_column(at, field.name, data.column(at).cast(pa.int64()))
    rows: list[dict[str, Any]] = data.to_pylist()
    return rows


def merge(rows: list[dict[str, Any]], scan: ScanResult) -> None:
    """Add what a scan found to the rows of the same address (and station, where both know it); others become rows."""
    by_ip: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if scan.netns in (None, row["netns"]):
            by_ip.setdefault(row["ip"], []).append(row)
    for host in scan.found:
        if host.state != "up":
            continue
        # A zone is of this machine only: packets have none. Those of two zones are two hosts.
        same = by_ip.setdefault(host.ip, by_ip.get(host.ip.partition("%")[0], [])[:])
        exact = [row for row in same if host.mac is not None and row["mac"] == host.mac]
        of_host = exact or [row for row in same if host.mac is None or row["mac"] is None]
        if not of_host:
            of_host = [empty_row(host, scan.netns)]
            rows += of_host
            same += of_host
        for row in of_host:
            add(row, host)


def empty_row(host: Host, netns: str | None) -> dict[str, Any]:
    """A row for a host that only the scan saw."""
    start, end = (None if t is None else t * 1_000_000_000 for t in (host.start, host.end))
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    return row | {"ip": host.ip, "netns": netns, "first_seen": start, "last_seen": end}


def add(row: dict[str, Any], host: Host) -> None:
    """Put a scanned host's values where the row has none; nmap's OS match is better than a guess by SYN."""
    row["source"] = [*(row["source"] or ()), "nmap"]
    if row["mac"] is None and host.mac is not None:
        row["mac"], row["mac_source"] = host.mac, "nmap"
    if host.mac is not None and row["mac"] == host.mac:
        row["vendor"] = host.vendor or vendor_of(host.mac)
    if row["hostname"] is None and host.hostnames:
        row["hostname"], row["hostname_source"] = host.hostnames[0][0], "nmap"
    best = host.os[0] if host.os else None
    if best is not None and (best.accuracy or 0) > (row["os_confidence"] or 0):
        row["os_guess"], row["os_confidence"], row["os_source"] = best.name, best.accuracy, "nmap"
    ports = [port for port in host.ports if port.state == "open"]
    if ports:
        row["ports"] = sorted({*(row["ports"] or ()), *(port.number for port in ports)})
        row["services"] = sorted({*(row["services"] or ()), *(s for port in ports if (s := port.service.get("name")))})
        row["ports_source"] = [*(row["ports_source"] or ()), "nmap"]
