"""Active discovery: nmap inside a namespace, or our own sweep, as tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from sniffkit.errors import SniffkitError
from sniffkit.scan import nmapoptions, nmaprun, sweep, targets
from sniffkit.scan.evidence import capture_points, link
from sniffkit.scan.nmaprun import Progress
from sniffkit.scan.report import Report
from sniffkit.scan.result import ScanResult

__all__ = ["Progress", "Report", "ScanResult", "scan"]


def scan(
    *target: str | Iterable[str],
    netns: str | None = None,
    profile: str | None = None,
    ports: str | None = None,
    options: Sequence[str] = (),
    targets_from: str | None = None,
    timeout: float | None = None,
    write: str | os.PathLike[str] | None = None,
    xml: str | os.PathLike[str] | None = None,
    sweep_only: bool = False,
    progress: Progress | None = None,
) -> ScanResult:
    """Scan targets from inside a namespace: addresses, networks, nmap's ranges, or names that resolve there.

    profile: ping (who is up), ports (nmap's own choice of ports), all (nmap's -A). ports: as nmap's -p.
    options: further nmap options, one word each. targets_from: a file of targets. timeout: seconds, then what was
    found is kept. write: pcapng of the scan's own packets; port rows then name the flow that proved them.
    xml: where nmap's XML is kept. sweep_only: no nmap but our own ARP/ND, ICMP and TCP connect sweep.
    Raises SniffkitError for a target that is none or does not resolve, MissingToolError without nmap.
    """
    words = [word for one in target for word in ([one] if isinstance(one, str) else one)]
    if targets_from is not None:
        words += targets.from_file(targets_from)
    wanted = targets.parse_all(words, netns)
    if sweep_only and (options or profile or xml):
        raise SniffkitError("a sweep takes no nmap options, profile or XML file")
    arguments = [] if sweep_only else arguments_of(profile, ports, options)
    if not sweep_only:
        nmaprun.need_nmap()
    families = sorted({one.family for one in wanted})
    if xml is not None and len(families) > 1:
        raise SniffkitError("--xml keeps one run of nmap: scan IPv4 and IPv6 targets apart")
    result = ScanResult([], netns)
    with ExitStack() as stack:
        live = None
        if write is not None:
            from sniffkit.capturing import capture

            live = stack.enter_context(capture(*capture_points(netns), netns=netns, write=write))
        if sweep_only:
            addresses = [a for one in wanted for a in targets.addresses(one, netns, sweep.MAX_ADDRESSES)]
            if len(addresses) > sweep.MAX_ADDRESSES:
                raise SniffkitError(f"over {sweep.MAX_ADDRESSES} addresses; sweep a smaller network")
            report = sweep.sweep(list(dict.fromkeys(addresses)), netns, ports_of(ports))
            result.reports.append(report)
            if "TCP only" in (report.args or ""):
                result.notes.append("no CAP_NET_RAW: only TCP connects were tried")
        else:
            if not nmaprun.raw_sockets(netns):
                arguments, changed = nmapoptions.without_raw_sockets(arguments)
                result.notes += changed
            for family in families:
                one_family = [one for one in wanted if one.family == family]
                run = nmaprun.run(one_family, arguments, netns, timeout, progress)
                if xml is not None:
                    keep(run.xml, os.fspath(xml))
                error = nmaprun.refused(run)
                if error is not None:
                    raise error
                result.reports.append(run.report)
                result.xml.append(run.xml)
                if run.stopped is not None:
                    result.notes.append(f"{run.stopped}; what was found by then is kept")
                if run.interrupted:
                    result.interrupted = True
                    break
    if live is not None:
        link(result, live.capture)
    return result


def arguments_of(profile: str | None, ports: str | None, options: Sequence[str]) -> list[str]:
    """nmap's options for a profile, ports and what the user adds."""
    if profile is not None and profile not in nmapoptions.PROFILES:
        raise SniffkitError(f"no profile {profile!r}; there are: {' '.join(nmapoptions.PROFILES)}")
    arguments = list(nmapoptions.PROFILES[profile]) if profile else []
    if ports is not None:
        if (
            not ports
            or ports.startswith("-")
            or not set(ports) <= set("0123456789,-TUSP:[]*?abcdefghijklmnopqrstuvwxyz")
        ):
            raise SniffkitError(f"ports {ports!r}: as nmap's -p, such as 22,80,8000-8100 or U:53,T:80")
        arguments += ["-p", ports]
    arguments += nmapoptions.check(options)
    # Namespaces seldom reach a name server, and each reverse look-up would wait for it: -R asks for them all the same.
    if not {"-R", "--system-dns"} & set(arguments) and not any(word.startswith("--dns-servers") for word in arguments):
        arguments.append("-n")
    return arguments


def ports_of(text: str | None) -> list[int]:
    """The ports of a sweep: numbers and ranges."""
    if text is None:
        return list(sweep.PORTS)
    try:
        found = sorted(targets.octet_values(text)) if set(text) <= set("0123456789,-") else []
    except (ValueError, SniffkitError):
        found = []
    if not found or found[-1] > 65535 or any(part.startswith("-") or part.endswith("-") for part in text.split(",")):
        raise SniffkitError(f"ports {text!r}: a sweep takes numbers and ranges, such as 22,80,8000-8100")
    return found


def keep(xml: bytes, path: str) -> None:
    """Write nmap's XML as it came."""
    try:
        with open(path, "wb") as file:
            file.write(xml)
    except OSError as error:
        raise SniffkitError(f"{path}: {error.strerror}") from None
