"""nmap's XML (nmap.dtd) as objects, read as it comes: hosts that were complete before damage or the end are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from sniffkit.errors import SniffkitError

# What the tables' columns hold. nmap stays far below; a damaged file need not.
U8, U16, U32 = 0xFF, 0xFFFF, 0xFFFF_FFFF
MOST = 1 << 33  # seconds since 1970 and µs of latency: their nanoseconds fit into 64 bits
MOST_DEPTH = 64  # tables within tables of a script's output


@dataclass
class Script:
    """Output of an NSE script. elements: its structured part as JSON text, None without."""

    id: str
    output: str
    elements: str | None


@dataclass
class Port:
    """A port as nmap lists it; service fields are None where nmap says nothing."""

    proto: str
    number: int
    state: str
    reason: str | None
    reason_ttl: int | None
    reason_ip: str | None
    owner: str | None
    service: dict[str, str]
    cpe: list[str]
    scripts: list[Script]


@dataclass
class OsMatch:
    """A guess at the operating system: accuracy in percent; classes: attributes of each osclass and its CPEs."""

    name: str
    accuracy: int | None
    line: int | None
    classes: list[tuple[dict[str, str], list[str]]]


@dataclass
class Hop:
    """A router on the way: ttl, round-trip time in ms (None where there was no answer)."""

    ttl: int | None
    ip: str | None
    rtt_ms: float | None
    host: str | None


@dataclass
class Host:
    """One host. Times are seconds since 1970.

    other_ports: state and number of ports that are not listed; other_reasons: reason and number of the same ports.
    srtt_us, rttvar_us, timeout_us: round-trip time, its variance and nmap's timeout in microseconds.
    """

    ip: str
    state: str | None = None
    reason: str | None = None
    reason_ttl: int | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    vendor: str | None = None
    hostnames: list[tuple[str, str | None]] = field(default_factory=list)
    start: int | None = None
    end: int | None = None
    timed_out: bool = False
    other_ports: list[tuple[str, int]] = field(default_factory=list)
    other_reasons: list[tuple[str, int]] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    os: list[OsMatch] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    uptime: int | None = None
    distance: int | None = None
    srtt_us: int | None = None
    rttvar_us: int | None = None
    timeout_us: int | None = None

    @property
    def mac(self) -> str | None:
        """Hardware address as the other tables write it."""
        mac = self.addresses.get("mac")
        return None if mac is None else mac.lower()


@dataclass
class Report:
    """A whole run. finished: nmap came to its end; damage: what is wrong with the XML, None if nothing is.

    skipped: targets that nmap did not understand, and so did not scan.
    """

    args: str | None = None
    version: str | None = None
    start: int | None = None
    elapsed: float | None = None
    hosts: list[Host] = field(default_factory=list)
    scripts: list[tuple[str, Script]] = field(default_factory=list)
    hosts_up: int | None = None
    hosts_down: int | None = None
    skipped: list[str] = field(default_factory=list)
    finished: bool = False
    damage: str | None = None


class Reader:
    """Reads XML piece by piece. task and percent say what nmap is at (its taskbegin and taskprogress elements)."""

    def __init__(self) -> None:
        self.report = Report()
        self.task = "starting"
        self.percent: float | None = None
        self._parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        self._root: Element | None = None
        self._error_message: str | None = None

    def feed(self, data: bytes) -> None:
        """Take a piece. After damage nothing more is read."""
        if self.report.damage is not None:
            return
        try:
            self._parser.feed(data)
            self._take()
        except ParseError as error:
            self._take()
            self.report.damage = f"broken XML: {error}"

    def close(self) -> Report:
        """The end of the input."""
        if self.report.damage is None:
            try:
                self._parser.close()
                self._take()
            except ParseError as error:
                self.report.damage = f"XML is cut short: {error}"
        if self._error_message and self.report.damage is None and not self.report.finished:
            self.report.damage = self._error_message
        return self.report

    def _take(self) -> None:
        for event, element in self._events():
            name = element.tag
            if event == "start":
                if self._root is None:
                    self._begin(element)
                continue
            if name == "host":
                self.report.hosts.append(host(element))
            elif name in ("prescript", "postscript"):
                self.report.scripts += [(name, script(one)) for one in element.findall("script")]
            elif name == "target" and element.get("status") == "skipped":
                self.report.skipped.append(element.get("specification", ""))
            elif name == "finished":
                self._finish(element)
            elif name == "hosts":
                self.report.hosts_up = number(element.get("up"))
                self.report.hosts_down = number(element.get("down"))
            elif name in ("taskbegin", "taskprogress", "taskend"):
                self.task = element.get("task") or self.task
                self.percent = decimal(element.get("percent")) if name == "taskprogress" else None
            else:
                continue
            if self._root is not None and name in ("host", "target", "taskbegin", "taskprogress", "taskend"):
                self._root.clear()  # what has been read is not needed twice

    def _events(self) -> Iterator[tuple[str, Element]]:
        events: Iterator[tuple[Any, ...]] = self._parser.read_events()
        for event, element in events:
            if isinstance(element, Element):
                yield event, element

    def _begin(self, root: Element) -> None:
        self._root = root
        if root.tag != "nmaprun":
            raise ParseError(f"an XML file of {root.tag!r}, not of nmap's")
        self.report.args, self.report.version = root.get("args"), root.get("version")
        self.report.start = number(root.get("start"))

    def _finish(self, element: Element) -> None:
        self.report.elapsed = decimal(element.get("elapsed"))
        self.report.finished = element.get("exit", "success") == "success"
        self._error_message = element.get("errormsg")


def from_file(path: str) -> Report:
    """The report in a file that nmap (`-oX`) or `scan --xml` wrote; Report.damage tells what of it is missing.

    Raises SniffkitError if the file cannot be read or is not nmap's.
    """
    reader = Reader()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 16):
                reader.feed(piece)
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror}") from None
    report = reader.close()
    if report.version is None:
        raise SniffkitError(f"{path}: {report.damage or 'not nmap XML'}")
    return report


def number(text: str | None, most: int = MOST) -> int | None:
    """A decimal number up to `most`, None for anything else."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    return found if (found := int(text)) <= most else None


