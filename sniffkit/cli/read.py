"""`sniffkit read`: captured frames as text."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterator
from glob import glob
from typing import Any

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import files
from sniffkit.cli.lineoptions import absolute_option, times_option
from sniffkit.cli.lines import dump_flag, local_zone, stamp_of
from sniffkit.cli.printed import BETWEEN, field_rows, kind_of, out_option, pieces, put_bytes, put_table
from sniffkit.errors import CaptureFileError, FilterError, SniffkitError
from sniffkit.tables import damage_line


def split_arguments(arguments: tuple[str, ...], given: bool = False, hint: str = "") -> tuple[list[str], str | None]:
    """`FILE… [FILTER]`: what exists (or looks like a path or glob) is a file, the rest is the filter, as one text.

    given: there are files already, by -r: as in tcpdump all of it is the filter. Raises CaptureFileError for words that
    are neither files nor a filter; hint: what else may be wrong then.
    """
    names: list[str] = []
    rest = list(arguments)
    while rest and not given and looks_like_file(rest[0]):
        names.append(rest.pop(0))
    expression = " ".join(rest) or None
    if expression is not None and " " not in rest[0] and not names and not given:
        from sniffkit import _core

        try:
            _core.read_text([], filter=expression)
        except ValueError as error:
            if any(map(looks_like_file, rest)):
                raise CaptureFileError(f"{rest[0]}: no such file, and files come before the filter{hint}") from None
            if len(rest) == 1 or "syntax error" in str(error):  # not what a filter of other link types is told
                raise CaptureFileError(f"{expression}: no such file, and no filter: {error}{hint}") from None
    return names, expression


def looks_like_file(text: str) -> bool:
    """Whether an argument is meant as a file, there or not. `*` and `?` stand in filters too: a glob has files."""
    if text == "-" or "://" in text or os.path.exists(text):
        return True
    endings = (".pcap", ".pcapng", ".cap", ".gz", ".zst")
    return " " not in text and (
        text.lower().endswith(endings) or (any(mark in text for mark in "*?") and bool(glob(text)))
    )


# What -E changes about -T fields, as in tshark: the names it takes, what they are without it, and what each may be.
FIELD_CHANGES = {
    "separator": ("/t", None),
    "aggregator": (",", None),
    "occurrence": ("a", "fla"),
    "quote": ("n", "dsn"),
    "header": ("n", "yn"),
}
CHARACTERS = {"/t": "\t", "/s": " "}
QUOTES = {"d": '"', "s": "'"}


def field_options(given: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """The names among what -e and -E say, and the changes, as tshark takes them. Raises SniffkitError for a bad one."""
    names, changes = [], {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals:
            names.append(one)
        elif key not in FIELD_CHANGES:
            raise SniffkitError(f"-E {one}: there are {', '.join(FIELD_CHANGES)}")
        elif allowed := FIELD_CHANGES[key][1]:
            if value not in tuple(allowed):
                raise SniffkitError(f"-E {one}: {key} is one of {', '.join(allowed)}")
            changes[key] = value
        elif len(CHARACTERS.get(value, value)) != 1:
            raise SniffkitError(f"-E {one}: {key} is one character, /t for a tab or /s for a space")
        else:
            changes[key] = value
    return names, changes


class ReadCommand(click.Command):
    """`-e` is tcpdump's flag, but tshark's `-e NAME` with `-T fields`: the fingers of both are right."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = "[nxXAVlSt]*"
        behind = itertools.pairwise([*args, ""])
        chosen = ((re.fullmatch(f"-{flags}T(.*)", one), after) for one, after in behind)
        if any(one and (one[1] or after) == "fields" for one, after in chosen):
            args = [re.sub(f"^-({flags})e", r"-\1E", one) for one in args]
        return super().parse_args(ctx, args)


