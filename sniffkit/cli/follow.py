"""`sniffkit follow`: what the two ends of a flow said."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import files
from sniffkit.cli.lines import local_zone
from sniffkit.cli.live import live_options, print_live, refuse_live_options
from sniffkit.cli.printed import json_rows, kind_of, out_option, pieces, put_bytes, put_table
from sniffkit.cli.read import split_arguments
from sniffkit.errors import CaptureFileError, FilterError, SniffkitError
from sniffkit.tables import damage_line

PROTOCOLS = {"tcp": 6, "udp": 17}
# Of a piece as a row, in the order of its JSON object: column, type in pyarrow.
COLUMNS = {
    "ts": "time",
    "frame_number": "uint64",
    "uid": "string",
    "proto": "string",
    "from_orig": "bool_",
    "ip_src": "string",
    "src_port": "uint16",
    "ip_dst": "string",
    "dst_port": "uint16",
    "offset": "uint64",
    "len": "uint64",
    "text": "string",
    "hex": "string",
}


def ends(text: str, protocol: str) -> tuple[int, tuple[str, int], tuple[str, int]]:
    """`A:p,B:p` as (IP protocol, end, end); IPv6 addresses in brackets."""
    found = []
    for one in text.split(","):
        address, colon, port = one.strip().rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise SniffkitError(f"--{protocol} takes ADDRESS:PORT,ADDRESS:PORT, not {text!r}")
        found.append((address.strip("[]"), int(port)))
    if len(found) != 2:
        raise SniffkitError(f"--{protocol} takes two ends, ADDRESS:PORT,ADDRESS:PORT, not {text!r}")
    return PROTOCOLS[protocol], found[0], found[1]


@click.command()
@click.argument("arguments", nargs=-1, metavar="FILE… [FILTER]")
@click.option("--uid", metavar="UID", help="The flow with this uid, as the tables have it.")
@click.option("--tcp", metavar="A:P,B:P", help="The TCP connection between these ends.")
@click.option("--udp", metavar="A:P,B:P", help="The UDP flow between these ends.")
@click.option("--style", type=click.Choice(["text", "hex", "raw"]), default="text", help="raw: the bytes alone.")
@click.option(
    "--color/--no-color", "colour", default=None, help="Colour the two sides; else on a terminal, but for $NO_COLOR."
)
@click.option("--json", is_flag=True, help="One JSON object a piece: its bytes as text if UTF-8, else as hex.")
@out_option
@live_options
@click.pass_context
def follow(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Print both sides of flows, put in order, with gaps where bytes are missing. Without FILE: the newest capture.

    As JSON or a table: a row a piece, `offset` bytes into what its side said; one without text and hex is missing.

    \b
    Examples:
      sniffkit follow lab.pcapng --uid C0E6smhhNDtiZgmLNV
      sniffkit follow lab.pcapng --tcp 10.0.0.1:40000,10.0.0.2:80 --style hex
      sniffkit follow lab.pcapng 'port 80' --json
      sniffkit follow --live --netns ns1 -i veth1 'port 80'
    """
    path, style = options["out"], options["style"]
    to_file = path not in (None, "-")
    colour = coloured() and not to_file if options["colour"] is None else options["colour"]
    if options["json"] and style != "text":
        raise SniffkitError(f"--json and --style {style} contradict each other")
    chosen = [name for name in ("uid", "tcp", "udp") if options[name] is not None]
    if len(chosen) > 1:
        raise SniffkitError("--uid, --tcp and --udp exclude each other")
    if options["live"]:
        if chosen:
            raise SniffkitError(f"--{chosen[0]} is for files: with --live give a capture filter")
        if to_file:
            raise SniffkitError("-o does not go with --live")
        style = "json" if options["json"] else style
        ctx.exit(print_live("follow", arguments, options, style=style, colour=colour))
    refuse_live_options(options)
    names, expression = split_arguments(arguments)
    between = ends(options[chosen[0]], chosen[0]) if chosen and chosen[0] != "uid" else None
    inputs = files(tuple(names))
    kind = kind_of(path, options["json"], inputs, any_suffix=style == "raw")
    if kind != "text":
        if style != "text":
            raise SniffkitError(f"--style {style} and {path} contradict each other")
        style = "json"
    ctx.exit(print_streams(inputs, expression, options["uid"], between, style, colour, path, kind == "table"))


def coloured() -> bool:
    """Whether stdout is a terminal that takes colours, and nobody has asked for none (no-color.org)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def print_streams(
    inputs: list[str],
    expression: str | None,
    uid: str | None,
    between: Any,
    style: str,
    colour: bool,
    path: str | None,
    as_table: bool,
) -> int:
    """Write what was said to `path` (None: stdout); 1 if nothing was, or a file is damaged."""
    from sniffkit import _core
    from sniffkit.api import open as open_capture

    try:
        text = _core.follow(
            open_capture(inputs).fresh(),
            uid=uid,
            ends=between,
            style=style,
            colour=colour,
            zone=local_zone(),
            filter=expression,
        )
    except ValueError as error:
        raise FilterError(str(error)) from None
    except OSError as error:
        raise CaptureFileError(str(error)) from None
    if as_table and path is not None:
        schema = row_schema()
        put_table(pieces(text), path, schema, json_rows(schema))
    else:
        put_bytes(pieces(text), path)
    damage = text.warnings()
    for warning in damage:
        say(f"sniffkit: {damage_line(*warning, 'what came before is kept')}")
    if text.written == 0 and not damage:
        asked = f"uid {uid}" if uid else "these ends" if between else None
        if asked:
            say(f"sniffkit: no flow with {asked} said anything (`sniffkit flows` lists them)")
    return 1 if damage or text.written == 0 else 0


def row_schema() -> Any:
    """COLUMNS as pyarrow has them."""
    import pyarrow as pa

    types = {"time": pa.timestamp("ns", "UTC")}
    return pa.schema([(name, types.get(kind) or getattr(pa, kind)()) for name, kind in COLUMNS.items()])
