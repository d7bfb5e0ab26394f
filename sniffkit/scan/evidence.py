"""The scan's own packets: where they pass, and which flow proved what nmap says of a port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sniffkit.errors import SniffkitError
from sniffkit.netlink import links, shown

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.scan.result import ScanResult

COLUMNS = ["uid", "proto", "orig_h", "resp_h", "resp_p", "resp_pkts"]


def capture_points(netns: str | None, say: Callable[[str], None]) -> list[str]:
    """The interfaces of a namespace through which a scan can go: those that are up. say: told of those left out."""
    points = []
    for name in (one.name for one in links(netns) if one.state in ("up", "unknown")):
        if shown(name) == name:
            points.append(name)
        else:  # captures and their files name interfaces in UTF-8
            say(f"nothing is captured on interface {shown(name)}: its name is not UTF-8")
    if not points:
        raise SniffkitError(f"no interface is up in {netns or 'this namespace'}: nothing to capture the scan on")
    return points


def link(result: ScanResult, capture: Capture) -> None:
    """Fill `result.uids`: per port the first flow to it that was answered, else the first flow to it."""
    # A zone is of this machine only: packets have none.
    names = {host.ip.partition("%")[0]: host.ip for host in result.found}
    wanted = {(host.ip, port.proto, port.number) for host in result.found for port in host.ports}
    answered: dict[tuple[str, str, int], str] = {}
    asked: dict[tuple[str, str, int], str] = {}
    columns = [column.to_pylist() for column in capture.flows(COLUMNS).to_arrow().columns]
    for uid, proto, _, resp_h, resp_p, resp_pkts in zip(*columns, strict=True):
        key = (names.get(resp_h, resp_h), proto, resp_p)
        if key in wanted:
            asked.setdefault(key, uid)
            if resp_pkts:
                answered.setdefault(key, uid)
    result.uids = asked | answered
