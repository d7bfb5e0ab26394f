"""What users call: `sk.open(...)` and the capture it returns."""

from __future__ import annotations

import os
import stat

from sniffkit.errors import CaptureFileError, SniffkitError
from sniffkit.inputs import expanded, in_time_order
from sniffkit.tables import Table, chosen, numbers

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import IO, Any, Protocol, cast

    import pyarrow as pa

    from sniffkit._core import TableStream
    from sniffkit.comparison import Diff
    from sniffkit.dataset import Summary
    from sniffkit.stats import Stats
    from sniffkit.tables import Result

    class BinaryFile(Protocol):
        """What a binary file object needs: those of gzip and the like are no IO[bytes]."""

        def read(self, size: int = ..., /) -> bytes: ...

    Source = str | os.PathLike[str] | IO[bytes]
else:

    def cast(kind, value):
        return value


# The tables that a capture becomes, by name: methods of `Capture` and commands.
TABLES = ("packets", "flows", "http", "files", "dns", "tls", "dhcp", "streams", "arp", "neighbors", "hosts")
# Those of which data sets are made: their rows are between the addresses of one flow, and wait for nothing outside the
# capture's order.
DATASETS = ("flows", "packets", "http", "files", "dns", "tls", "dhcp")


def open(source: Source | BinaryFile | Iterable[Source | BinaryFile]) -> Capture:
    """Open captures for reading: pcap or pcapng, plain, `.gz` or `.zst`.

    source: a path, a glob, `-` for standard input, a binary file object, or a list of these, read one after another:
    regular files in order of their first frames, whatever their names (a ring that has begun anew), as given where
    anything else is among them. Files that overlap in time are merged by `Capture.to_dataset` alone.
    Raises CaptureFileError if a file is missing; what is no capture is told by the first table.
    """
    if isinstance(source, (str, bytes, bytearray, memoryview, os.PathLike)) or hasattr(source, "read"):
        many = [cast("Source", source)]  # a binary file is an iterable too, but of lines
    elif isinstance(source, (list, tuple)):
        many = cast("list[Source]", list(source))  # what commands give: nothing has to be imported for them
    else:
        from collections.abc import Iterable

        if not isinstance(source, Iterable):
            what = "a path, a glob, '-', a binary file or a list of these"
            raise CaptureFileError(f"a capture is {what}, not {source!r}")
        many = cast("list[Source]", list(source))
    if not many:
        raise CaptureFileError("no capture files given")
    return Capture(in_time_order([one for given in many for one in expanded(given)]))


