"""Printing live what flows say: `follow --live`, `http --live`, `capture --print http`."""

from __future__ import annotations

import time
from typing import Any

import click

from sniffkit.errors import SniffkitError


def live_options(command: Any) -> Any:
    """The options that `--live` needs, for a command that also reads files."""
    for option in (
        click.option("--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="With --live."),
        click.option("-i", "interface", multiple=True, metavar="[NS/]IF", help="With --live: where to capture."),
        click.option("--netns", metavar="NS", help="With --live: namespace of the interfaces without one."),
        click.option("--live", is_flag=True, help="Capture and print as it happens; arguments are the filter."),
    ):
        command = option(command)
    return command


def print_live(what: str, expression: tuple[str, ...], options: dict[str, Any], **more: Any) -> int:
    """Capture and print `what` (`follow`, or a table's name) until ^C; saves nothing."""
    from sniffkit import _core
    from sniffkit.capturing import point, start
    from sniffkit.cli.capture import attend

    points = [point(text, options["netns"]) for text in options["interface"]]
    if not points:
        raise SniffkitError("--live needs -i IF: 'sniffkit interfaces --netns all' lists them")
    live = _core.LiveOptions()
    live.filter = " ".join(expression) or None
    live.say, live.duration, live.utc_offset = what, options["duration"], time.localtime().tm_gmtoff
    for name, value in more.items():
        setattr(live, name, value)
    return attend(start(points, live), None, None, None)


def refuse_live_options(options: dict[str, Any]) -> None:
    """`-i` and the like mean nothing over files."""
    for name, flag in (("interface", "-i"), ("netns", "--netns"), ("duration", "--duration")):
        if options[name]:
            raise SniffkitError(f"{flag} needs --live")
