"""What a scan found, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from sniffkit.errors import SniffkitError
from sniffkit.netlink import shown
from sniffkit.rows import RowTable
from sniffkit.scan.report import U8, Host, Port, Report, number
from sniffkit.tables import Table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

NS = 1_000_000_000

# table → column → type (sniffkit.rows.TYPES). Names are nmap's where it has one.
COLUMNS: dict[str, dict[str, str]] = {
    "scan": {
        "ip": "name", "mac": "name", "vendor": "name", "hostname": "name", "host_state": "name", "netns": "name",
        "proto": "name", "port": "u16", "state": "name", "reason": "name", "service": "name", "product": "text",
        "version": "text", "extrainfo": "text", "cpe": "names", "os": "text", "os_accuracy": "u8",
        "scripts": "names", "uid": "text",
    },
    "hosts": {
        "ip": "name", "mac": "name", "vendor": "name", "hostname": "name", "hostnames": "names",
        "hostname_types": "names", "netns": "name",
        "state": "name", "reason": "name", "reason_ttl": "u8", "start": "time", "end": "time", "timed_out": "bool",
        "open_ports": "u32", "other_ports": "names", "other_reasons": "names", "os": "text", "os_accuracy": "u8",
        "uptime": "i64", "distance": "u8", "srtt": "i64", "rttvar": "i64", "rtt_timeout": "i64",
    },
    "ports": {
        "ip": "name", "proto": "name", "port": "u16", "state": "name", "reason": "name", "reason_ttl": "u8",
        "reason_ip": "name", "service": "name", "owner": "text", "uid": "text",
    },
    "services": {
        "ip": "name", "proto": "name", "port": "u16", "name": "name", "product": "text", "version": "text",
        "extrainfo": "text", "hostname": "text", "ostype": "text", "devicetype": "text", "tunnel": "name",
        "method": "name", "conf": "u8", "cpe": "names", "servicefp": "text",
    },
    "os": {
        "ip": "name", "name": "text", "accuracy": "u8", "line": "u32", "type": "name", "vendor": "name",
        "osfamily": "name", "osgen": "name", "class_accuracy": "u8", "cpe": "names",
    },
    "scripts": {
        "ip": "name", "proto": "name", "port": "u16", "scope": "name", "id": "name", "output": "text",
        "elements": "text",
    },
    "hops": {"ip": "name", "ttl": "u8", "hop_ip": "name", "hop_host": "text", "rtt": "i64"},
}  # fmt: skip


class ScanResult:
    """The result of a scan. As a whole it is one table: a row per port, and one per host that has no port listed.

    hosts() ports() services() os() scripts() hops() are nmap's parts apart; durations in ns, `uptime` in s.
    complete: nmap came to its end; notes: what a user should know (fallbacks, why it is not complete).
    """

    def __init__(self, reports: Sequence[Report], netns: str | None = None, xml: Sequence[bytes] = ()) -> None:
        self.reports = list(reports)
        self.netns = netns
        self.xml = list(xml)
        self.notes: list[str] = []
        self.interrupted = False
        # Targets were not scanned though they were asked for; `notes` says which and why.
        self.left_out = False
        # (ip, proto, port) → uid of the flow that proved it, when the scan was captured
        self.uids: dict[tuple[str, str, int], str] = {}

    @property
    def complete(self) -> bool:
        """Whether every run came to its end with its XML whole, and no target was left out."""
        return not self.left_out and all(
            one.finished and one.damage is None and not one.skipped for one in self.reports
        )

    @property
    def found(self) -> list[Host]:
        """The hosts, as objects."""
        return [host for report in self.reports for host in report.hosts]

    @property
    def up(self) -> int:
        """How many hosts are up."""
        return sum(host.state == "up" for host in self.found)

    def table(self, name: str = "scan", columns: Sequence[str] | None = None) -> Table:
        """The table of this name: scan, hosts, ports, services, os, scripts, hops; only these columns of it."""
        if name not in COLUMNS:
            raise SniffkitError(f"no scan table {name!r}; there are: {' '.join(COLUMNS)}")
        return RowTable(name, COLUMNS[name], getattr(self, f"_{name}_rows"), columns)

    def hosts(self) -> Table:
        """A row per host."""
        return self.table("hosts")

    def ports(self) -> Table:
        """A row per port that nmap lists; `uid` is the flow that proved its state, when the scan was captured."""
        return self.table("ports")

    def services(self) -> Table:
        """A row per port with a service."""
        return self.table("services")

    def os(self) -> Table:
        """A row per class of each operating system match, best first."""
        return self.table("os")

    def scripts(self) -> Table:
        """A row per output of an NSE script; ip and port are null for those that belong to none."""
        return self.table("scripts")

    def hops(self) -> Table:
        """A row per hop of --traceroute."""
        return self.table("hops")

    def to_arrow(self) -> pa.Table:
        """The whole as a `pyarrow.Table`."""
        return self.table().to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """The whole as a `pandas.DataFrame`."""
        return self.table().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The whole as a `polars.DataFrame`."""
        return self.table().to_polars()

    def to_parquet(self, path: str | PathLike[str]) -> int:
        """The whole as a Parquet file; returns how many rows."""
        return self.table().to_parquet(path)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table().__arrow_c_stream__(requested_schema)

    def python_nmap(self) -> Any:
        """The result as python-nmap's `PortScanner`, for code written for it. Not in a process that loaded scapy."""
        import sys

        if len(self.xml) != 1 or not self.complete:
            raise SniffkitError("python-nmap reads the XML of one complete run")
        if "scapy" in sys.modules:
            raise SniffkitError("scapy is loaded: its licence and python-nmap's keep them out of one process")
        import nmap

        scanner = nmap.PortScanner()
        scanner.analyse_nmap_xml_scan(self.xml[0].decode())
        return scanner

    def __repr__(self) -> str:
        ports = sum(port.state == "open" for host in self.found for port in host.ports)
        state = "" if self.complete else ", incomplete"
        return f"<sniffkit scan: {self.up} hosts up, {ports} open ports{state}: .to_pandas() .hosts() .ports()>"

    def _place(self) -> str | None:
        return None if self.netns is None else shown(self.netns)

    def _scan_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for host in self.found:
            best = host.os[0] if host.os else None
            whole = {
                "ip": host.ip, "mac": host.mac, "vendor": host.vendor, "hostname": hostname(host),
                "host_state": host.state, "netns": self._place(), "os": best and best.name,
                "os_accuracy": best and best.accuracy,
            }  # fmt: skip
            said = ("product", "version", "extrainfo")
            rows += [
                {
                    **whole, "proto": port.proto, "port": port.number, "state": port.state, "reason": port.reason,
                    "service": port.service.get("name"), **{key: port.service.get(key) for key in said},
                    "cpe": port.cpe, "scripts": [one.id for one in port.scripts], "uid": self._uid(host, port),
                }
                for port in host.ports
            ]  # fmt: skip
            if not host.ports:
                rows.append({**whole, "cpe": [], "scripts": [one.id for one in host.scripts]})
        return rows

    def _uid(self, host: Host, port: Port) -> str | None:
        return self.uids.get((host.ip, port.proto, port.number))

    def _hosts_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "ip": host.ip, "mac": host.mac, "vendor": host.vendor, "hostname": hostname(host),
                "hostnames": [name for name, _ in host.hostnames],
                "hostname_types": [kind for _, kind in host.hostnames], "netns": self._place(), "state": host.state,
                "reason": host.reason, "reason_ttl": host.reason_ttl, "start": ns(host.start), "end": ns(host.end),
                "timed_out": host.timed_out, "open_ports": sum(port.state == "open" for port in host.ports),
                "other_ports": [f"{state}:{count}" for state, count in host.other_ports],
                "other_reasons": [f"{reason}:{count}" for reason, count in host.other_reasons],
                "os": host.os[0].name if host.os else None, "os_accuracy": host.os[0].accuracy if host.os else None,
                "uptime": host.uptime, "distance": host.distance,
                "srtt": us(host.srtt_us), "rttvar": us(host.rttvar_us), "rtt_timeout": us(host.timeout_us),
            }
            for host in self.found
        ]  # fmt: skip

    def _ports_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "ip": host.ip, "proto": port.proto, "port": port.number, "state": port.state, "reason": port.reason,
                "reason_ttl": port.reason_ttl, "reason_ip": port.reason_ip, "service": port.service.get("name"),
                "owner": port.owner, "uid": self._uid(host, port),
            }
            for host in self.found
            for port in host.ports
        ]  # fmt: skip

    def _services_rows(self) -> list[dict[str, Any]]:
        same = ("name", "product", "version", "extrainfo", "hostname", "ostype", "devicetype", "tunnel", "method",
                "servicefp")  # fmt: skip
        return [
            {
                "ip": host.ip, "proto": port.proto, "port": port.number, "cpe": port.cpe,
                "conf": number(port.service.get("conf"), U8),
            } | {key: port.service.get(key) for key in same}
            for host in self.found
            for port in host.ports
            if port.service
        ]  # fmt: skip

    def _os_rows(self) -> list[dict[str, Any]]:
        same = ("type", "vendor", "osfamily", "osgen")
        rows = []
        for host in self.found:
            for match in host.os:
                for said, cpe in match.classes or [({}, [])]:
                    row = {"ip": host.ip, "name": match.name, "accuracy": match.accuracy, "line": match.line}
                    row |= {key: said.get(key) for key in same}
                    rows.append({**row, "class_accuracy": number(said.get("accuracy"), U8), "cpe": cpe})
        return rows

    def _scripts_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [
            {"scope": scope, "id": one.id, "output": one.output, "elements": one.elements}
            for report in self.reports
            for scope, one in report.scripts
        ]
        for host in self.found:
            for port in host.ports:
                at: dict[str, Any] = {"ip": host.ip, "proto": port.proto, "port": port.number, "scope": "port"}
                rows += [{**at, "id": s.id, "output": s.output, "elements": s.elements} for s in port.scripts]
            rows += [{"ip": host.ip, "scope": "host", "id": s.id, "output": s.output, "elements": s.elements}
                     for s in host.scripts]  # fmt: skip
        return rows

    def _hops_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "ip": host.ip, "ttl": hop.ttl, "hop_ip": hop.ip, "hop_host": hop.host,
                "rtt": None if hop.rtt_ms is None else round(hop.rtt_ms * 1_000_000),
            }
            for host in self.found
            for hop in host.hops
        ]  # fmt: skip


def hostname(host: Host) -> str | None:
    """The first name: what the user called it, else what its address resolves to."""
    return host.hostnames[0][0] if host.hostnames else None


def ns(seconds: int | None) -> int | None:
    """Seconds since 1970 as nanoseconds."""
    return None if seconds is None else seconds * NS


def us(microseconds: int | None) -> int | None:
    """Microseconds as nanoseconds."""
    return None if microseconds is None else microseconds * 1000
