"""`lab check`: the file's traffic and expectations, with a capture of the whole lab beside them."""

from __future__ import annotations

import io
import ipaddress
import os
import re
import shutil
import struct
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sniffkit.errors import CaptureWarning, FilterError, LabError
from sniffkit.lab import state
from sniffkit.lab.expectations import ACTS, address_of, host_of
from sniffkit.lab.model import LabSpec
from sniffkit.lab.processes import search_path
from sniffkit.lab.report import outdated
from sniffkit.lab.running import Lab, need_home
from sniffkit.lab.spec import parse
from sniffkit.options import capture_format

if TYPE_CHECKING:
    from sniffkit.api import Capture
    from sniffkit.capturing import LiveCapture

# Kinds of interfaces whose frames are no Ethernet frames.
NOT_ETHERNET = {"tun", "nlmon"}
# column → type (sniffkit.rows.TYPES)
COLUMNS = {"ok": "bool", "expectation": "text", "found": "text"}
# A lab with more interfaces than this is watched only where an expectation looks.
MAX_POINTS = 64
# Frames are captured in blocks: wait this long for those of the last action to be there before the next begins.
SETTLE_SECONDS = 0.02
TRIES_SECONDS = 8.0
TIMEOUT = 124  # as timeout(1) ends
NO_FRAMES = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)  # a pcap file: draft-ietf-opsawg-pcap, 4
CURL_UNDONE = {1, 2, 3, 5, 6}  # curl(1): its own faults, a URL it cannot read, names without an address


@dataclass
class Result:
    """Whether an expectation was met, what happened, and if not, the frames seen meanwhile."""

    expectation: str
    ok: bool
    found: str
    seen: list[str] = field(default_factory=list)
    begin: int = 0
    end: int = 0

    def row(self, words: bool) -> dict[str, Any]:
        """As a row of the table; `ok` as a person's word, or as what programs take for true and false."""
        ok = ("yes" if self.ok else "NO") if words else self.ok
        return {"ok": ok, "expectation": self.expectation, "found": self.found}


def check_file(path: str, write: str | None = None) -> list[Result]:
    """Check a lab that is up, or build it for that."""
    spec = parse(path)
    lab = Lab(spec)
    if not spec.expect:
        raise LabError(f"{path}: there is nothing under expect")
    _refuse(spec, write)
    if lab.is_up and state.file_of(lab.name) == os.path.abspath(path):
        changed = outdated(spec)
        if changed is not None:
            raise LabError(changed)
        return check(lab, write)
    with lab:
        return check(lab, write)


def check(lab: Lab, write: str | os.PathLike[str] | None = None) -> list[Result]:
    """Run the traffic, then each expectation; look at the capture afterwards.

    Raises LabError if traffic fails, or before anything is done for a filter that is none or a `write` that is pcap.
    """
    spec = lab.spec
    _refuse(spec, write)
    if write is None:
        handle, path = tempfile.mkstemp(prefix="sniffkit-", suffix=".pcapng")
        os.close(handle)
    else:
        path = os.fsdecode(write)
    try:
        live = _watch(spec, path)
        try:
            for one in spec.traffic:
                try:
                    ok, said = act(lab, one)
                except Undone as error:
                    ok, said = False, str(error)
                if not ok:
                    raise LabError(f"lab {spec.name}: traffic: {title(one)}: {said}")
            results = [_expect(lab, one) for one in spec.expect]
        finally:
            if live is not None:
                time.sleep(SETTLE_SECONDS)
                live.stop()
        if live is not None:
            lost = sum(point.dropped for point in live.stats)
            for one, result in zip(spec.expect, results, strict=True):
                _look(spec, one, result, live.capture)
                if lost and not result.ok:
                    result.found += f"; {lost} frames of all were too many for the capture"
    finally:
        if write is None:
            os.unlink(path)
    return results


def _refuse(spec: LabSpec, write: str | os.PathLike[str] | None) -> None:
    """What could prove nothing in the end."""
    path = "" if write is None else os.fsdecode(write)
    if capture_format(path) == "pcap":
        raise LabError(f"{path}: a pcap file does not say at which interface a frame was seen: name it .pcapng")
    compile_filters(spec)


