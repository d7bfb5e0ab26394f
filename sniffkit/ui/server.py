"""The web server of a page: the files of `page/`, and a `View`'s answers as JSON for whoever has the token."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sniffkit.errors import SniffkitError
from sniffkit.ui.view import View

PAGE = os.path.join(os.path.dirname(__file__), "page")
MAX_ROWS = 1000  # of a table, or lines, in one answer
MAX_ASKED = 1 << 19  # bytes of a request's query; server.js asks nothing longer
# Nothing from elsewhere and no code but the page's own files: payload that looks like HTML can do nothing.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
HEADERS = {
    "content-security-policy": f"{POLICY}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Told(Response):
    """An answer as JSON. Its `rows` are JSON texts; a file's name may be no UTF-8, and is told as it is."""

    media_type = "application/json"

    def render(self, content: dict[str, Any]) -> bytes:
        rest = {name: value for name, value in content.items() if name != "rows"}
        # A byte that is none of UTF-8 is a lone surrogate, which gets the form that JSON has for it.
        text = json.dumps(rest, ensure_ascii=False).encode(errors="backslashreplace")
        return text if "rows" not in content else b'%b, "rows": [%b]}' % (text[:-1], b",".join(content["rows"]))


class Guard:
    """Lets nobody ask `/api` without the token: other users of the machine, and other pages in the browser, reach the
    port too. Gives every answer HEADERS, and a line for what nobody expected.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        try:
            answer = self.refusal(scope) if scope["type"] == "http" else None
            await (answer or self.app)(scope, receive, with_headers)
        except Exception as error:
            if begun:  # cut off
                return
            said = " ".join(f"{type(error).__name__}: {error}".split())
            await Told({"error": f"an error of sniffkit itself: {said}"}, 500)(scope, receive, with_headers)

    def refusal(self, scope: Scope) -> Response | None:
        """What is said to a request that is not let in."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        if scope["path"].startswith("/api/") and not secrets.compare_digest(given, self.expected):
            return Told({"error": "the token is missing or wrong: open the printed address"}, 401)
        if len(scope["query_string"]) > MAX_ASKED:
            return Told({"error": f"more than {MAX_ASKED >> 10} KiB: too long to be asked"}, 414)
        return None


def application(view: View, token: str, live: Any = None) -> Starlette:
    """The application. live: a `_core.LiveSession` that writes what `view` reads."""

    def capture(_: Request) -> Response:
        state: dict[str, Any] = {"files": view.names, "version": view.version()}
        if live is not None:
            running = not live.wait(0)
            why = [*live.lost, *([live.error] if live.error else [])]  # it has ended
            state["live"] = {"points": live.names, "frames": live.frames, "running": running, "why": why}
        return Told(state)

    def columns(_: Request) -> Response:
        return Told(view.columns())

    def table(request: Request) -> Response:
        asked = request.query_params
        texts = {name: asked.get(name) or None for name in ("filter", "where", "sort")}
        offset, limit = number(asked.get("offset", "0")), number(asked.get("limit", "200"))
        return Told(view.rows(request.path_params["name"], **texts, offset=offset, limit=min(limit, MAX_ROWS)))

    def lines(request: Request) -> Response:
        frames = [number(one) for one in request.query_params.get("frames", "").split(",") if one]
        return Told(view.lines(frames[:MAX_ROWS]))

    def frame(request: Request) -> Response:
        wanted = number(request.path_params["number"])
        if request.query_params.get("by") == "tshark":
            return Told({"tree": view.deep(wanted)})
        return Told(view.frame(wanted))

    def flow(request: Request) -> Response:
        return Told(view.follow(request.path_params["uid"], request.query_params.get("style", "text")))

    def stats(request: Request) -> Response:
        asked = request.query_params
        return Told(view.statistics(request.path_params["section"], asked.get("layer"), asked.get("sort")))

    def sql(request: Request) -> Response:
        return Told(view.sql(request.query_params.get("query", "")))

    def stop(_: Request) -> Response:
        if live is None:
            raise SniffkitError("nothing is being captured here")
        live.stop()
        live.wait()
        return capture(_)

    routes = [
        Route("/api/capture", capture),
        Route("/api/columns", columns),
        Route("/api/tables/{name}", table),
        Route("/api/lines", lines),
        Route("/api/frames/{number}", frame),
        Route("/api/flows/{uid}", flow),
        Route("/api/stats/{section}", stats),
        Route("/api/sql", sql),
        Route("/api/stop", stop, methods=["POST"]),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    handlers: dict[Any, Any] = {SniffkitError: refused, HTTPException: failed}
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token)], exception_handlers=handlers)


def number(text: str) -> int:
    """A frame number or count of a request."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise SniffkitError(f"{text!r} is no number")
    return int(text)


def refused(_: Request, error: Exception) -> Response:
    """A request that cannot be met, as a line to show."""
    return Told({"error": str(error)}, 400)


def failed(_: Request, error: Exception) -> Response:
    """What is not there, or not asked for in this way."""
    assert isinstance(error, HTTPException)
    return Told({"error": error.detail}, error.status_code)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0: one that is free. Raises SniffkitError if it cannot be had."""
    if not host:
        raise SniffkitError("--bind needs an address, as 127.0.0.1")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except UnicodeError as error:
        raise SniffkitError(f"--bind {host!r}: {error}") from None
    except OSError as error:
        number = error.errno or 0  # names that cannot be found have numbers below 0
        raise SniffkitError(f"{host} port {port}: {os.strerror(number) if number > 0 else error.strerror}") from None


class Server(uvicorn.Server):
    """Serves until `over` says so; signals stay with whoever has set handlers for them."""

    def __init__(self, app: ASGIApp, over: Callable[[], bool]) -> None:
        quiet = {"log_level": "error", "access_log": False, "server_header": False, "lifespan": "off"}
        quiet |= {"http": "h11", "h11_max_incomplete_event_size": 2 * MAX_ASKED}  # too long is told, unless by far
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=1, **quiet))  # type: ignore[arg-type]
        self.over = over

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        if over := self.over():
            logging.disable()  # requests that are cut off are no errors
        return over or await super().on_tick(counter)