class Capture:
    """Captured frames, ready to become tables. None are read until a table is asked for."""

    def __init__(self, inputs: Sequence[Source]) -> None:
        self.inputs = list(inputs)
        self._starts = [_position(one) for one in self.inputs]
        self._begun = False

    def fresh(self) -> list[Source]:
        """The inputs from their beginning, for one who reads them whatever others do with theirs.

        Raises CaptureFileError if one can be read only once, and has been, or is closed.
        """
        made = [self._reader(at) for at in range(len(self.inputs))]
        self._begun = True
        return made

    def _reader(self, at: int) -> Source:
        one, start = self.inputs[at], self._starts[at]
        if getattr(one, "closed", False):
            raise CaptureFileError(f"{called(one)}: the file object is closed")
        if self._is_read_once(at):
            if self._begun or any(one is other for other in self.inputs[:at]):
                twice = "has been: keep a table, or save it to a file" if self._begun else "is given twice"
                raise CaptureFileError(f"{called(one)} can be read once, and {twice}")
            return one
        if start is None:
            return one
        from sniffkit.fileobjects import FileReader
        from sniffkit.remote import RemoteFile

        again = RemoteFile(one.name) if isinstance(one, RemoteFile) else FileReader(cast("IO[bytes]", one), start)
        return cast("Source", again)

    def _is_read_once(self, at: int) -> bool:
        one = self.inputs[at]
        return self._starts[at] is None and (not isinstance(one, (str, os.PathLike)) or is_pipe(one))

    @property
    def can_be_read_again(self) -> bool:
        """Whether every input has a beginning to go back to: files have, standard input and pipes have not."""
        return not any(self._is_read_once(at) for at in range(len(self.inputs)))

    def each(self) -> list[Capture]:
        """Each input as a capture of its own."""
        made = [Capture([one]) for one in self.inputs]
        for one, start in zip(made, self._starts, strict=True):
            one._starts, one._begun = [start], self._begun
        return made

    def _table(
        self,
        name: str,
        columns: Sequence[str] | None,
        filter: str | None,
        rules: dict[str, float] | None = None,
        known: list[Any] | None = None,
        keep: list[Any] | None = None,
        gateways: Sequence[str] = (),
    ) -> Table:
        wanted, ruled = chosen(columns), numbers(name, rules)
        through = [gateways] if isinstance(gateways, str) else list(gateways)
        options = {"known": known, "keep": keep, "gateways": through}
        start = _Start(self, (name, wanted, filter, ruled or None), options)
        return Table(name, start, wanted, self.inputs)

    def named(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        keep: list[Any] | None = None,
        **rules: float,
    ) -> Table:
        """The table of that name, one of TABLES.

        keep: of `flows` and `packets`, what rows must be to be kept (`sniffkit.pushdown`); others may come too.
        rules: of the same, those of `flows`.
        """
        if name not in TABLES:
            raise SniffkitError(f"no table {name!r}; there are: {' '.join(TABLES)}")
        if keep or rules:
            return self._table(name, columns, filter, rules, keep=keep)
        table: Table = getattr(self, name)(columns=columns, filter=filter)
        return table

    def flows(self, columns: Sequence[str] | None = None, filter: str | None = None, **rules: float) -> Table:
        """One row per bidirectional flow. columns: names to keep, in order; filter: a capture filter, as tcpdump's.

        rules: when rows end, in seconds of packet time: `tcp_idle` (300), `udp_idle` (60; every other IP protocol too),
        `arp_idle` (10; every other Ethernet type too), `active` (none), `linger` (60: how long late packets belong to a
        closed TCP row); and bounds: `max_flows`, `max_fragmented`. They are in the table's metadata.
        """
        return self._table("flows", columns, filter, rules)

    def packets(self, columns: Sequence[str] | None = None, filter: str | None = None, **rules: float) -> Table:
        """One row per frame. columns: names to keep, in order; filter: a capture filter, as tcpdump's.

        rules: those of `flows`, which decide the `uid`.
        """
        return self._table("packets", columns, filter, rules)

    def http(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per HTTP request with its response. columns, filter: as for `flows`."""
        return self._table("http", columns, filter)

    def files(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per body that was transferred: name, type, size, SHA-256. columns, filter: as for `flows`."""
        return self._table("files", columns, filter)

    def extract(
        self,
        directory: str | os.PathLike[str],
        http: bool = False,
        max_size: int = 1 << 30,
        filter: str | None = None,
        max_total: int | None = None,
        max_files: int | None = None,
    ) -> pa.Table:
        """Write every TCP stream, or with `http` every HTTP body, to files in `directory`; the index as pyarrow.Table.

        Names are safe and unique; no file is overwritten. `index.parquet` and `index.jsonl` hold the index too, or the
        first `index-N.*` that is not there yet.
        max_size: longest file, bytes, of which no more is written; max_total and max_files: all of them together, over
        which a file is not written. `write_error` in its row of the index says so. Raises SniffkitError if the
        directory cannot be written.
        """
        import pyarrow.parquet

        from sniffkit.extraction import extract

        made = extract(self.fresh(), directory, http, filter, max_size, max_total, max_files)
        return pyarrow.parquet.read_table(made.table)

    def streams(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per direction of each TCP connection: bytes, SHA-256, missing ranges."""
        return self._table("streams", columns, filter)

    def dns(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per DNS, mDNS or LLMNR query with its answer. columns, filter: as for `flows`."""
        return self._table("dns", columns, filter)

    def tls(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per TLS handshake: names, versions, fingerprints. columns, filter: as for `flows`."""
        return self._table("tls", columns, filter)

    def dhcp(self, columns: Sequence[str] | None = None, filter: str | None = None) -> Table:
        """One row per DHCP or DHCPv6 message: leases, host names. columns, filter: as for `flows`."""
        return self._table("dhcp", columns, filter)

    def arp(
        self,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        known: list[Any] | None = None,
        gateways: Sequence[str] = (),
    ) -> Table:
        """One row per ARP message, with what is odd about it in `finding`: see `sniffkit arp --help`.

        known: addresses that an earlier run knew, from `sniffkit.neighborstate.load(path)`. gateways: addresses of
        default gateways, beside those that DHCP and router advertisements name and those that are seen to forward.
        """
        return self._table("arp", columns, filter, known=known, gateways=gateways)

    def neighbors(
        self,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        known: list[Any] | None = None,
        gateways: Sequence[str] = (),
    ) -> Table:
        """The same for ARP and IPv6 Neighbor Discovery (RFC 4861) together."""
        return self._table("neighbors", columns, filter, known=known, gateways=gateways)

    def hosts(self, columns: Sequence[str] | None = None, filter: str | None = None, scan: Any = None) -> Table:
        """One row per address and the station that claims it, from what its traffic tells.

        scan: a `ScanResult`, or the path of nmap's XML, that is merged in; `source` then has "nmap" where it adds.
        """
        from sniffkit.hosts import hosts_table

        return hosts_table(self._table("hosts", None, filter), columns, scan)

    def to_dataset(
        self,
        out: str | os.PathLike[str],
        table: str = "flows",
        *,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        engine: Any = None,
        workers: int | None = None,
        progress: Callable[[int], object] | None = None,
        **rules: float,
    ) -> Summary:
        """Write a table of all files, read as one capture in time order, to a directory: Parquet by `date=`, `hour=`.

        Rows are those of one run over the merged capture, uid and frame numbers included. Damaged files are passed over
        and named in the summary, and by a `CaptureWarning` each. A directory in which the same call was interrupted is
        gone on with. Rows that it held and that are gone are a SniffkitError.
        out: a directory or URL (fsspec: `s3://…`). table: flows, packets, http, files, dns, tls or dhcp.
        engine: `local`, `dask://HOST:PORT` or a concurrent.futures executor; workers: how many share the flows,
        at most 1,024. progress: called with the number of frames read so far. rules: those of `flows`.
        Raises OutputError if the directory holds something else.
        """
        from sniffkit.dataset import make
        from sniffkit.tables import Telling

        made = make(
            [self._path(at) for at in range(len(self.inputs))],
            out,
            table,
            columns=columns,
            filter=filter,
            rules=rules,
            engine=engine,
            workers=workers,
            progress=progress,
        )
        telling = Telling()
        for line in made.skipped:
            telling.say(line)
        return made

    def _path(self, at: int) -> str:
        """The name by which other processes find an input."""
        one = self.inputs[at]
        if isinstance(one, (str, os.PathLike)):
            return os.fspath(one)
        from sniffkit.fileobjects import path_of
        from sniffkit.remote import RemoteFile

        path = one.name if isinstance(one, RemoteFile) else path_of(one, self._starts[at])
        if path is None:
            raise CaptureFileError(f"{called(one)}: a data set is made of files by their names, not of file objects")
        return path

    def sql(self, query: str) -> Result:
        """The answer to one SELECT over the tables `packets`, `flows`, …; only what it names is decoded.

        Times are UTC, without a zone in the query, with it in the answer (docs/frames.md).
        Raises SniffkitError with the position for a wrong query.
        """
        from sniffkit.sql import Database

        return Database(self).query(query)

    @property
    def stats(self) -> Stats:
        """Statistics as tables: `.stats.summary()`, `.hierarchy()`, `.conversations("tcp")`, `.io(0.1)`, …"""
        from sniffkit.stats import Stats

        return Stats(self)

    def diff(
        self,
        other: Capture | None = None,
        points: tuple[str | None, str | None] = (None, None),
        window: float = 1.0,
        filter: str | None = None,
    ) -> Diff:
        """This capture (a) against another (b) of the same traffic: `.summary()`, `.flows()`, `.packets()`, …

        points: only the frames captured at `NS/IF`, of a and of b; without `other`, both are of this capture.
        window: s by which packets that only time tells apart may differ. filter: a capture filter, as tcpdump's.
        """
        from sniffkit.comparison import Diff

        return Diff(self, self if other is None else other, points, window, filter)

    def trace(self, columns: Sequence[str] | None = None, window: float = 1.0, filter: str | None = None) -> Table:
        """One row a sighting: the same packet at each point (`NS/IF`) where it was seen, hop by hop.

        Files that name no interface are points, and those that name the same one at the same time without a namespace.
        window: s by which packets that only time tells apart may differ. columns, filter: as for `flows`.
        """
        from sniffkit.tracing import trace

        return trace(self, columns, window, filter)

    def scapy(self) -> Iterator[Any]:
        """The frames of `packets` as scapy packets, one after another. Imports scapy on first use.

        `time`, `wirelen` and, where the capture names the interface, `sniffed_on` are set.
        """
        from sniffkit.handover import scapy_packets

        return scapy_packets(self.fresh())

    def pyshark(self, display_filter: str | None = None, **options: Any) -> Any:
        """The frames as pyshark packets, dissected by tshark: for protocols that sniffkit does not decode.

        options: those of `pyshark.FileCapture`. Raises SniffkitError for a wrong filter, and for what is not one file.
        A damaged file gives the packets before the damage, and a `CaptureWarning` behind them.
        """
        from sniffkit.handover import pyshark_capture

        return pyshark_capture(self.inputs, display_filter, **options)

    def __repr__(self) -> str:
        names = ", ".join(str(getattr(one, "name", one)) for one in self.inputs[:3])
        more = f" and {len(self.inputs) - 3} more" if len(self.inputs) > 3 else ""
        return f"<sniffkit capture {names}{more}: .flows() .packets() .http() …>"


class _Start:
    """What starts a table. No function, so that a table of files can be pickled; `functools` takes 3 ms to import."""

    def __init__(self, capture: Capture, table: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.capture, self.table, self.options = capture, table, options

    def __call__(self) -> TableStream:
        from sniffkit import _core

        name, columns, filter, rules = self.table
        return _core.open_table(name, self.capture.fresh(), columns, filter, rules, **self.options)


def called(source: Source) -> str:
    """What messages call an input."""
    if isinstance(source, (str, os.PathLike)):
        return "standard input" if source == "-" else os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file object>"


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether what a path names can be read once alone: standard input, a pipe."""
    try:
        return path == "-" or stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _position(source: Source) -> int | None:
    """Where a file object that can go back stands; None for everything else."""
    if isinstance(source, (str, os.PathLike)):
        return None
    try:
        return source.tell() if source.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None


__all__: list[Any] = ["Capture", "open"]
