"""One run of nmap inside a namespace: started here, not by python-nmap, whose scan() lets targets be options, shows no
progress and drops what a killed nmap had found. Its XML is read while it runs, so nothing that was found is lost."""

from __future__ import annotations

import ctypes
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from sniffkit.errors import MissingToolError, SniffkitError
from sniffkit.namefiles import run_with_files
from sniffkit.netlink import run_in
from sniffkit.scan.report import Reader, Report
from sniffkit.scan.targets import Target

# (what nmap is at, percent or None, seconds since the start)
Progress = Callable[[str, float | None, float], None]

GRACE = 3.0  # seconds that nmap gets to end after SIGTERM
KEEP_STDERR = 64 * 1024
PR_SET_PDEATHSIG = 1  # linux/prctl.h
CAP_NET_RAW = 13  # linux/capability.h
MOST_WARNINGS = 8
# "No targets" is said where each of them was left out.
WARNING = re.compile(r"(?:\w+: )?warning:(?! No targets)|.*not be honored", re.IGNORECASE)
# Beginnings of lines, in small letters, that are not why nmap gave up.
NO_REASON = ("see the output", "quitting", "warning", "starting nmap", "nse: failed to initialize", "stack traceback")


def need_nmap() -> str:
    """The path of nmap. Raises MissingToolError with how to get it."""
    path = shutil.which("nmap", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/bin:/usr/bin")
    if path is None:
        raise MissingToolError("nmap is not installed: sudo apt install nmap (or --sweep, which needs no nmap)")
    return path


def raw_sockets(netns: str | None, options: Sequence[str]) -> bool:
    """Whether nmap may open raw sockets in the namespace: with CAP_NET_RAW as root or one that it is told of, or if
    NMAP_PRIVILEGED says so."""

    def attempt() -> bool:
        try:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        except PermissionError:
            return False
        return os.geteuid() == 0 or (bool(privileged()) and "--unprivileged" not in options)

    return run_in(netns, attempt) or "NMAP_PRIVILEGED" in os.environ


def privileged() -> list[str]:
    """What tells nmap of raw sockets that programs inherit: by itself it goes by the user alone."""
    return ["--privileged"] if inherits_net_raw() and "NMAP_UNPRIVILEGED" not in os.environ else []


def inherits_net_raw() -> bool:
    """Whether CAP_NET_RAW is among the ambient capabilities, which programs get that are executed: capabilities(7)."""
    try:
        with open("/proc/thread-self/status", encoding="ascii", errors="replace") as file:
            found = next(line for line in file if line.startswith("CapAmb:"))
    except (OSError, StopIteration):
        return False
    return bool(int(found.split()[1], 16) >> CAP_NET_RAW & 1)


@dataclass
class Run:
    """What came of one run. xml: every byte that nmap wrote; stopped: why it did not come to its end, else None;
    timed_out: because time was up."""

    report: Report
    xml: bytes
    stderr: str
    stopped: str | None = None
    interrupted: bool = False
    timed_out: bool = False
    code: int = 0


def run(
    targets: Sequence[Target],
    options: Sequence[str],
    netns: str | None = None,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run nmap on targets of one family. timeout in seconds, after which what was found by then is kept.

    Targets go in by standard input, where no word can be an option. ^C ends nmap and marks the run interrupted.
    """
    # Not --noninteractive: it also ends --stats-every. In a group of its own nmap leaves the terminal's keys alone.
    # Of --privileged and --unprivileged the last one counts.
    command = [need_nmap(), *privileged(), "-oX", "-", "-iL", "-", *options]
    if targets[0].family == 6:
        command.append("-6")
    if progress is not None:
        command += ["--stats-every", "1s"]

    ended = threading.Event()
    process = None
    try:
        process = start(command, netns, ended)
        return attend(process, "\n".join(one.text for one in targets).encode() + b"\n", timeout, progress)
    finally:
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        ended.set()


def start(command: Sequence[str], netns: str | None, ended: threading.Event) -> subprocess.Popen[bytes]:
    """Start nmap in a namespace, on a thread that stays until `ended`: the kernel kills nmap when that thread is gone,
    and so when this process is, however it ended (prctl(2)). Raises SniffkitError if it cannot be executed.
    """
    begun: Future[subprocess.Popen[bytes]] = Future()
    libc = ctypes.CDLL(None)

    def die_with_us() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def stay() -> None:
        # A child belongs to the namespace of the thread that forks it. Its own process group: ^C is ours to handle.
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, process_group=0, preexec_fn=die_with_us
        )
        begun.set_result(process)
        ended.wait()

    def work() -> None:
        try:
            run_with_files(netns, stay)
        except BaseException as error:  # handed to the caller's thread
            begun.set_exception(error)

    threading.Thread(target=work, name="nmap").start()
    try:
        return begun.result()
    except OSError as error:
        raise SniffkitError(f"{command[0]}: {error.strerror}") from None


def attend(process: subprocess.Popen[bytes], feed: bytes, timeout: float | None, progress: Progress | None) -> Run:
    """Feed nmap its targets and read what it writes until both outputs end, it is stopped or time is up."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    reader = Reader()
    xml, errors = bytearray(), bytearray()
    started = time.monotonic()
    stopped: str | None = None
    interrupted = timed_out = False
    deadline = None if timeout is None else started + timeout
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        ready.register(process.stderr, selectors.EVENT_READ)
        outputs = 2
        while outputs:
            try:
                now = time.monotonic()
                if deadline is not None and now >= deadline:
                    if stopped is not None:
                        process.kill()
                        break
                    stopped, timed_out = f"stopped after {timeout:g} s", True
                    process.send_signal(signal.SIGTERM)
                    deadline = now + GRACE
                wait = 0.5 if deadline is None else min(0.5, max(0.0, deadline - now))
                for key, _ in ready.select(wait):
                    if key.fileobj is process.stdin:
                        feed = push(process, feed)
                        if not feed:
                            ready.unregister(process.stdin)
                            process.stdin.close()
                        continue
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        ready.unregister(key.fileobj)
                        outputs -= 1
                    elif key.fileobj is process.stdout:
                        xml += data
                        reader.feed(data)
                    elif len(errors) < KEEP_STDERR:
                        errors += data
                if progress is not None:
                    progress(reader.task, reader.percent, time.monotonic() - started)
            except KeyboardInterrupt:
                # The second time at once.
                deadline = time.monotonic() + (0 if interrupted else GRACE)
                stopped, interrupted = "interrupted", True
                process.send_signal(signal.SIGTERM)
    code = process.wait()
    report = reader.close()
    if stopped is None and code < 0:
        # Real-time signals have no names.
        name = f" ({signal.Signals(-code).name})" if -code in set(signal.Signals) else ""
        stopped = f"nmap was ended by signal {-code}{name}"
    if stopped is None and not report.finished:
        stopped = report.damage or "nmap ended early"
    return Run(report, bytes(xml), errors.decode(errors="replace"), stopped, interrupted, timed_out, code)


def push(process: subprocess.Popen[bytes], feed: bytes) -> bytes:
    """Write what the pipe takes; the rest. Nothing is left if nmap reads no more."""
    assert process.stdin is not None
    try:
        return feed[os.write(process.stdin.fileno(), feed[: 1 << 16]) :]
    except BlockingIOError:
        return feed
    except BrokenPipeError:
        return b""


def words(run: Run) -> list[str]:
    """What nmap said on standard error, line by line."""
    return [line.strip() for line in run.stderr.splitlines() if line.strip()]


def unresolved(run: Run) -> list[str]:
    """nmap's complaints about names that did not resolve; it goes on with the others."""
    return [line for line in words(run) if line.startswith("Failed to resolve")]


def warnings(run: Run) -> list[str]:
    """What nmap warned of, of options that it does not honour among it; of warnings without end the first ones."""
    # It says in two lines which options are not honoured.
    said = run.stderr.replace("require raw socket access.\n", "require raw socket access. ")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    found = list(dict.fromkeys(line for line in lines if WARNING.match(line)))
    more = [f"{len(found) - MOST_WARNINGS:,} more warnings"] if len(found) > MOST_WARNINGS else []
    return found[:MOST_WARNINGS] + more


def refused(run: Run) -> SniffkitError | None:
    """The error for a run in which nmap did not accept its options or its targets; None if it scanned."""
    if run.report.hosts:
        return None
    if lines := unresolved(run):
        return SniffkitError(f"nmap: {lines[0]}")
    if run.stopped is not None and not run.interrupted and not run.timed_out and run.code >= 0:
        said = [line for line in words(run) if not line.lower().startswith(NO_REASON)]
        reason = re.sub(r"^\S*\.lua:[0-9]+: ", "", said[0]) if said else ""
        if run.code > 0 or reason or run.report.version is None:
            return SniffkitError(f"nmap: {reason or run.report.damage or 'nmap ended early without a word'}")
    return None
