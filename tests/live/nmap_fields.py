"""What each attribute of nmap's XML is in sniffkit's tables, read here in another way than sniffkit reads it.

EXPECTED gives every table of a scan from its XML, column by column. TOLD names the attributes of nmap.dtd that are in
one; LEFT_OUT those that are in none, and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

Row = dict[str, Any]


def whole(element: Element | None, name: str, times: int = 1) -> int | None:
    """An attribute that is a number."""
    text = None if element is None else element.get(name)
    return None if text is None else int(text) * times


def text(element: Element | None, name: str) -> str | None:
    return None if element is None else element.get(name)


def ip_of(host: Element) -> str:
    return next(str(one.get("addr")) for one in host.iterfind("address") if one.get("addrtype") != "mac")


def mac_of(host: Element) -> str | None:
    return next(
        (str(one.get("addr")).lower() for one in host.iterfind("address") if one.get("addrtype") == "mac"), None
    )


def hosts(root: Element) -> Iterator[Row]:
    for host in root.iterfind("host"):
        status, match, times = host.find("status"), host.find("os/osmatch"), host.find("times")
        names = host.findall("hostnames/hostname")
        yield {
            "ip": ip_of(host), "mac": mac_of(host),
            "vendor": next((one.get("vendor") for one in host.iterfind("address") if one.get("vendor")), None),
            "hostname": names[0].get("name") if names else None,
            "hostnames": [one.get("name") for one in names], "hostname_types": [one.get("type") for one in names],
            "state": text(status, "state"), "reason": text(status, "reason"),
            "reason_ttl": whole(status, "reason_ttl"), "start": whole(host, "starttime"), "end": whole(host, "endtime"),
            "timed_out": host.get("timedout") == "true",
            "open_ports": len(host.findall("ports/port/state[@state='open']")),
            "other_ports": [f"{one.get('state')}:{one.get('count')}" for one in host.iterfind("ports/extraports")],
            "other_reasons": [f"{one.get('reason')}:{one.get('count')}" for one in host.iter("extrareasons")],
            "os": text(match, "name"), "os_accuracy": whole(match, "accuracy"),
            "uptime": whole(host.find("uptime"), "seconds"), "distance": whole(host.find("distance"), "value"),
            "srtt": whole(times, "srtt", 1000), "rttvar": whole(times, "rttvar", 1000),
            "rtt_timeout": whole(times, "to", 1000),
        }  # fmt: skip


def each_port(root: Element) -> Iterator[tuple[Row, Element]]:
    for host in root.iterfind("host"):
        for port in host.iterfind("ports/port"):
            yield {"ip": ip_of(host), "proto": port.get("protocol"), "port": whole(port, "portid")}, port


def ports(root: Element) -> Iterator[Row]:
    for at, port in each_port(root):
        state = port.find("state")
        yield at | {
            "state": text(state, "state"), "reason": text(state, "reason"), "reason_ttl": whole(state, "reason_ttl"),
            "reason_ip": text(state, "reason_ip"), "service": text(port.find("service"), "name"),
            "owner": text(port.find("owner"), "name"), "uid": None,
        }  # fmt: skip


SERVICE = ("name", "product", "version", "extrainfo", "hostname", "ostype", "devicetype", "tunnel", "method",
           "servicefp")  # fmt: skip


def services(root: Element) -> Iterator[Row]:
    for at, port in each_port(root):
        for one in port.iterfind("service"):
            yield at | {key: one.get(key) for key in SERVICE} | {
                "conf": whole(one, "conf"), "cpe": [cpe.text for cpe in one.iterfind("cpe")],
            }  # fmt: skip


def systems(root: Element) -> Iterator[Row]:
    for host in root.iterfind("host"):
        for match in host.iterfind("os/osmatch"):
            of_match = {"ip": ip_of(host), "name": match.get("name"), "accuracy": whole(match, "accuracy"),
                        "line": whole(match, "line")}  # fmt: skip
            for one in match.findall("osclass") or [Element("osclass")]:
                yield of_match | {key: one.get(key) for key in ("type", "vendor", "osfamily", "osgen")} | {
                    "class_accuracy": whole(one, "accuracy"), "cpe": [cpe.text for cpe in one.iterfind("cpe")],
                }  # fmt: skip


def value_of(one: Element) -> Any:
    """An <elem> or <table> as JSON has it."""
    if one.tag == "elem":
        return one.text or ""
    inner = [(part.get("key"), value_of(part)) for part in one if part.tag in ("elem", "table")]
    keyed: dict[str, list[Any]] = {}
    for key, value in inner:
        if key is not None:
            keyed.setdefault(key, []).append(value)
    plain = [value for key, value in inner if key is None]
    if not keyed:
        return plain
    found = {key: values[0] if len(values) == 1 else values for key, values in keyed.items()}
    return found | ({"": plain} if plain else {})


def scripts(root: Element) -> Iterator[Row]:
    def row(one: Element, scope: str, **at: Any) -> Row:
        told = {
            "ip": None,
            "proto": None,
            "port": None,
            "scope": scope,
            "id": one.get("id"),
            "output": one.get("output"),
        }
        return told | {"elements": value_of(one) or None} | at

    for scope in ("prescript", "postscript"):
        yield from (row(one, scope) for one in root.iterfind(f"{scope}/script"))
    for host in root.iterfind("host"):
        for port in host.iterfind("ports/port"):
            at = {"ip": ip_of(host), "proto": port.get("protocol"), "port": whole(port, "portid")}
            yield from (row(one, "port", **at) for one in port.iterfind("script"))
        yield from (row(one, "host", ip=ip_of(host)) for one in host.iterfind("hostscript/script"))


def hops(root: Element) -> Iterator[Row]:
    for host in root.iterfind("host"):
        for hop in host.iterfind("trace/hop"):
            rtt = hop.get("rtt")
            yield {
                "ip": ip_of(host), "ttl": whole(hop, "ttl"), "hop_ip": hop.get("ipaddr"), "hop_host": hop.get("host"),
                # Milliseconds with two decimals.
                "rtt": None if rtt in (None, "--") else int(str(rtt).replace(".", "")) * 10_000,
            }  # fmt: skip


EXPECTED: dict[str, Callable[[Element], Iterator[Row]]] = {
    "hosts": hosts, "ports": ports, "services": services, "os": systems, "scripts": scripts, "hops": hops,
}  # fmt: skip

TOLD = {
    "host": "starttime endtime timedout", "status": "state reason reason_ttl", "address": "addr addrtype vendor",
    "hostname": "name type", "extraports": "state count", "extrareasons": "reason count", "port": "protocol portid",
    "state": "state reason reason_ttl reason_ip", "owner": "name", "service": " ".join((*SERVICE, "conf")),
    "script": "id output", "table": "key", "elem": "key", "osclass": "vendor osgen type accuracy osfamily",
    "osmatch": "name accuracy line", "distance": "value", "uptime": "seconds", "hop": "ttl rtt ipaddr host",
    "times": "srtt rttvar to",
}  # fmt: skip

# element (all its attributes) or (element, attribute) → why no table has it. nmap's XML is there for those who need it.
LEFT_OUT: dict[str | tuple[str, str], str] = {
    "nmaprun": "of the run, not of a host: ScanResult.reports has args, version and start",
    "scaninfo": "what was asked, not what was found",
    "verbose": "what was asked",
    "debugging": "what was asked",
    "target": "a target that nmap leaves out is a note and makes the result incomplete",
    "taskbegin": "progress, shown while nmap runs",
    "taskprogress": "progress, shown while nmap runs",
    "taskend": "progress, shown while nmap runs",
    "smurf": "only a broadcast ping has it; the hosts that answered are rows",
    "portused": "which ports the OS test used: its matches are in `os`",
    "osfingerprint": "text for nmap's developers, written only when nmap asks for it to be sent in",
    "tcpsequence": "raw samples behind the OS match",
    "ipidsequence": "raw samples behind the OS match",
    "tcptssequence": "raw samples behind `uptime`",
    "trace": "which probe the hops answered",
    "output": "what nmap printed, embedded by Zenmap",
    "finished": "of the run: ScanResult.complete, and reports have elapsed",
    "hosts": "of the run: reports have hosts_up and hosts_down",
    ("host", "comment"): "written by other tools, never by nmap",
    ("extrareasons", "proto"): "the same ports as extraports, which nmap does not list one by one",
    ("extrareasons", "ports"): "ports that nmap does not list one by one; -v -v lists closed ones",
    ("uptime", "lastboot"): "`end` less `uptime`, in words",
    ("service", "proto"): "`name` and `version` say which RPC program in which versions",
    ("service", "rpcnum"): "`extrainfo` has it",
    ("service", "lowver"): "`version` has it",
    ("service", "highver"): "`version` has it",
}


def plain(name: str, rows: list[Row]) -> list[Row]:
    """Rows of sniffkit's table as EXPECTED has them: times in seconds, JSON read, without the namespace."""
    out = []
    for row in rows:
        row = {key: value for key, value in row.items() if key != "netns"}
        for key in ("start", "end"):
            if row.get(key) is not None:
                row[key] = int(row[key].timestamp())
        if row.get("elements") is not None:
            row["elements"] = json.loads(row["elements"])
        out.append(row)
    return out