def compile_filters(spec: LabSpec) -> None:
    """Raises LabError for a filter under `sees` or `never` that libpcap does not accept."""
    import sniffkit as sk

    for number, one in enumerate(spec.expect):
        for key in ("sees", "never"):
            for point, filter in one.get(key, {}).items():
                try:
                    sk.open(io.BytesIO(NO_FRAMES)).packets(filter=filter).stream()
                except FilterError as error:
                    path = ("expect", number, key, point)
                    raise spec.source.error(path, f"{point} {key} {filter!r}: {error}") from None


def _watch(spec: LabSpec, path: str) -> LiveCapture | None:
    from sniffkit.capturing import capture
    from sniffkit.lab.capturing import RING_KIB, comment, points_of

    named = [point for one in spec.expect for key in ("sees", "never") for point in one.get(key, {})]
    points = points_of(spec, named) if named else []
    whole = [str(one) for one in spec.interfaces.values() if one.up]
    if len(whole) <= MAX_POINTS:
        points = points_of(spec, [*whole, *named]) if whole or named else []
    if not points:
        return None
    if any("/" not in point for point in points):
        need_home(spec.name)
    return capture(*points, write=path, buffer_kib=RING_KIB, comment=comment(spec))


def title(one: dict[str, Any]) -> str:
    """An expectation as a line."""
    if "name" in one:
        return str(one["name"])
    what = next(name for name in ACTS if name in one)
    text = f"{one['from']} {what} {one[what]}"
    if one.get("fails"):
        text += " fails"
    if one.get("hops"):
        text += f" by {' '.join(one['hops'])}"
    for key in ("sees", "never"):
        text += "".join(f", {point} {key} {filter!r}" for point, filter in one.get(key, {}).items())
    return text


def _expect(lab: Lab, one: dict[str, Any]) -> Result:
    begin = time.time_ns()
    try:
        worked, said = act(lab, one)
        ok = worked != bool(one.get("fails"))
    except Undone as error:
        ok, said = False, f"could not be done: {error}"
    time.sleep(SETTLE_SECONDS)
    return Result(title(one), ok, said, begin=begin, end=time.time_ns())


def _look(spec: LabSpec, one: dict[str, Any], result: Result, capture: Capture) -> None:
    """What the wire says: the frames between begin and end at each point that is named, all of them if it failed."""
    from sniffkit.lab.capturing import place, summary

    def rows(filter: str | None, own: str = "") -> list[dict[str, Any]]:
        with warnings.catch_warnings():
            # A filter need not suit the link types of other points than its own.
            node, _, name = own.partition("/")
            there = spec.interfaces.get((node, name))
            if there is None or there.kind not in NOT_ETHERNET:
                warnings.filterwarnings("ignore", "(?s).*no frame of link type", CaptureWarning)
            found = capture.packets(filter=filter).to_arrow()
        times = found.column("ts").cast("int64").to_pylist()
        return [row for row, when in zip(found.to_pylist(), times, strict=True) if result.begin <= when <= result.end]

    for key, wanted in (("sees", True), ("never", False)):
        for point, filter in one.get(key, {}).items():
            found = [row for row in rows(filter, point) if place(row) == point.removeprefix("host/")]
            if bool(found) != wanted:
                result.ok = False
                result.found += f"; {point}: {len(found)} frames match {filter!r}"
    if not result.ok:
        everything = sorted(rows(None), key=lambda row: row["ts"])
        # Every new interface announces itself by IPv6 for seconds; that is rarely what is looked for.
        quiet = [row for row in everything if "icmpv6" not in row["protocols"]]
        result.seen = [summary(row) for row in quiet or everything][:40] or ["nothing was seen on the wire"]


# actions: each returns whether it worked and what happened, in a few words


