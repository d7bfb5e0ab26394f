"""`sniffkit extract`: streams or HTTP bodies as files, with an index."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli import say
from sniffkit.cli.inputs import damage_as_lines, files
from sniffkit.interrupts import end_as_on_interrupt

if TYPE_CHECKING:
    from sniffkit.sinks import Output


@click.command()
@click.argument("file", nargs=-1, type=click.Path())
@click.option("-d", "--dir", "directory", required=True, metavar="DIR", help="Where the files go; made if needed.")
@click.option("--http", is_flag=True, help="HTTP bodies, decoded, named by their URL, instead of streams.")
@click.option("--max-size", type=click.IntRange(min=1), default=1 << 30, metavar="BYTES", help="Of one file (1 GiB).")
@click.option("--max-total", type=click.IntRange(min=1), metavar="BYTES", help="Of all files together (no limit).")
@click.option("--max-files", type=click.IntRange(min=1), metavar="N", help="At most so many files (no limit).")
@click.option("-o", "--out", metavar="FILE", help="The index also to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="The index also to stdout, one JSON object a line.")
@click.option("--filter", "-f", metavar="EXPR", help="Only frames that match this capture filter (tcpdump's).")
@click.pass_context
def extract(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """Write every TCP stream (as tcpflow names them) or every HTTP body to a file, and index.parquet and index.jsonl.

    Names are made safe and unique, no file is overwritten (a second index is index-2.*); the index has each file's
    origin, size, SHA-256 and the ranges that are missing.

    \b
    Examples:
      sniffkit extract lab.pcapng -d streams
      sniffkit extract lab.pcapng --http -d out && sha256sum out/*
    """
    inputs = files(file)
    index = index_output(options.pop("out"), options.pop("json"), inputs)
    end_as_on_interrupt()  # the index is written
    with damage_as_lines() as damage:
        from sniffkit.api import open as open_capture
        from sniffkit.extraction import extract as write

        directory = options["directory"]
        made = write(open_capture(inputs).fresh(), **options)
    if index is not None:
        import pyarrow.parquet as pq

        from sniffkit.sinks import put

        put(pq.read_table(made.table), index)
    noun = "file" if made.written == 1 else "files"
    incomplete = made.rows - made.complete
    say(f"{made.written} {noun} in {directory}, {incomplete} not complete: see {os.path.basename(made.lines)}")
    if lost := made.rows - made.written:
        say(f"sniffkit: {lost} not written: {', '.join(sorted(made.reasons))}")
    if made.cut:
        say(f"sniffkit: {made.cut} cut at --max-size")
    ctx.exit(1 if damage or made.written == 0 or lost or made.cut else 0)


def index_output(path: str | None, json: bool, inputs: list[str]) -> Output | None:
    """Where the index goes besides the directory."""
    if path is None and not json:
        return None
    from sniffkit.sinks import Output
    from sniffkit.tables import check_output

    if path not in (None, "-"):
        check_output(path, inputs)
    return Output(path, json, False)
