"""`sniffkit diff`: two captures of the same traffic against each other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli.sections import JSON_HELP, put_all, takes_all
from sniffkit.errors import SniffkitError
from sniffkit.tables import check_output

if TYPE_CHECKING:
    from sniffkit.comparison import Diff
    from sniffkit.sinks import Output

TOP = 10  # rows of a long section when all are shown

window_option = click.option(
    "--window",
    type=float,
    default=1.0,
    metavar="S",
    help="Packets that nothing but time tells apart are the same if no further apart than this (1).",
)


@click.command()
@click.argument("file", nargs=-1, metavar="A [B]")
@click.option(
    "-i",
    "--point",
    multiple=True,
    metavar="NS/IF",
    help="Only frames captured there: given once for both, or first of A, then of B; both may be of one file.",
)
@click.option("--only", metavar="SECTION", help="Only this one, whole: summary flows packets changes matches.")
@window_option
@click.option("--filter", "-f", metavar="EXPR", help="Only frames that match this capture filter (tcpdump's).")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE: .parquet .csv .jsonl .arrow; - is stdout.")
@click.option("--json", is_flag=True, help=JSON_HELP)
@click.pass_context
def diff(ctx: click.Context, /, file: tuple[str, ...], **options: Any) -> None:
    """Two captures of the same traffic, before and after or on both sides of a hop: packets and flows in only one,
    fields that changed, loss and delay each way. Packets are known again behind NAT, VLANs and tunnels.

    \b
    Examples:
      sniffkit diff before.pcapng after.pcapng
      sniffkit diff lan.pcapng wan.pcapng --only flows
      sniffkit diff nat.pcapng -i router/lan -i router/wan
      sniffkit diff a.pcap b.pcap --only packets -o lost.csv
    """
    ctx.exit(run(file, **options))


def run(given: tuple[str, ...], **options: Any) -> int:
    """Show one section or all; the exit code."""
    from sniffkit.cli.inputs import damage_as_lines
    from sniffkit.comparison import SECTIONS
    from sniffkit.sinks import Output, put

    only, known = options["only"], [*SECTIONS, "matches"]
    if only is not None and only not in known:
        raise SniffkitError(f"no section {only!r}; there are: {' '.join(known)}")
    target = Output(options["out"], options["json"], sys.stdout.isatty(), fit=True, instead="-o FILE")
    whole = only is None and takes_all(target)
    check_output(target.path or "-", given)
    with damage_as_lines() as damage:
        compared = between(given, options["point"], options["window"], options["filter"])
        frames = len(compared.found.seen)
        if only is not None:
            put(getattr(compared, only)().to_arrow(), target)
        elif whole:
            put_all(((name, getattr(compared, name)().to_arrow()) for name in SECTIONS), target)
        else:
            for name, title in SECTIONS.items():
                show(title, getattr(compared, name)().to_arrow(), target)
    return 1 if damage or not frames else 0


def between(given: tuple[str, ...], points: tuple[str, ...], window: float, filter: str | None) -> Diff:
    """What is compared. Raises SniffkitError where that is not two captures, or two points of one."""
    from sniffkit.api import open as open_capture
    from sniffkit.cli.inputs import files, rereadable

    if len(given) > 2 or len(points) > 2:
        count = max(len(given), len(points))
        raise SniffkitError(f"two captures are compared, not {count}; sniffkit trace takes more")
    if len(given) < 2 and len(points) < 2:
        raise SniffkitError("two captures are compared: give A and B, or one with two points: -i NS/IF -i NS/IF")
    names = rereadable(files(given))
    captures = open_capture(names[0]), open_capture(names[-1])
    first, second = (points[0], points[-1]) if points else (None, None)
    return captures[0].diff(captures[1], points=(first, second), window=window, filter=filter)


def show(title: str, table: Any, target: Output) -> None:
    """A section under its title, cut to TOP rows."""
    from sniffkit.sinks import put

    rows = table.num_rows
    if not rows:
        print(f"{title}: none\n", flush=True)
        return
    more = f", first {TOP} of {rows} rows" if rows > TOP else ""
    print(f"{title}{more}:", flush=True)
    put(table.slice(0, TOP), target)
    print(flush=True)