def act(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    """Do what an entry of traffic or expect says. Raises Undone if that cannot be done, whatever the network does."""
    for name, action in ACTIONS.items():
        if name in one:
            return action(lab, one)
    raise AssertionError(one)


class Undone(Exception):
    """An action that could not be done at all: neither that something works nor that it fails is shown by it."""


class Done(NamedTuple):
    """What a command in a node came to."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that it said."""
        return self.out + self.err


# What changes who is asked for a name, and for which (resolv.conf(5), hostname(7)): a node's own files say that.
PERSONAL = {"LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES"}
# program → the Debian package that has it
PROGRAMS = {"ping": "iputils-ping", "curl": "curl", "getent": "libc-bin", "ip": "iproute2"}


def _run(lab: Lab, one: dict[str, Any], argv: list[str], seconds: float = 30) -> Done:
    import subprocess

    if argv[0] in PROGRAMS and shutil.which(argv[0], path=search_path()) is None:
        raise Undone(f"{argv[0]} is missing: sudo apt install {PROGRAMS[argv[0]]}")
    # Files, not pipes: what a command leaves running in the background may keep its output open.
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        options = {"capture_output": False, "stdout": out, "stderr": err, "timeout": seconds}
        if "run" not in one:
            options["env"] = {name: text for name, text in lab.environment.items() if name not in PERSONAL}
        try:
            code = lab[one["from"]].run(argv, check=False, **options).returncode
        except subprocess.TimeoutExpired:
            return Done(TIMEOUT, "", f"no answer within {seconds:.0f} s")
        for file in (out, err):
            file.seek(0)
        done = Done(code, out.read(), err.read())
    if done.err.startswith(("exec of ", "Cannot open network namespace")):  # ip-netns(8)'s own words
        raise Undone(_last(done.err))
    return done


def _last(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no output"


def _echo(lab: Lab, one: dict[str, Any], argv: list[str], seconds: float = 30) -> tuple[int, str]:
    """ping(8). Without its statistics only a route that refuses, as connect(2) tells, says something of the network."""
    done = _run(lab, one, argv, seconds)
    refused = re.search(r"^(?:ping: )?connect: |check your local firewall rules", done.text, re.MULTILINE)
    if not refused and "packets transmitted" not in done.text and done.code != TIMEOUT:
        raise Undone(_last(done.text))
    return done.code, done.text


def _ping(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    """Again while nothing at all answers: neighbours that cannot be found are given up after 3 s (RFC 4861, 7.2.2).

    A network that was made a moment ago may need longer to settle.
    """
    target, count = address_of(lab.spec, one["ping"]), one.get("count", 1)
    argv = ["ping", "-n", "-c", str(count), "-i", "0.2", "-W", "1" if one.get("fails") else "5"]
    if "size" in one:
        argv += ["-s", str(one["size"])]
    until = time.monotonic() + (0 if one.get("fails") else TRIES_SECONDS)
    while True:
        code, text = _echo(lab, one, [*argv, "--", target], 30 + count)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        if found is None or found[2] != "0" or time.monotonic() > until:
            break
    if one.get("fails"):  # a single answer shows that there is a way
        ok = found is not None and found[2] != "0"
    else:
        ok = code == 0 and found is not None and found[1] == found[2]
    errors = [line for line in text.splitlines() if re.match(r"From .* icmp_seq|ping: ", line)]
    rtt = re.search(r"= [\d.]+/([\d.]+)/", text)
    said = f"{found[2]} of {found[1]} answered" if found else _last(text)
    return ok, said + (f" in {rtt[1]} ms" if rtt else "") + (f" ({errors[0]})" if errors and not ok else "")


def _http(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    limit = "2" if one.get("fails") else "8"
    # It goes to the server itself, whatever proxy ~/.curlrc (-q, which must be first) or the environment names.
    argv = ["curl", "-q", "--noproxy", "*", "-sS", "-m", limit, "-o", "-", "-w", "\n%{http_code}", one["http"]]
    done = _run(lab, one, argv)
    if done.code in CURL_UNDONE:
        raise Undone(_last(done.err))
    body, _, status = done.out.rpartition("\n")
    if one.get("fails") and not {"status", "output"} & set(one) and status.strip("0").isdigit():
        return True, f"status {status}"  # whatever it answers, and however that ends, it was reached
    if done.code:
        return False, _last(done.err)
    ok = int(status) == one.get("status", 200)
    if "output" in one:
        ok = ok and re.search(one["output"], body) is not None
    return ok, f"status {status}, {body.strip()[:60]!r}"


# Ends with 3 if there is no connection, with 2 if there is no address to connect to (Python's own faults: 1).
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except OSError as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(2 if isinstance(error, socket.gaierror) else 3)
"""


def _tcp(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    limit = "1.5" if one.get("fails") else "8"
    port = one["tcp"].rpartition(":")[2]
    # -I: no modules of the directory that the check is started in.
    done = _run(lab, one, [sys.executable, "-I", "-S", "-c", CONNECT, host_of(lab.spec, one["tcp"]), port, limit])
    if done.code not in (0, 3, TIMEOUT):
        raise Undone(_last(done.text))
    return done.code == 0, "connected" if done.code == 0 else _last(done.text)


def _dns(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    done = _run(lab, one, ["getent", "-s", "dns", "ahosts", one["dns"]])
    if done.code not in (0, 2, TIMEOUT):  # 2: it has no such name
        raise Undone(_last(done.text))
    addresses = list(dict.fromkeys(line.split()[0] for line in done.out.splitlines() if line.strip()))
    ok = done.code == 0 and bool(addresses) and ("answer" not in one or one["answer"] in addresses)
    return ok, " ".join(addresses) or "no answer"


def _path(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    """Echo requests with growing TTL; each router on the way says who it is."""
    target = address_of(lab.spec, one["path"])
    hops: list[str] = []
    for ttl in range(1, 31):
        _, text = _echo(lab, one, ["ping", "-n", "-c1", "-W2", "-t", str(ttl), "--", target])
        found = re.search(r"^From (\S+?):? icmp_seq=\d+ Time (?:to live )?exceeded", text, re.MULTILINE)
        reached = re.search(r"^\d+ bytes from (\S+?):? ", text, re.MULTILINE)
        hops.append((found or reached)[1].rstrip(":") if found or reached else "*")  # type: ignore[index]
        if reached or hops[-3:] == ["*"] * 3:
            break
    ok = bool(reached) and ("hops" not in one or hops == one["hops"])
    return ok, " ".join(hops)


def _command(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    done = _run(lab, one, ["sh", "-c", one["run"]], 60)
    code, text = done.code, done.text
    if code in (126, 127):  # sh(1): what is to be run cannot be, or is not there
        raise Undone(f"exit {code}: {_last(text)}")
    ok = code == 0
    if "output" in one:
        ok = ok and re.search(one["output"], text) is not None
    return ok, f"exit {code}: {_last(text)}" if not ok or text.strip() else f"exit {code}"


def _lease(lab: Lab, one: dict[str, Any]) -> tuple[bool, str]:
    """An address that the file did not give: by DHCP or router advertisement, and no longer tentative."""
    import json

    wanted = ipaddress.ip_network(one["in"]) if "in" in one else None
    interface = lab.spec.interfaces.get((one["from"], one["lease"]))
    given = {text.partition("/")[0] for text in interface.addresses} if interface is not None else set()
    until = time.monotonic() + TRIES_SECONDS
    found: list[str] = []
    while True:
        done = _run(lab, one, ["ip", "-j", "address", "show", "dev", one["lease"], "scope", "global"])
        if done.code not in (0, TIMEOUT):
            raise Undone(_last(done.text))
        found = []
        for entry in json.loads(done.out or "[]"):
            for address in entry.get("addr_info", []):
                if "local" in address and not address.get("tentative") and address["local"] not in given:
                    found.append(address["local"])
        for text in found:
            if wanted is None or ipaddress.ip_address(text) in wanted:
                return True, text
        if time.monotonic() > until:
            return False, " ".join(found) or "no address"
        time.sleep(0.1)


ACTIONS = {
    "ping": _ping,
    "http": _http,
    "tcp": _tcp,
    "dns": _dns,
    "path": _path,
    "run": _command,
    "lease": _lease,
}

__all__ = ["COLUMNS", "Result", "act", "check", "check_file"]