def decimal(text: str | None) -> float | None:
    """A number with a fraction, None for anything else."""
    try:
        found = None if text is None else float(text)
    except ValueError:
        return None
    return found if found is not None and abs(found) <= MOST else None


def host(element: Element) -> Host:
    """A <host>."""
    addresses = {one.get("addrtype", ""): one.get("addr", "") for one in element.findall("address")}
    out = Host(ip=addresses.get("ipv4") or addresses.get("ipv6") or next(iter(addresses.values()), ""))
    out.addresses = addresses
    out.vendor = next((v for one in element.findall("address") if (v := one.get("vendor"))), None)
    out.start, out.end = number(element.get("starttime")), number(element.get("endtime"))
    out.timed_out = element.get("timedout") == "true"
    status = element.find("status")
    if status is not None:
        out.state, out.reason = status.get("state"), status.get("reason")
        out.reason_ttl = number(status.get("reason_ttl"), U8)
    out.hostnames = [(one.get("name", ""), one.get("type")) for one in element.findall("hostnames/hostname")]
    out.other_ports = [(one.get("state", ""), number(one.get("count")) or 0)
                       for one in element.findall("ports/extraports")]  # fmt: skip
    out.other_reasons = [(one.get("reason", ""), number(one.get("count")) or 0)
                         for one in element.findall("ports/extraports/extrareasons")]  # fmt: skip
    out.ports = [port(one) for one in element.findall("ports/port")]
    out.os = [os_match(one) for one in element.findall("os/osmatch")]
    out.scripts = [script(one) for one in element.findall("hostscript/script")]
    out.hops = [Hop(number(one.get("ttl"), U8), one.get("ipaddr"), decimal(one.get("rtt")), one.get("host"))
                for one in element.findall("trace/hop")]  # fmt: skip
    uptime, distance, times = element.find("uptime"), element.find("distance"), element.find("times")
    out.uptime = None if uptime is None else number(uptime.get("seconds"))
    out.distance = None if distance is None else number(distance.get("value"), U8)
    if times is not None:
        out.srtt_us, out.rttvar_us, out.timeout_us = (number(times.get(key)) for key in ("srtt", "rttvar", "to"))
    return out


def port(element: Element) -> Port:
    """A <port>."""
    state, owner, service = element.find("state"), element.find("owner"), element.find("service")
    said = {} if state is None else state.attrib
    return Port(
        proto=element.get("protocol", ""),
        number=number(element.get("portid"), U16) or 0,
        state=said.get("state", ""),
        reason=said.get("reason"),
        reason_ttl=number(said.get("reason_ttl"), U8),
        reason_ip=said.get("reason_ip"),
        owner=None if owner is None else owner.get("name"),
        service={} if service is None else dict(service.attrib),
        cpe=[] if service is None else [one.text or "" for one in service.findall("cpe")],
        scripts=[script(one) for one in element.findall("script")],
    )


def os_match(element: Element) -> OsMatch:
    """An <osmatch>."""
    classes = [(dict(one.attrib), [cpe.text or "" for cpe in one.findall("cpe")])
               for one in element.findall("osclass")]  # fmt: skip
    accuracy, line = number(element.get("accuracy"), U8), number(element.get("line"), U32)
    return OsMatch(element.get("name", ""), accuracy, line, classes)


def script(element: Element) -> Script:
    """A <script>."""
    try:
        structured = elements(element)
    except RecursionError:
        structured = None
    text = json.dumps(structured, ensure_ascii=False) if structured else None
    return Script(element.get("id", ""), element.get("output", ""), text)


def elements(parent: Element, depth: int = 0) -> object:
    """<elem> and <table> as JSON: a mapping where they have keys, a list where not, both under "" when mixed.

    Raises RecursionError where tables stand deeper in each other than any script's do.
    """
    if depth > MOST_DEPTH:
        raise RecursionError
    keyed: dict[str, object] = {}
    repeated: dict[str, list[object]] = {}
    plain: list[object] = []
    for one in parent:
        if one.tag not in ("elem", "table"):
            continue
        value = (one.text or "") if one.tag == "elem" else elements(one, depth + 1)
        key = one.get("key")
        if key is None:
            plain.append(value)
        elif key in keyed:  # a few scripts repeat a key: then its values are a list
            repeated.setdefault(key, [keyed[key]]).append(value)
            keyed[key] = repeated[key]
        else:
            keyed[key] = value
    if keyed and plain:
        keyed[""] = plain
    return keyed or plain
