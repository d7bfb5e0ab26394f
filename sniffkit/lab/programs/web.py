"""A web server: `python -m sniffkit.lab.programs.web PORT (--text TEXT | --directory DIR)`."""

from __future__ import annotations

import argparse
import functools
import http.server
import socket
import sys
from typing import Any


class OneText(http.server.BaseHTTPRequestHandler):
    """Gives the same text for every URL."""

    protocol_version = "HTTP/1.1"
    text = b""

    def do_GET(self) -> None:
        """Answer a GET."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.text)

    do_HEAD = do_GET


class Server(http.server.ThreadingHTTPServer):
    """IPv6 and IPv4 on one socket."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without the name look-up that HTTPServer does: a namespace may have no name server to answer it."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "lab", self.socket.getsockname()[1]


def main(arguments: list[str]) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="web")
    parser.add_argument("port", type=int)
    parser.add_argument("--text", default="")
    parser.add_argument("--directory")
    options = parser.parse_args(arguments)
    handler: Any = type("Handler", (OneText,), {"text": options.text.encode()})
    if options.directory:
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=options.directory)
    try:
        server = Server(("::", options.port), handler)
    except OSError as error:
        sys.exit(f"TCP port {options.port}: {error.strerror}")
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
