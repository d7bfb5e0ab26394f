"""What `--live` needs: its options, printing what flows say (`follow --live`, `http --live`), watching for a table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from sniffkit.cli import say
from sniffkit.errors import SniffkitError

if TYPE_CHECKING:
    from sniffkit.livetable import LiveTable


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


def print_live(what: str, expression: tuple[str, ...], options: dict[str, Any], **more: Any) -> int:
    """Capture and print `what` (`follow`, or a table's name) until ^C; saves nothing."""
    from sniffkit import _core
    from sniffkit.cli.lines import zone_from_now
    from sniffkit.cli.session import attend
    from sniffkit.points import own_output, point, utf8

    points = [point(text, options["netns"]) for text in options["interface"]]
    if not points:
        raise SniffkitError("--live needs -i IF: 'sniffkit interfaces --netns all' lists them")
    utf8(*expression, *options["interface"], options["netns"])
    live = _core.LiveOptions()
    live.filter = " ".join(expression) or None
    live.say, live.duration, live.zone = what, options["duration"], zone_from_now()
    live.own_output = own_output(sys.stdout.fileno())
    for name, value in more.items():
        setattr(live, name, value)
    return attend(points, live)


def watch(kind: str, given: tuple[str, ...], options: dict[str, Any], **more: Any) -> LiveTable:
    """A table that grows from now on until ^C, of the interfaces asked for or of all; more: as LiveTable takes it."""
    from sniffkit.livetable import LiveTable
    from sniffkit.scan.evidence import capture_points

    if given:
        raise SniffkitError("--live watches interfaces: there is no FILE to read")
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
