"""A live session from the command line: start, wait, report."""

from __future__ import annotations

import errno
import os
import sys
import time

from sniffkit.cli import say
from sniffkit.errors import CaptureError, SniffkitError
from sniffkit.interrupts import signal
from sniffkit.options import capture_format
from sniffkit.points import is_file_at, kept, kept_as, own_output, parquet_of, point, rehearse, settle, start, utf8

TYPE_CHECKING = False  # as in sniffkit.cli
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

# What no shell takes for anything else.
SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./-_")


def run_plain(_: str, words: tuple[str, ...], options: dict[str, Any]) -> int:
    """The command in its plain form; the exit code."""
    return run(" ".join(words), options)


def run(expression: str, options: dict[str, Any]) -> int:
    """Start, wait, report; the exit code."""
    comments = [f"command: {command_line(['sniffkit', *sys.argv[1:]])}"]
    interfaces: list[str] = list(options["interface"])
    if options["lab"] is not None:
        if options["netns"] is not None:
            raise SniffkitError("--lab and --netns contradict each other: a lab's interfaces are NODE/IF")
        interfaces, topology = of_lab(options["lab"], interfaces)
        comments += topology
    points = [point(text, options["netns"]) for text in interfaces]
    if not points:
        raise SniffkitError("-i IF is missing: 'sniffkit interfaces --netns all' lists them")
    utf8(expression, *interfaces, *(options[name] for name in ("netns", "write", "flows", "directory", "user")))
    if None not in (options["user"], options["flows"]) and not options["flows"].lower().endswith(".parquet"):
        rehearse(options["flows"])
    dump_of(options)  # what is wrong with it is said before anything is made
    new = new_directory(options)
    write, flows = outputs(points, options)
    try:
        table = parquet_of(flows, write)
        live = live_options(expression, options, len(points))
        live.comments, live.write, live.flows = comments, write, table
        live.format = capture_format(write)
        if live.rules and table is None:
            raise SniffkitError(f"--{next(iter(live.rules)).replace('_', '-')} is of the flow table: --flows FILE")
        if write is not None and write != "-" and is_file_at(write, sys.stdout.fileno()):
            write = live.write = "-"  # by whatever name
        if write == "-" and (live.print or live.say):
            raise SniffkitError(f"-w {options['write']} and --print would share standard output")
        if live.print or live.say or write == "-":
            live.own_output = own_output(sys.stdout.fileno())
        return attend(points, live, write, flows, table)
    finally:
        if options["write"] is None and write is not None:
            forget_empty(write, new)


