"""`sniffkit doctor`: what this machine allows, and how to get what is missing."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def doctor(ctx: click.Context, /, out: str | None, json: bool) -> None:
    """Check privileges, kernel link kinds and tools; says how to get what is missing. Exit 1 if anything is.

    \b
    Examples:
      sniffkit doctor
      sudo sniffkit doctor --json
    """
    from sniffkit.checkup import COLUMNS, findings
    from sniffkit.sinks import Output, write_rows

    rows = findings()
    write_rows("doctor", rows, COLUMNS, Output(out, json, sys.stdout.isatty()))
    ctx.exit(0 if all(row["ok"] for row in rows) else 1)
