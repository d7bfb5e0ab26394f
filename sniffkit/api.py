"""What users call: `sk.open(...)` and the capture it returns."""

from __future__ import annotations

import glob as globbing
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

from sniffkit.errors import CaptureFileError
from sniffkit.tables import Table

if TYPE_CHECKING:
    from sniffkit._core import TableStream
    from sniffkit.stats import Stats
    from sniffkit.tables import Result

# The tables that a capture becomes, by name: methods of `Capture` and commands.
TABLES = ("packets", "flows", "arp", "neighbors", "hosts")

Source = str | os.PathLike[str] | IO[bytes]


def open(source: Source | Iterable[Source]) -> Capture:
    """Open captures for reading: pcap or pcapng, plain, `.gz` or `.zst`.

    source: a path, a glob, `-` for standard input, a binary file object, or a list of these (read one after another).
    Raises CaptureFileError if a file is missing or is no capture.
    """
    if isinstance(source, (str, os.PathLike)) or hasattr(source, "read"):
        many = [cast(Source, source)]  # a binary file is an iterable too, but of lines
    else:
        many = list(source)
    if not many:
        raise CaptureFileError("no capture files given")
    inputs: list[Source] = []
    for one in many:
        inputs.extend(_expand(one))
    return Capture(inputs)


def _expand(source: Source) -> Sequence[Source]:
    """A glob becomes the files that match, in name order; everything else stays."""
    if not isinstance(source, str) or source == "-" or os.path.exists(source) or not globbing.has_magic(source):
        if isinstance(source, (str, os.PathLike)) and source != "-" and not os.path.exists(source):
            raise CaptureFileError(f"{os.fspath(source)}: No such file or directory")
        return [source]
    found = sorted(globbing.glob(source, recursive=True))
    if not found:
        raise CaptureFileError(f"{source}: no file matches")
    return found


class Capture:
    """Captured frames, ready to become tables. Nothing is read until a table is asked for."""

    def __init__(self, inputs: Sequence[Source]) -> None:
        self.inputs = list(inputs)

    def _table(self, name: str, columns: Sequence[str] | None, filter: str | None) -> Table:
        wanted = None if columns is None else list(columns)

        def start() -> TableStream:
            from sniffkit import _core

            return _core.open_table(name, list(self.inputs), wanted, filter)

        return Table(name, start)

    def flows(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per bidirectional flow. columns: names to keep, in order; filter: a capture filter, as tcpdump's."""
        return self._table("flows", columns, filter)

    def packets(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per frame. columns: names to keep, in order; filter: a capture filter, as tcpdump's."""
        return self._table("packets", columns, filter)

    def arp(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per ARP message, with what is odd about it in `finding`: see `sniffkit arp --help`."""
        return self._table("arp", columns, filter)

    def neighbors(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """The same for ARP and IPv6 Neighbor Discovery (RFC 4861) together."""
        return self._table("neighbors", columns, filter)

    def hosts(self, columns: Sequence[str] | None = None, filter: str | None = None, scan: Any = None) -> Table:
        """One row per address and the station that claims it, from what its traffic tells.

        scan: a `ScanResult`, or the path of nmap's XML, that is merged in; `source` then has "nmap" where it adds.
        """
        from sniffkit.hosts import hosts_table

        return hosts_table(self._table("hosts", None, filter), columns, scan)

    def sql(self, query: str) -> Result:
        """The answer to one SELECT over the tables `packets`, `flows`, …; only what it names is decoded.

        Times are UTC without a zone, in nanoseconds. Raises SniffkitError with the position for a wrong query.
        """
        from sniffkit.sql import Database

        return Database(self).query(query)

    @property
    def stats(self) -> Stats:
        """Statistics as tables: `.stats.summary()`, `.hierarchy()`, `.conversations("tcp")`, `.io(0.1)`, …"""
        from sniffkit.stats import Stats

        return Stats(self)

    def scapy(self) -> Iterator[Any]:
        """The frames as scapy packets, one after another. Imports scapy on first use."""
        from sniffkit.handover import scapy_packets

        return scapy_packets(self.inputs)

    def pyshark(self, display_filter: str | None = None, **options: Any) -> Any:
        """The frames as pyshark packets, dissected by tshark: for protocols that sniffkit does not decode."""
        from sniffkit.handover import pyshark_capture

        return pyshark_capture(self.inputs, display_filter, **options)

    def __repr__(self) -> str:
        names = ", ".join(str(getattr(one, "name", one)) for one in self.inputs[:3])
        more = f" and {len(self.inputs) - 3} more" if len(self.inputs) > 3 else ""
        return f"<sniffkit capture {names}{more}: .flows() .packets() .arp() .hosts()>"


__all__: list[Any] = ["Capture", "open"]
