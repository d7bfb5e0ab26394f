"""`sniffkit ui`: captures in a web page."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from sniffkit.cli import say
from sniffkit.errors import SniffkitError


@click.command()
@click.argument("arguments", nargs=-1, metavar="[FILE… | FILTER]")
@click.option("--netns", metavar="NS", help="Namespace of the interfaces without one: ip netns name, path or PID.")
@click.option("-i", "--interface", "interface", multiple=True, metavar="[NS/]IF", help="Capture here; repeatable; any.")
@click.option("--dir", "directory", metavar="DIR", help="Where captures are saved ($SNIFFKIT_CAPTURES, captures/).")
@click.option("-w", "write", metavar="FILE", help="Write the capture to this file.")
@click.option("-s", "snap_len", type=click.IntRange(0, 262144), metavar="LEN", help="Bytes kept a frame (0: all).")
@click.option("--bind", default="127.0.0.1", metavar="ADDR", help="Where to serve (127.0.0.1: for this machine alone).")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port to serve at (any free one).")
@click.option("--open", "browse", is_flag=True, help="Open the page in the browser.")
@click.pass_context
def ui(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Look at captures in a web page: tables, frames with tree and bytes, conversations, statistics, SQL.

    Without FILE: the newest capture. With -i: captures live, saves pcapng and flow table under captures/, and shows
    what there is by now; so it does with a FILE that grows. Prints the page's address, which holds a token without
    which nothing is told. ^C ends it.

    \b
    Examples:
      sniffkit ui lab.pcapng
      sniffkit ui --netns ns1 -i veth1
      sniffkit ui -i ns1/veth1 -i ns2/veth2 'tcp port 80'
      sniffkit ui --port 8080 --open
    """
    live = bool(options["interface"])
    for name in ("netns", "directory", "write", "snap_len"):
        if options[name] is not None and not live:
            given = next(one for one in ctx.command.params if one.name == name).opts[-1]
            raise SniffkitError(f"{given} is of a capture: -i IF is missing")
    code = watch(arguments, options) if live else show(arguments, options)
    sys.stdout.flush()
    os._exit(code)  # whatever still is under way for a page that nobody looks at any more


def show(arguments: tuple[str, ...], options: dict[str, Any]) -> int:
    """Serve files; the exit code."""
    from sniffkit.api import open as open_capture
    from sniffkit.cli.inputs import files
    from sniffkit.cli.session import Signals
    from sniffkit.ui.server import listen
    from sniffkit.ui.view import View, readable

    capture = open_capture(files(arguments))
    view = View(capture)
    readable(capture)
    with listen(options["bind"], options["port"]) as socket:
        serve(view, socket, options, Signals())
    return 0


def watch(words: tuple[str, ...], options: dict[str, Any]) -> int:
    """Capture, and serve what is written; the exit code. words: the capture filter."""
    from sniffkit import _core
    from sniffkit.api import open as open_capture
    from sniffkit.cli.live import filter_of
    from sniffkit.cli.session import Signals, command_line, conclude, forget_empty, new_directory, outputs
    from sniffkit.options import capture_format
    from sniffkit.points import point, start, utf8
    from sniffkit.ui.server import listen
    from sniffkit.ui.view import View

    utf8(*words, *options["interface"], *(options[name] for name in ("netns", "directory", "write")))
    expression = filter_of(words, "-i captures live")
    points = [point(text, options["netns"]) for text in options["interface"]]
    others = ("flows", "megabytes", "seconds", "files", "no_save", "user")  # options of `capture` that are not here
    new = new_directory(options)
    write, flows = outputs(points, {**options, **dict.fromkeys(others)})
    if write is None or write == "-":
        raise SniffkitError("-w - cannot be read by the page: give a file")
    signals = Signals()
    try:
        socket = listen(options["bind"], options["port"])
        settings = _core.LiveOptions()
        settings.filter, settings.snap_len = expression, options["snap_len"]
        settings.write, settings.format, settings.flows = write, capture_format(write), flows
        settings.comments = [f"command: {command_line(['sniffkit', *sys.argv[1:]])}"]
        settings.own_output = f"tcp port {socket.getsockname()[1]}"
        session = signals.session = start(points, settings, lambda: bool(signals.seen))
    except BaseException:
        if options["write"] is None:
            forget_empty(write, new)
        raise
    say(f"sniffkit: listening on {', '.join(session.names)}")
    try:
        serve(View(open_capture(write)), socket, options, signals, session)
    finally:
        session.stop()
        session.wait()
    return conclude(session, write, flows, flows)


def serve(view: Any, socket: Any, options: dict[str, Any], signals: Any, session: Any = None) -> None:
    """Say where the page is, and serve it until a signal comes."""
    import secrets

    from sniffkit.ui.server import Server, application

    token = secrets.token_urlsafe(24)
    host, port = socket.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/#token={token}"
    print(address, flush=True)
    if host not in ("127.0.0.1", "::1"):
        say("sniffkit: the page is not encrypted: its token and all it shows can be read on the way")
    led = browse(address) if options["browse"] else None
    try:
        Server(application(view, token, session), lambda: bool(signals.seen)).run(sockets=[socket])
    finally:
        view.close()
        if led is not None:
            led.close()


def browse(address: str) -> Any:
    """Open the browser, which may take its time. Whoever looks sees what a program is called with, so it gets a file of
    ours that leads to the address, as Jupyter's does; the file is gone when it is closed.
    """
    import tempfile
    import threading
    import webbrowser

    file = tempfile.NamedTemporaryFile("w", suffix=".html")  # noqa: SIM115 - the caller closes it
    file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">')
    file.flush()

    def open_it() -> None:
        if not webbrowser.open(f"file://{file.name}"):
            say("sniffkit: --open: there is no browser to be found")

    threading.Thread(target=open_it, daemon=True).start()
    return file
