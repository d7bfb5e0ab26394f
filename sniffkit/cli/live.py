"""What `--live` needs: its options, printing what flows say (`follow --live`, `http --live`), watching for a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli import say
from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    import pyarrow as pa

    from sniffkit.livetable import LiveTable
    from sniffkit.sinks import Output


OF_ROWS = ("columns", "where", "sort", "limit", "out")  # what asks for a table, not for lines as they come
SOON = 0.2  # s that a row may wait for others

WATCHES = "--live watches interfaces"


def live_options_as(live: str, where: str) -> Callable[[Any], Any]:
    """The options that `--live` needs, for a command that also reads files; with these help texts."""
    seconds = click.FloatRange(min=0, min_open=True)

    def decorate(command: Any) -> Any:
        for option in (
            click.option("--duration", type=seconds, metavar="S", help="With --live: end after S s."),
            click.option("-i", "--interface", "interface", multiple=True, metavar="[NS/]IF", help=where),
            click.option("--netns", metavar="NS", help="With --live: namespace of the interfaces without one."),
            click.option("--live", is_flag=True, help=live),
        ):
            command = option(command)
        return command

    return decorate


live_options = live_options_as(
    "Capture and print as it happens; arguments are the filter.", "With --live: where to capture."
)


def filter_of(words: tuple[str, ...], what: str) -> str | None:
    """The capture filter that `words` are. Raises SniffkitError (what it is for, first) where one is a FILE instead."""
    from sniffkit import _core
    from sniffkit.cli.read import looks_like_file

    expression = " ".join(words) or None
    file = next((word for word in words if looks_like_file(word)), None)
    if file is not None:
        try:
            _core.read_text([], filter=expression)
        except ValueError:
            raise SniffkitError(f"{what}: there is no FILE to read ({file})") from None
    return expression


def show_live(name: str, words: tuple[str, ...], options: dict[str, Any]) -> int:
    """Capture until ^C, and print a line a row as it happens or, where rows are asked for, the table at the end; the
    exit code: of the table, 1 if it is empty.
    """
    expression = filter_of(words, WATCHES)
    if expression is not None and options["filter"] is not None:
        raise SniffkitError(f"-f and the filter {expression!r} exclude each other")
    options = options | {"filter": expression if options["filter"] is None else options["filter"]}
    if not options["json"] and all(options[key] is None for key in OF_ROWS):
        return print_live(name, () if options["filter"] is None else (options["filter"],), options)
    need_interface(options)
    return live_table(name, options)


class LiveRows:
    """A table that is written at the end of a watch. short: its columns on a terminal."""

    def __init__(self, name: str, options: dict[str, Any], short: Sequence[str] | None) -> None:
        from sniffkit.api import Capture
        from sniffkit.cli.rows import split
        from sniffkit.query import select
        from sniffkit.sinks import Output

        self._name, self._short = name, short
        self.columns = split(options["columns"])
        self.out = Output(options["out"], options["json"], sys.stdout.isatty(), fit=self.columns is None)
        self._query = {key: options[key] for key in ("where", "sort", "limit") if options[key] is not None}
        self._chunks = [Capture([]).named(name).to_arrow()]
        select(self._chunks[0], self.columns, **self._query)  # what is wrong there is said now, not at the end

    def add(self, chunk: pa.Table) -> None:
        """Keep rows until the end."""
        self._chunks.append(chunk)

    def write(self) -> int:
        """Write what was asked for; how many rows."""
        import pyarrow as pa

        from sniffkit.sinks import write
        from sniffkit.tables import Result

        columns = self.columns or (list(self._short) if self._short and self.out.is_screen else None)
        return write(Result(self._name, pa.concat_tables(self._chunks)), self.out, columns=columns, **self._query)


def live_table(name: str, options: dict[str, Any]) -> int:
    """Watch until ^C, then show the rows, or JSON lines of stdout as they come; 1 if there are none."""
    from sniffkit.cli.rows import about

    rows = LiveRows(name, options, about(name).short)
    if rows.out.json and not rows.out.is_file and options["sort"] is None:
        live = watch(name, (), options, news=SOON)
        return live_lines(live, rows.out, rows.columns, options["where"], options["limit"])
    live = watch(name, (), options)
    for chunk in live:
        rows.add(chunk)
    say_dropped(live, "rows")
    return 0 if rows.write() else 1


def live_lines(live: LiveTable, out: Output, columns: list[str] | None, where: str | None, limit: int | None) -> int:
    """Print rows as they come, until ^C or `limit` rows; 1 if there were none."""
    from sniffkit.query import select
    from sniffkit.sinks import put

    rows = 0
    for chunk in live:
        left = None if limit is None else limit - rows
        if left != 0:
            rows += put(select(chunk, columns, where=where, limit=left), out)
        if rows == limit:
            live.stop()
    say_dropped(live, "rows")
    return 0 if rows else 1


def need_interface(options: dict[str, Any]) -> None:
    """Raises SniffkitError where nothing says where to capture."""
    if not options["interface"]:
        raise SniffkitError("--live needs -i IF: 'sniffkit interfaces --netns all' lists them")


def print_live(what: str, words: tuple[str, ...], options: dict[str, Any], **more: Any) -> int:
    """Capture and print `what` (`follow`, or a table's name) until ^C; saves nothing. words: the capture filter."""
    from sniffkit import _core
    from sniffkit.cli.lines import zone_from_now
    from sniffkit.cli.session import attend
    from sniffkit.points import own_output, point, utf8

    need_interface(options)
    utf8(*words, *options["interface"], options["netns"])
    points = [point(text, options["netns"]) for text in options["interface"]]
    live = _core.LiveOptions()
    live.filter = filter_of(words, WATCHES)
    live.say, live.duration, live.zone = what, options["duration"], zone_from_now()
    live.own_output = own_output(sys.stdout.fileno())
    for name, value in more.items():
        setattr(live, name, value)
    return attend(points, live, looked_for=True)


def watch(kind: str, given: tuple[str, ...], options: dict[str, Any], **more: Any) -> LiveTable:
    """A table that grows from now on until ^C, of the interfaces asked for or of all; more: as LiveTable takes it."""
    from sniffkit.livetable import LiveTable
    from sniffkit.scan.evidence import capture_points

    if given:
        raise SniffkitError(f"{WATCHES}: there is no FILE to read")
    netns = options["netns"]
    points = list(options["interface"]) or capture_points(netns, lambda text: say(f"sniffkit: {text}"))
    live = LiveTable(kind, points, netns, options["duration"], filter=options["filter"], **more)
    live.stop_on_signals()
    say(f"sniffkit: watching {', '.join(live.session.names)}")
    return live


def say_dropped(live: LiveTable, missing: str) -> None:
    """Tell what the kernel dropped."""
    if live.dropped:
        say(f"sniffkit: {live.dropped} frames dropped by the kernel: {missing} may be missing")


def refuse_live_options(options: dict[str, Any], *more: str) -> None:
    """`-i` and the like mean nothing over files; more: further options by name."""
    names = [
        ("interface", "-i"),
        ("netns", "--netns"),
        ("duration", "--duration"),
        *((name, f"--{name}") for name in more),
    ]
    for name, flag in names:
        if options[name]:
            raise SniffkitError(f"{flag} needs --live")
