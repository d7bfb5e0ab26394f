"""Small servers for scans to find: HTTP with a title of odd characters, and a banner as SSH servers send it.

    lab_services.py HTTP_PORT SSH_PORT [ADDRESS…]

Prints "ready" when every socket listens.
"""

from __future__ import annotations

import socket
import sys
import threading

TITLE = "Lab &amp; \"quotes\" 'n' > ümlaut \x01 \u2028 end"
PAGE = f"<html><head><title>{TITLE}</title></head><body>lab</body></html>".encode()
HTTP = b"HTTP/1.1 200 OK\r\nServer: lab/1.0 (test & check)\r\nContent-Type: text/html; charset=utf-8\r\n"
HTTP += f"Content-Length: {len(PAGE)}\r\nConnection: close\r\n\r\n".encode() + PAGE
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"


def serve(listener: socket.socket, answer: bytes, waits: bool) -> None:
    """Answer each connection with the same bytes; `waits`: only after its request."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(2)
            try:
                if waits and not connection.recv(65536):
                    continue
                connection.sendall(answer)
                if not waits:
                    connection.recv(65536)
            except OSError:
                continue


def main() -> None:
    ports = {int(sys.argv[1]): (HTTP, True), int(sys.argv[2]): (BANNER, False)}
    for address in sys.argv[3:]:
        for port, (answer, waits) in ports.items():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, port), family=family)
            threading.Thread(target=serve, args=(listener, answer, waits), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