def live_options(expression: str, options: dict[str, Any], points: int) -> Any:
    """How to capture, as a `_core.LiveOptions`: all but where to."""
    from sniffkit import _core
    from sniffkit.cli.lines import stamp_of, zone_from_now
    from sniffkit.cli.rules import rules_of

    live = _core.LiveOptions()
    live.filter = expression or None
    live.snap_len, live.count, live.duration = options["snap_len"], options["count"], options["duration"]
    live.buffer = None if options["buffer"] is None else options["buffer"] * 1024
    if options["lab"] is not None and live.buffer is None:
        # A lab has many points and little traffic: half of what the default takes of the kernel's memory in all.
        live.buffer = min(_core.RING_KIB >> 10, max(2, 128 // points)) << 20
    live.promiscuous = not options["no_promiscuous"]
    live.direction = options["direction"]
    live.max_bytes = None if options["megabytes"] is None else options["megabytes"] * 1_000_000
    live.max_seconds, live.max_files = options["seconds"], options["files"]
    live.rules = rules_of(options)
    live.print = options["print_lines"] or options["write"] is None
    live.say = options["print_rows"]
    if live.say is not None:
        live.print = False
    live.link, live.absolute = options["link"], options["absolute"]
    live.time = stamp_of(options["times"])
    live.dump = dump_of(options)
    live.zone = zone_from_now()
    live.drop_to = becoming(options["user"])
    return live


def dump_of(options: dict[str, Any]) -> str | None:
    """How frames are printed, as the core names it: what `dump_flag` gives, or `json`."""
    from sniffkit.cli.lines import dump_flag

    dump = dump_flag(options["x"], options["upper_x"], options["ascii"])
    lines = dump is not None or options["link"] or options["times"] or options["absolute"]
    if not options["json"]:
        return dump
    if lines or options["print_rows"] is not None:
        raise SniffkitError("--json excludes -e, -t, -S, -x, -X, -A and --print http|dns|tls|dhcp")
    if options["write"] is not None and not options["print_lines"]:
        raise SniffkitError("--json prints: with -w add --print")
    return "json"


def command_line(words: Sequence[str]) -> str:
    """What to type for these words: as `shlex.join`, which is only imported if one has to be quoted."""
    if all(word and SAFE.issuperset(word) for word in words):
        return " ".join(words)
    import shlex

    return shlex.join(words)


def of_lab(lab: str, interfaces: list[str]) -> tuple[list[str], list[str]]:
    """The interfaces of a lab that is up, and the comments that carry its topology."""
    from sniffkit.lab.capturing import comment, points_of
    from sniffkit.lab.report import load
    from sniffkit.lab.running import need_home
    from sniffkit.lab.state import stored

    spec = load(lab)
    if stored(spec.name) is None:
        raise SniffkitError(f"lab {spec.name} is not up: sniffkit lab up {lab}")
    if not interfaces:
        raise SniffkitError(f"-i NODE/IF, -i NODE or -i all is missing: 'sniffkit lab show {lab}' lists them")
    topology = comment(spec)
    points = points_of(spec, interfaces)
    if any("/" not in point for point in points):
        need_home(spec.name)
    return points, [topology] if topology else []


def outputs(points: list[tuple[str | None, str]], options: dict[str, Any]) -> tuple[str | None, str | None]:
    """The capture file and the flow table to write. Checks before anything starts that they can be.

    A capture file whose name was not given is there, empty: no other capture takes it.
    """
    from sniffkit.options import captures_dir, make_exclusive, new_capture
    from sniffkit.sinks import Output, need_directory

    write, flows = options["write"], options["flows"]
    capture_format(write)  # says what is wrong with the name
    rotates = options["megabytes"] or options["seconds"]
    if rotates and write is None:
        raise SniffkitError("-C and -G need -w FILE")
    if options["files"] and not rotates:
        raise SniffkitError("-W needs -C or -G")
    if options["no_save"] and write is not None:
        raise SniffkitError("--no-save and -w contradict each other")
    for path in (write, flows):
        parent = os.path.dirname(path) if path else ""
        timed = path == write and options["seconds"] and "%" in parent  # its name is made when the file is
        if path and not timed:
            need_directory(path)
    if flows is not None:
        if flows == "-":
            raise SniffkitError("--flows needs a file")
        Output(flows, False, False)
    if write is None and not options["no_save"]:
        directory, user = captures_dir(options["directory"]), becoming(options["user"])
        make_directory(directory, options["user"])
        write, beside = new_capture(directory, points, lambda path: acting_as(user, lambda: make_exclusive(path)))
        flows = flows or beside
    return write, flows


def new_directory(options: dict[str, Any]) -> bool:
    """Whether the directory where captures are saved is not there yet."""
    from sniffkit.options import captures_dir

    return not os.path.lexists(captures_dir(options["directory"]))


def forget_empty(path: str, new: bool) -> None:
    """Remove a capture file that was made and not begun, and its directory where that is new and empty."""
    try:
        if not os.path.getsize(path):
            os.unlink(path)
            if new:
                os.rmdir(os.path.dirname(path))
    except OSError:
        pass


def make_directory(directory: str, user: str | None) -> None:
    """The directory where captures are saved; one that is new belongs to the user who will write there."""
    if os.path.isdir(directory):
        return
    if os.path.exists(directory):
        raise SniffkitError(f"{directory}: {os.strerror(errno.ENOTDIR)}")
    owner = account(user)
    try:
        os.makedirs(directory, exist_ok=True)
        if owner is not None:
            os.chown(directory, *owner)
    except OSError as error:
        raise SniffkitError(f"{directory}: {error.strerror}") from None


def account(user: str | None) -> tuple[int, int] | None:
    """User and group id of `-Z USER`."""
    if user is None:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise SniffkitError(f"-Z: no user {user!r}") from None
    return entry.pw_uid, entry.pw_gid


def becoming(user: str | None) -> tuple[int, int, list[int]] | None:
    """User id, group id and all groups of `-Z USER`."""
    owner = account(user)
    return None if user is None or owner is None else (*owner, os.getgrouplist(user, owner[1]))


def acting_as(user: tuple[int, int, list[int]] | None, do: Callable[[], None]) -> None:
    """Do something as the user of `-Z USER` may, who has to go on with what it makes."""
    if user is None or os.geteuid() != 0:
        do()
        return
    before = os.getegid(), os.getgroups()
    try:
        os.setgroups(user[2])
        os.setegid(user[1])
        os.seteuid(user[0])
        do()
    finally:
        os.seteuid(0)
        os.setegid(before[0])
        os.setgroups(before[1])


def attend(
    points: Sequence[tuple[str | None, str]],
    options: Any,
    write: str | None = None,
    flows: str | None = None,
    table: str | None = None,
    looked_for: bool = False,
) -> int:
    """Start a live session, wait for its end, ^C included, then say what became of it; the exit code: of what was
    looked for 1 where nothing was printed, while a capture is done whatever came.
    """
    signals = Signals()
    session = signals.session = start(points, options, lambda: bool(signals.seen))
    if signals.seen:  # while it started
        session.stop()
    say(f"sniffkit: listening on {', '.join(session.names)}")
    session.wait()
    if signal.SIGINT in signals.seen:
        say("")
    signals.concluding = True
    try:
        code = conclude(session, write, flows, table)
    finally:
        signals.concluding = False
    return code or int(looked_for and not session.printed)


def conclude(session: Any, write: str | None, flows: str | None, table: str | None) -> int:
    """Make the flow table of an ended session what was asked for, and say what became of all; the exit code."""
    name, files = session.last_file or (write, 1)
    again = ""
    if files == 1 and name is not None and os.path.isfile(name):
        again = f": {command_line(['sniffkit', 'flows', name])} makes one"
    tell(session)
    interrupted = False
    # numpy comes with pyarrow; where there is no memory for its threads, OpenBLAS ends the process.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        made, failed = settle(session, table, flows, again)
    except KeyboardInterrupt:  # of who insists; as settle says it
        if table == flows:
            raise
        made, failed, interrupted = None, [kept(session.error)] if session.error else [], True
        failed.append(f"{flows}: interrupted; {kept_as(table)}")
    gone = [] if session.last_file is None or failed else missing(name, made)
    report(session, write, made, gone)
    failed += [f"{one}: is not there: it was removed or renamed while it was written" for one in gone]
    for text in session.lost:
        say(f"sniffkit: {text}; what came before is kept")
    for text in failed[:-1]:
        say(f"sniffkit: {text}")
    if failed:
        raise CaptureError(failed[-1], exit_code=130 if interrupted else 1)
    return 1 if session.lost else 0


class Signals:
    """^C, SIGTERM and a terminal that closes end a capture: what the kernel holds by then is still written. Whoever
    insists a second later ends the process: a pipe that is written (`-w -`) may be stuck, and its reader is waited for,
    who would have half a capture else.

    As tcpdump's, it says its counters so far on SIGUSR1. SIGUSR2 asks for what is in the file within half a second.
    """

    def __init__(self) -> None:
        self.session: Any = None
        self.seen: list[int] = []
        self._first = 0.0
        self.concluding = False  # all is written but for the flow table's format
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._handle)
        signal.signal(signal.SIGUSR1, self._tell)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def _tell(self, *_: object) -> None:
        if self.session is not None:
            say(f"sniffkit: {totals(self.session, ', ')}")

    def _handle(self, number: int, _: object) -> None:
        now = time.monotonic()
        if self.seen and now - self._first > 1:
            if self.concluding:
                raise KeyboardInterrupt
            os._exit(130)
        if not self.seen:
            self._first = now
        self.seen.append(number)
        if self.session is not None:
            self.session.stop()


def missing(*paths: str | None) -> list[str]:
    """Those of the paths at which nothing is, as far as can be seen."""
    found = []
    for path in paths:
        try:
            if path is not None and path != "-":
                os.stat(path)
        except FileNotFoundError:
            found.append(path)
        except OSError:
            pass
    return [path for path in found if path is not None]


def tell(session: Any) -> None:
    """tcpdump's three lines, per interface and in all."""
    stats = session.stats()
    if len(stats) > 1:
        for name, (captured, received, dropped, rejected) in zip(session.names, stats, strict=True):
            say(f"{name}: {lines(captured, received - rejected, dropped, ', ')}")
    for one in totals(session, "\n").splitlines():
        say(one)


def report(session: Any, write: str | None, flows: str | None, gone: Sequence[str] = ()) -> None:
    """Where things are but those that are gone."""
    name, files = session.last_file or (write, 1)
    last = f"{name} (the last of {files} files begun)" if files > 1 else name
    if session.unprinted:
        noun = "line was" if session.unprinted == 1 else "lines were"
        say(f"sniffkit: {session.unprinted} {noun} not printed: nobody read standard output")
    written = [said for one, said in ((name, last), (flows, flows)) if said not in (None, "-") and one not in gone]
    if written:
        say(f"sniffkit: wrote {' and '.join(written)}")


def totals(session: Any, joint: str) -> str:
    """The counters of all points together. The kernel is asked now and then: what came since, it has let through."""
    frames, stats = session.frames, session.stats()
    received, dropped = sum(one[1] - one[3] for one in stats), sum(one[2] for one in stats)
    return lines(frames, max(received, frames + dropped), dropped, joint)


def lines(captured: int, received: int, dropped: int, joint: str) -> str:
    """The three counters in tcpdump's words."""
    noun = "packet" if captured == 1 else "packets"
    parts = [f"{captured} {noun} captured"]
    parts.append(f"{received} {'packet' if received == 1 else 'packets'} received by filter")
    parts.append(f"{dropped} {'packet' if dropped == 1 else 'packets'} dropped by kernel")
    return joint.join(parts)
