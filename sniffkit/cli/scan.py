"""`sniffkit scan`: who is there and what they offer, by nmap inside a namespace."""

from __future__ import annotations

import re
import signal
import sys
import time
from types import FrameType
from typing import Any

import click

from sniffkit.cli import say
from sniffkit.errors import SniffkitError

TABLES = ("scan", "hosts", "ports", "services", "os", "scripts", "hops")
PASSED_ON = "sniffkit.nmap"
KEEP_FROM_SIGNALS = 5.0  # seconds
# What can only be ports: no target looks like it.
PORTS = re.compile(r"(?:[TUSP]:)?[\d-][\d,TUSP:-]*")


class ScanCommand(click.Command):
    """A command that hands the words behind `--`, and options that are none of its own, to nmap."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ours, theirs = sort_words(args[:at], self.params)
        ctx.meta[PASSED_ON] = theirs + args[at + 1 :]
        return super().parse_args(ctx, ours)


def sort_words(words: list[str], params: list[click.Parameter]) -> tuple[list[str], list[str]]:
    """Words of the command line as (ours, nmap's): options that the command does not have are nmap's."""
    from sniffkit.scan.nmapoptions import REFUSED, WITH_VALUE

    # name → whether a value follows
    names = {name: not one.is_flag for one in params if isinstance(one, click.Option) for name in one.opts}
    names |= {"--help": False, "-h": False}
    ours: list[str] = []
    theirs: list[str] = []
    rest = iter(words)
    for word in rest:
        name = word.partition("=")[0] if word.startswith("--") else word
        if not word.startswith("-") or word == "-":
            ours.append(word)
        elif name in names:
            ours.append(word)
            if names[name] and "=" not in word:
                ours += [value for value in [next(rest, None)] if value is not None]
        elif word[:2] in ("-p", "-w") or (word[:2] == "-o" and word not in WITH_VALUE and word not in REFUSED):
            ours.append(word)  # a value that hangs on our option: -p80
        else:
            theirs.append(word)
            if word in WITH_VALUE:
                theirs += [value for value in [next(rest, None)] if value is not None]
    return with_ports(ours), theirs


def with_ports(words: list[str]) -> list[str]:
    """`--ports 22,80` is -p 22,80; `--ports` before anything else is the profile."""
    out: list[str] = []
    for word in words:
        if out and out[-1] == "--ports" and PORTS.fullmatch(word):
            out[-1] = "-p"
        elif word.startswith("--ports="):
            out += ["-p", word.partition("=")[2]]
            continue
        out.append(word)
    return out


@click.command("scan", cls=ScanCommand)
@click.argument("target", nargs=-1, metavar="TARGET… [NMAP OPTIONS]")
@click.option("--netns", metavar="NS", help="Namespace to scan from: ip netns name, path or PID.")
@click.option("-iL", "targets_from", metavar="FILE", help="Targets of a file, besides those given.")
@click.option("--ping", "profile", flag_value="ping", help="Only who is up (nmap -sn).")
@click.option("--ports", "profile", flag_value="ports", help="nmap's usual ports (the default); --ports PORTS is -p.")
@click.option("-p", "ports", metavar="PORTS", help="These ports, as nmap's -p: 22,80,U:53,8000-8100.")
@click.option("-A", "profile", flag_value="all", help="Versions, scripts, OS, traceroute (nmap -A).")
@click.option("--sweep", is_flag=True, help="No nmap: our own ARP/ND, ICMP and TCP connect sweep.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after S seconds.")
@click.option("--table", "name", type=click.Choice(TABLES), default="scan", help="Which table (scan: all in one).")
@click.option("--columns", metavar="A,B,…", help="Only these columns, in this order.")
@click.option("--write", "-w", metavar="FILE", help="Capture the scan's packets; port rows name their flow's uid.")
@click.option("--xml", metavar="FILE", help="Keep nmap's XML.")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def scan(ctx: click.Context, /, target: tuple[str, ...], **options: Any) -> None:
    """Scan hosts, ports and services from inside a namespace. Other options, and all behind --, go to nmap.

    Targets are addresses, networks, nmap's ranges (10.0.0-3.1,5) and names; nothing else is ever scanned. Exit 1 if
    nothing was found or the scan did not come to its end: what was found by then is shown.

    \b
    Examples:
      sniffkit scan 10.0.0.0/24 --netns client --ping
      sniffkit scan 10.0.0.0/24 --netns client -- -sV
      sniffkit scan server fd00::1 --ports 22,80,443 -o ports.parquet --table ports
      sniffkit scan 10.0.0.5 -A --write scan.pcapng --xml scan.xml
      sniffkit scan 10.0.0.0/24 --netns client --sweep
    """
    ctx.exit(run(target, ctx.meta[PASSED_ON], options))


def run(target: tuple[str, ...], passed_on: list[str], options: dict[str, Any]) -> int:
    """Scan, show the table; the exit code."""
    from sniffkit.cli.rows import split
    from sniffkit.scan import ScanResult, check_files
    from sniffkit.scan import scan as start
    from sniffkit.sinks import Output, write

    out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=options["columns"] is None)
    columns = split(options["columns"])
    ScanResult([]).table(options["name"], columns)  # a column that is none is said before the scan, not after it
    if options["sweep"] and passed_on:
        raise SniffkitError("--sweep runs no nmap: there are no options to pass on")
    if not target and options["targets_from"] is None:
        raise SniffkitError("no TARGET: an address, a network, a range or a host name")
    check_files(options["write"], options["xml"], options["out"])
    ending = Ending()
    line = StatusLine() if sys.stderr.isatty() else None
    try:
        result = start(
            *target,
            netns=options["netns"],
            profile=options["profile"],
            ports=options["ports"],
            options=passed_on,
            targets_from=options["targets_from"],
            timeout=options["timeout"],
            write=options["write"],
            xml=options["xml"],
            sweep_only=options["sweep"],
            progress=line.show if line is not None else None,
        )
        ending.scanned()
    finally:
        if line is not None:
            line.clear()
    try:
        for note in result.notes:
            say(f"sniffkit: {note}")
        write(result.table(options["name"], columns), out)
    finally:
        ending.written()
    if result.interrupted or ending.asked:
        return 130
    return 0 if result.up and result.complete else 1


class Ending:
    """^C and requests to end: nmap ends first, and what was found by then is shown. Ignored signals stay so (nohup).

    Once it has ended they wait until that is written, KEEP_FROM_SIGNALS seconds at most: a second ^C throws nothing
    away.
    """

    def __init__(self) -> None:
        self.asked = False
        self._until = 0.0
        requests = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._numbers = [number for number in requests if signal.getsignal(number) != signal.SIG_IGN]
        for number in self._numbers:
            signal.signal(number, self._ask)

    def scanned(self) -> None:
        """The scan is over."""
        self._until = time.monotonic() + KEEP_FROM_SIGNALS

    def written(self) -> None:
        """The process is about to end. The interpreter takes handlers away before: then a signal would kill it."""
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() >= self._until:
            raise KeyboardInterrupt
        self.asked = True


class StatusLine:
    """One line on a terminal that says what a scan is at; from one second on."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, task: str, percent: float | None, seconds: float) -> None:
        """Show it anew if it changed."""
        if seconds < 1:
            return
        text = f"scan: {task}{'' if percent is None else f' {percent:.0f} %'} ({seconds:.0f} s)"
        if text != self._shown:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self._shown = text

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
