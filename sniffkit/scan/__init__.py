"""Active discovery: nmap inside a namespace, or our own sweep, as tables."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from sniffkit.errors import SniffkitError
from sniffkit.netlink import label
from sniffkit.points import namespace
from sniffkit.scan import nmapoptions, nmaprun, sweep, targets
from sniffkit.scan.evidence import capture_points, link
from sniffkit.scan.nmaprun import Progress
from sniffkit.scan.report import Report
from sniffkit.scan.result import ScanResult

__all__ = ["Progress", "Report", "ScanResult", "scan"]

# nmap's -p: numbers, ranges with open ends, T: U: S: P:, names of services with * and ?, [ranges] of known ports.
PORTS = re.compile(r"(?:-(?=[0-9]|$)|[0-9a-zTUSP*?\[])[0-9a-zTUSP*?:\[\],-]*")

MOST_SKIPPED = 8  # targets that nmap left out and that have a note each


def scan(
    *target: str | Iterable[str],
    netns: str | int | os.PathLike[str] | None = None,
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
    xml: where nmap's XML is kept. sweep_only: no nmap but our own ARP/ND, ICMP and TCP connect sweep. A name is scanned
    at its first IPv4 address, at its first IPv6 address with the option -6 or where it has no other.
    Raises SniffkitError for a target or timeout that is none, a name that does not resolve or a file that cannot be
    written, MissingToolError without nmap.
    """
    check_files(write, xml)
    netns = namespace(netns)
    if timeout is not None and not timeout > 0:
        raise SniffkitError(f"timeout is a time in seconds, not {timeout}")
    for one in target:
        if not isinstance(one, (str, Iterable)):
            raise SniffkitError(f"a target is a text, or a list of them, not {one!r}")
    if isinstance(options, str) or not isinstance(options, Iterable):
        raise SniffkitError(f"options are a list of nmap's words, not {options!r}")
    words = [word for one in target for word in ([one] if isinstance(one, str) else one)]
    for word in words:
        if not isinstance(word, str):
            raise SniffkitError(f"a target is a text, not {word!r}")
    if targets_from is not None:
        words += targets.from_file(targets_from)
    wanted = targets.parse_all(words, netns, prefer=6 if "-6" in options else 4)
    if sweep_only and (options or profile or xml):
        raise SniffkitError("a sweep takes no nmap options, profile or XML file")
    arguments = [] if sweep_only else arguments_of(profile, ports, options)
    if not sweep_only:
        nmaprun.need_nmap()
    families = sorted({one.family for one in wanted})
    if xml is not None and len(families) > 1:
        raise SniffkitError("--xml keeps one run of nmap: scan IPv4 and IPv6 targets apart")
    result = ScanResult([], label(netns))
    with ExitStack() as stack:
        live = None
        if write is not None:
            from sniffkit.capturing import capture

            points = capture_points(netns, result.notes.append)
            live = stack.enter_context(capture(*points, netns=netns, write=write))
        if sweep_only:
            add_sweep(result, wanted, netns, ports_of(ports), timeout, progress)
        else:
            add_runs(result, wanted, netns, arguments, timeout, progress, xml)
    if live is not None:
        try:
            link(result, live.capture)
        except KeyboardInterrupt:  # what was found is worth more than its flows
            result.interrupted = True
            result.notes.append("interrupted before the flows of ports were looked up")
    return result


def add_sweep(
    result: ScanResult,
    wanted: Sequence[targets.Target],
    netns: str | None,
    ports: Sequence[int],
    timeout: float | None,
    progress: Progress | None,
) -> None:
    """Sweep the targets; what it found, and why it found no more, goes into `result`."""
    addresses = [a for one in wanted for a in targets.addresses(one, netns, sweep.MAX_ADDRESSES)]
    if len(addresses) > sweep.MAX_ADDRESSES:
        raise SniffkitError(f"over {sweep.MAX_ADDRESSES} addresses; sweep a smaller network")
    done = sweep.sweep(list(dict.fromkeys(addresses)), netns, ports, timeout=timeout, progress=progress)
    result.reports.append(done.report)
    result.interrupted = done.interrupted
    if not done.raw:
        result.notes.append("no CAP_NET_RAW: only TCP connects were tried")
    if done.stopped is not None:
        result.notes.append(f"{done.stopped}; what was found by then is kept")