def print_piece(piece: str) -> None:
    """Write text to stdout now, so that whoever follows a slow input sees it."""
    sys.stdout.write(piece)
    sys.stdout.flush()


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
@click.option(
    "-E",
    "--field",
    "field",
    multiple=True,
    metavar="NAME",
    help="A field for -T fields, Wireshark's name; or tshark's separator=, aggregator=, occurrence=, quote=, header=.",
)
@click.option("-Y", "display_filter", metavar="EXPR", help="Wireshark display filter; hands over to tshark.")
@click.option(
    "--deep", is_flag=True, help="Decoded by tshark, which knows every protocol: lines, -V, --json, -T fields."
)
@click.option("-c", "count", type=click.IntRange(1, 2**63), metavar="N", help="Print at most so many frames.")
@times_option
@click.option("-r", "more", multiple=True, metavar="FILE", help="As FILE, for tcpdump's users.")
@click.option("-l", "buffered", is_flag=True, help="Line-buffered; always so, kept for tcpdump's users.")
@absolute_option
@out_option
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
      sniffkit read --deep -V -c 1 lab.pcapng
    """
    check_forms(options)
    fields = options["format"] == "fields"
    hint = "; -e NAME needs -T fields" if options["link"] and not fields else ""
    names, expression = split_arguments(arguments, bool(options["more"]), hint)
    names = [*options["more"], *names]
    if fields and not field_options(options["field"])[0]:
        raise SniffkitError("-T fields needs -e NAME")
    by_tshark = options["deep"] or options["display_filter"] is not None
    if by_tshark and expression is not None:
        flag = "--deep" if options["deep"] else "-Y"
        hint = "; -Y takes tshark's filter" if options["deep"] else ""
        raise SniffkitError(f"{flag} and the capture filter {expression!r} exclude each other{hint}")
    inputs = files(tuple(names))
    if by_tshark:
        from sniffkit.cli.deep import hand_to_tshark

        ctx.exit(hand_to_tshark(inputs, options))
    ctx.exit(print_text(inputs, expression, options))


def check_forms(options: dict[str, Any]) -> None:
    """Raises SniffkitError for options of which one says what frames are printed as, and another something else."""
    dumps = [flag for flag, name in (("-x", "x"), ("-X", "upper_x"), ("-A", "ascii")) if options[name]]
    json = ["--json"] if options["json"] else ["-T json"] if options["format"] == "json" else []
    forms = ["-T fields"] if options["format"] == "fields" else []
    forms += json + (["-V"] if options["verbose"] else [])
    if len(forms) > 1 or (dumps and forms and forms != ["-V"]):
        raise SniffkitError(f"{' and '.join([*forms, *dumps][:2])} contradict each other")
    if options["field"] and options["format"] != "fields":
        raise SniffkitError(f"-E {options['field'][0]} needs -T fields")


def kind_of_frames(inputs: list[str], options: dict[str, Any]) -> str:
    """`text`, `json` or `table`, as `kind_of`: what frames are printed as. Raises SniffkitError for what cannot be."""
    path = options["out"]
    json = options["json"] or options["format"] == "json"
    kind = kind_of(path, json, inputs)
    if options["format"] == "fields" and kind != "text":
        fields, changes = field_options(options["field"])
        aggregator = changes.get("aggregator", ",")
        if CHARACTERS.get(aggregator, aggregator) in "\n" + BETWEEN:
            raise SniffkitError(f"-E aggregator={aggregator!r}: not where fields become a table")
        if doubles := {name for name in fields if fields.count(name) > 1}:
            raise SniffkitError(f"-e {min(doubles)}: twice, and {path} is a table")
        return "table"
    if kind == "table":
        raise SniffkitError(f"{path}: for a table name its columns, -T fields -e NAME; or take sniffkit packets")
    if kind == "json" and (options["verbose"] or options["x"] or options["upper_x"] or options["ascii"]):
        raise SniffkitError(f"{path} is for JSON: without -V, -x, -X and -A")
    return kind


def unknown_field(name: str, known: list[str]) -> SniffkitError:
    """The error for a field name that is not known: what was perhaps meant, and who knows the rest."""
    import difflib

    near = difflib.get_close_matches(name, known, 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return SniffkitError(f"no field {name!r}{hint} tshark's other fields: add --deep")


def print_text(inputs: list[str], expression: str | None, options: dict[str, Any]) -> int:
    """Print the frames of `inputs` that match `expression`; 1 if there were none or a file is damaged."""
    from sniffkit import _core
    from sniffkit.api import open as open_capture

    style, heading = "line", ""
    fields: list[str] | None = None
    field_format: tuple[str, str, str, str | None] | None = None
    if options["format"] == "fields":
        style, (fields, changes) = "fields", field_options(options["field"])
        known = _core.known_fields()
        for name in fields:
            if name not in known:
                raise unknown_field(name, known)
        written = {key: changes.get(key, usual) for key, (usual, _) in FIELD_CHANGES.items()}
        separator, aggregator = (CHARACTERS.get(written[key], written[key]) for key in ("separator", "aggregator"))
        field_format = (separator, aggregator, written["occurrence"], QUOTES.get(written["quote"]))
        heading = separator.join(fields) + "\n" if written["header"] == "y" else ""
    elif options["json"] or options["format"] == "json":
        style = "json"
    elif options["verbose"]:
        style = "tree"
    path = options["out"]
    dump = dump_flag(options["x"], options["upper_x"], options["ascii"])
    kind = kind_of_frames(inputs, options)
    if fields is not None and kind == "table":
        heading = ""
        field_format = (BETWEEN, aggregator, written["occurrence"], None)
    elif kind == "json":
        style = "json"
    stamp = stamp_of(options["times"])
    sources = open_capture(inputs).fresh()
    try:
        text = _core.read_text(
            sources,
            style,
            link=options["link"],
            absolute=options["absolute"],
            time=stamp,
            zone=local_zone() if stamp in ("clock", "date") else [],
            dump=dump,
            fields=fields,
            field_format=field_format,
            count=options["count"],
            filter=expression,
        )
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise CaptureFileError(str(error)) from None
        raise
    except ValueError as error:
        raise FilterError(str(error)) from None
    any_frames = False

    def printed() -> Iterator[str]:
        nonlocal any_frames
        yield heading
        for piece in pieces(text):
            any_frames = any_frames or bool(piece)
            yield piece

    if kind == "table" and path is not None:
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in fields or ()])
        put_table(map(str.encode, printed()), path, schema, field_rows(schema))
    elif path is None or path == "-":
        for piece in printed():
            print_piece(piece)
    else:
        put_bytes(map(str.encode, printed()), path)
    damage = text.warnings()
    for warning in damage:
        say(f"sniffkit: {damage_line(*warning, 'frames before are kept')}")
    return 1 if damage or not any_frames else 0
