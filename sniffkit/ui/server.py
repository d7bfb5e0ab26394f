"""The web server of a page: the files of `page/`, and a `View`'s answers as JSON for whoever has the token."""

from __future__ import annotations

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
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sniffkit.errors import SniffkitError
from sniffkit.ui.view import View

PAGE = os.path.join(os.path.dirname(__file__), "page")
MAX_ROWS = 1000  # of a table, or lines, in one answer
# Nothing from elsewhere and no code but the page's own files: payload that looks like HTML can do nothing.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
HEADERS = {
    "content-security-policy": f"{POLICY}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """Lets nobody ask `/api` without the token: other users of the machine, and other pages in the browser, reach the
    port too. Gives every answer HEADERS.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(given, self.expected):
                refusal = JSONResponse({"error": "the token is missing or wrong: open the printed address"}, 401)
                await refusal(scope, receive, with_headers)
                return
        await self.app(scope, receive, with_headers)


def application(view: View, token: str, live: Any = None) -> Starlette:
    """The application. live: a `_core.LiveSession` that writes what `view` reads."""

    def capture(_: Request) -> Response:
        state: dict[str, Any] = {"files": view.names, "version": view.version()}
        if live is not None:
            state["live"] = {"points": live.names, "frames": live.frames, "running": not live.wait(0)}
        return JSONResponse(state)

    def columns(_: Request) -> Response:
        return JSONResponse(view.columns())

    def table(request: Request) -> Response:
        asked = request.query_params
        texts = {name: asked.get(name) or None for name in ("filter", "where", "sort")}
        offset, limit = number(asked.get("offset", "0")), number(asked.get("limit", "200"))
        return JSONResponse(view.rows(request.path_params["name"], **texts, offset=offset, limit=min(limit, MAX_ROWS)))

    def lines(request: Request) -> Response:
        frames = [number(one) for one in request.query_params.get("frames", "").split(",") if one]
        return JSONResponse(view.lines(frames[:MAX_ROWS]))

    def frame(request: Request) -> Response:
        wanted = number(request.path_params["number"])
        if request.query_params.get("by") == "tshark":
            return JSONResponse({"tree": view.deep(wanted)})
        return JSONResponse(view.frame(wanted))

    def flow(request: Request) -> Response:
        return JSONResponse(view.follow(request.path_params["uid"], request.query_params.get("style", "text")))

    def stats(request: Request) -> Response:
        return JSONResponse(view.statistics(request.path_params["section"], request.query_params.get("layer")))

    def sql(request: Request) -> Response:
        return JSONResponse(view.sql(request.query_params.get("query", "")))

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
    return JSONResponse({"error": str(error)}, 400)


def failed(_: Request, error: Exception) -> Response:
    """What is not there, or not asked for in this way."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0: one that is free. Raises SniffkitError if it cannot be had."""
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
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=1, **quiet))  # type: ignore[arg-type]
        self.over = over

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        if over := self.over():
            logging.disable()  # requests that are cut off are no errors
        return over or await super().on_tick(counter)