def add_runs(
    result: ScanResult,
    wanted: Sequence[targets.Target],
    netns: str | None,
    arguments: list[str],
    timeout: float | None,
    progress: Progress | None,
    xml: str | os.PathLike[str] | None,
) -> None:
    """Run nmap once for each family of the targets; what came of it goes into `result`."""
    until = None if timeout is None else time.monotonic() + timeout
    if not nmaprun.raw_sockets(netns, arguments):
        arguments, changed = nmapoptions.without_raw_sockets(arguments)
        result.notes += changed
    for family in sorted({one.family for one in wanted}):
        of_family = [one for one in wanted if one.family == family]
        left = None if until is None else until - time.monotonic()
        if result.interrupted or (left is not None and left <= 0):
            result.left_out = True
            result.notes.append(f"IPv{family} targets were not scanned any more")
            continue
        run = nmaprun.run(of_family, arguments, netns, left, progress)
        try:
            add_run(result, run, timeout, xml)
        except KeyboardInterrupt:  # what was found is worth more than what there is to say of it
            result.interrupted = True
            result.notes.append("interrupted; what was found by then is kept")


def add_run(result: ScanResult, run: nmaprun.Run, timeout: float | None, xml: str | os.PathLike[str] | None) -> None:
    """Put what came of one run into `result`. Raises SniffkitError if nmap refused and nothing was found before."""
    result.reports.append(run.report)
    result.xml.append(run.xml)
    result.interrupted = run.interrupted
    if xml is not None:
        not_kept = keep(run.xml, os.fspath(xml))
        result.notes += not_kept
        result.left_out |= bool(not_kept)
    error = nmaprun.refused(run)
    if error is not None and not result.found:
        raise error
    # Something was found before: it is worth more than the error, which is told all the same.
    result.left_out |= error is not None or bool(nmaprun.unresolved(run))
    result.notes += [str(error)] if error is not None else [f"nmap: {line}" for line in nmaprun.unresolved(run)]
    result.notes += [f"nmap: {line}" for line in nmaprun.warnings(run)]
    result.notes += not_scanned(run)
    if run.stopped is not None and error is None:
        said = f"stopped after {timeout:g} s" if run.timed_out else run.stopped
        result.notes.append(f"{said}; what was found by then is kept")


def arguments_of(profile: str | None, ports: str | None, options: Sequence[str]) -> list[str]:
    """nmap's options for a profile, ports and what the user adds."""
    if profile is not None and profile not in nmapoptions.PROFILES:
        raise SniffkitError(f"no profile {profile!r}; there are: {' '.join(nmapoptions.PROFILES)}")
    arguments = list(nmapoptions.PROFILES[profile]) if profile else []
    if ports is not None:
        if not PORTS.fullmatch(ports):
            raise SniffkitError(f"ports {ports!r}: as nmap's -p, such as 22,80,8000-8100 or U:53,T:80")
        arguments += ["-p", ports]
    arguments += [word for word in nmapoptions.check(options) if word != "-6"]  # each run has its family's
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


def check_files(
    write: str | os.PathLike[str] | None, xml: str | os.PathLike[str] | None, out: str | None = None
) -> None:
    """Raise SniffkitError for a file that cannot be written, or that two outputs would share: one would replace the
    other. out: where the table goes; `-` is standard output, which is nobody else's.
    """
    taken: dict[str, str] = {}
    for option, file in (("--write", write), ("--xml", xml), ("-o", None if out == "-" else out)):
        if file is None:
            continue
        path = os.fspath(file)
        if path == "-":
            raise SniffkitError(f"{option} takes a file; standard output is the table's")
        may_write(path)
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option and (os.path.isfile(path) or not os.path.exists(path)):  # not /dev/null and the like
            raise SniffkitError(f"{path}: {other} and {option} would be one file")


def may_write(path: str) -> None:
    """Raise SniffkitError if a file cannot be written: better before a long scan than after it."""
    directory = os.path.dirname(path) or "."
    if not path or os.path.isdir(path) or not os.path.isdir(directory):
        raise SniffkitError(f"{path}: {os.strerror(errno.EISDIR if os.path.isdir(path) else errno.ENOENT)}")
    if not os.access(path if os.path.exists(path) else directory, os.W_OK):
        raise SniffkitError(f"{path}: {os.strerror(errno.EACCES)}")


def not_scanned(run: nmaprun.Run) -> list[str]:
    """What to say of targets that nmap left out, many in one note: with nmap's own words if it had any (no route)."""
    skipped, why = run.report.skipped, dict[str, str]()
    for line in nmaprun.words(run) if skipped else []:
        for word in line.split():
            why.setdefault(word, f": {line.removeprefix('setup_target: ')}")
    if len(skipped) > MOST_SKIPPED:
        return [f"{len(skipped):,} targets were not scanned, among them {skipped[0]!r}{why.get(skipped[0], '')}"]
    return [f"target {target!r} was not scanned{why.get(target, '')}" for target in skipped]


def keep(xml: bytes, path: str) -> list[str]:
    """Write nmap's XML as it came. What went wrong is said, not raised: the result is worth more than the file."""
    try:
        with open(path, "wb") as file:
            file.write(xml)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return []
