"""`sniffkit read`: captured frames as text."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import click

from sniffkit.cli.inputs import files
from sniffkit.errors import CaptureFileError, FilterError, SniffkitError


def utc_offset() -> int:
    """Seconds that local time is ahead of UTC now."""
    return time.localtime().tm_gmtoff


def dump_flag(x: int, upper_x: int, ascii: int) -> str | None:
    """tcpdump's -x -xx -X -XX -A -AA as the core names them; they exclude each other."""
    given = [name * min(count, 2) for name, count in (("x", x), ("X", upper_x), ("A", ascii)) if count]
    if len(given) > 1:
        raise SniffkitError("-x, -X and -A exclude each other")
    return given[0] if given else None


def split_arguments(arguments: tuple[str, ...]) -> tuple[list[str], str | None]:
    """`FILE… [FILTER]`: what exists (or looks like a path or glob) is a file, the rest is the filter, as one text."""
    names: list[str] = []
    rest = list(arguments)
    while rest and looks_like_file(rest[0]):
        names.append(rest.pop(0))
    return names, " ".join(rest) or None


def looks_like_file(text: str) -> bool:
    """Whether an argument is meant as a file, there or not."""
    if text == "-" or os.path.exists(text):
        return True
    endings = (".pcap", ".pcapng", ".cap", ".gz", ".zst")
    return " " not in text and (text.endswith(endings) or any(mark in text for mark in "*?"))


def hand_to_tshark(inputs: list[str], display_filter: str, options: dict[str, Any]) -> int:
    """`-Y`: tshark prints the frames that its display filter matches, with its own columns or the fields asked for."""
    from sniffkit.handover import need_tshark, one_path

    command = [need_tshark(), "-n", "-r", one_path(inputs), "-Y", display_filter]
    if options["format"] == "fields":
        command += ["-T", "fields", *(part for name in options["field"] for part in ("-e", name))]
    elif options["json"] or options["format"] == "json":
        command += ["-T", "json"]
    elif options["verbose"]:
        command += ["-V"]
    if options["count"] is not None:
        command += ["-c", str(options["count"])]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    complaints = [line for line in result.stderr.splitlines() if line and "Running as user" not in line]
    if result.returncode != 0:
        raise SniffkitError(f"tshark: {' '.join(complaints) or result.returncode}")
    return 0


class ReadCommand(click.Command):
    """`-e` is tcpdump's flag, but tshark's `-e NAME` behind `-T fields`: the fingers of both are right."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        joined = " ".join(args)
        if "-T fields" in joined or "-Tfields" in joined:
            args = ["-E" if one == "-e" else one for one in args]
        return super().parse_args(ctx, args)


@click.command(cls=ReadCommand)
@click.argument("arguments", nargs=-1, metavar="FILE… [FILTER]")
@click.option("-e", "link", is_flag=True, help="Print the link header; with -T fields: -e NAME, a field.")
@click.option("-n", "numeric", is_flag=True, help="No names for addresses; always so, kept for tcpdump's users.")
@click.option("-x", "x", count=True, help="Dump in hexadecimal; -xx with the link header.")
@click.option("-X", "upper_x", count=True, help="Dump in hexadecimal and ASCII; -XX with the link header.")
@click.option("-A", "ascii", count=True, help="Dump as ASCII; -AA with the link header.")
@click.option("-V", "verbose", is_flag=True, help="Every header field, as a tree.")
@click.option("--json", is_flag=True, help="Every header field, one JSON object a line.")
@click.option("-T", "format", type=click.Choice(["fields", "json"]), help="fields: those named by -E, tab-separated.")
@click.option("-E", "--field", "field", multiple=True, metavar="NAME", help="A field for -T fields, Wireshark's name.")
@click.option("-Y", "display_filter", metavar="EXPR", help="Wireshark display filter; hands over to tshark.")
@click.option("-c", "count", type=click.IntRange(min=1), metavar="N", help="At most so many frames.")
@click.option("-t", "times", count=True, help="-t no time, -tt seconds since 1970, -tttt with the date.")
@click.option("-S", "absolute", is_flag=True, help="TCP sequence numbers as they stand in the header.")
@click.pass_context
def read(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Print captured frames as text: a line each that tcpdump's users know. Without FILE: the newest capture.

    \b
    Examples:
      sniffkit read lab.pcapng
      sniffkit read -e lab.pcapng 'vlan 100 and icmp'
      sniffkit read -V -c 1 lab.pcapng
      sniffkit read -T fields -e frame.number -e ip.src lab.pcapng
      sniffkit read -Y 'vxlan' lab.pcapng
    """
    names, expression = split_arguments(arguments)
    inputs = files(tuple(names))
    if options["display_filter"] is not None:
        ctx.exit(hand_to_tshark(inputs, options["display_filter"], options))
    ctx.exit(print_text(inputs, expression, options))


def print_text(inputs: list[str], expression: str | None, options: dict[str, Any]) -> int:
    """Print the frames of `inputs` that match `expression`; 1 if there were none or a file is damaged."""
    from sniffkit import _core
    from sniffkit.api import open as open_capture

    style = "line"
    fields: list[str] | None = None
    if options["format"] == "fields":
        style, fields = "fields", list(options["field"])
        if not fields:
            raise SniffkitError("-T fields needs -e NAME")
    elif options["json"] or options["format"] == "json":
        style = "json"
    elif options["verbose"]:
        style = "tree"
    stamp = {0: "clock", 1: "none", 2: "epoch"}.get(options["times"], "date")
    try:
        text = _core.read_text(
            list(open_capture(inputs).inputs),
            style,
            link=options["link"],
            absolute=options["absolute"],
            time=stamp,
            utc_offset=utc_offset(),
            dump=dump_flag(options["x"], options["upper_x"], options["ascii"]),
            fields=fields,
            count=options["count"],
            filter=expression,
        )
        any_frames = False
        for piece in text:
            any_frames = any_frames or bool(piece)
            sys.stdout.write(piece)
        sys.stdout.flush()
    except ValueError as error:
        raise FilterError(str(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CaptureFileError(str(error)) from None
    damage = text.warnings()
    for file, offset, what in damage:
        print(f"sniffkit: {file}: at byte {offset}: {what}; frames before are kept", file=sys.stderr)
    return 1 if damage or not any_frames else 0
