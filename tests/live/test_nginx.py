"""nginx's access log of a lab run equals the `http` table, row for row."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

import sniffkit as sk
from sniffkit.netlink import run_in

pytestmark = pytest.mark.live

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SETTINGS = """daemon off; master_process off; pid {work}/pid; error_log {work}/error.log;
events {{ }}
http {{
  log_format row '$remote_port|$request_method|$http_host|$request_uri|$server_protocol|$http_user_agent|$http_referer'
    '|$status|$body_bytes_sent|$content_length|$connection_requests|$sent_http_transfer_encoding';
  access_log {work}/access.log row;
  client_body_temp_path {work}/1; proxy_temp_path {work}/2; fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4;
  scgi_temp_path {work}/5;
  gzip on; gzip_min_length 1; gzip_types text/plain;
  server {{
    listen 80; root {work}/site;
    location /old {{ return 301 /new.txt; }}
    location /none {{ return 204; }}
    location /no {{ return 403 "no\\n"; }}
    location /put/ {{ dav_methods PUT DELETE; client_max_body_size 1m; }}
    location /pages/ {{ chunked_transfer_encoding on; gzip on; }}
    error_page 404 /404.txt;
  }}
}}
"""
PIPELINED = b"".join(
    f"{method} {path} HTTP/1.1\r\nHost: pipe\r\n\r\n".encode()
    for method, path in (("GET", "/a.txt"), ("HEAD", "/big.bin"), ("GET", "/missing"), ("GET", "/none"))
)


def talk(*parts: bytes) -> bytes:
    """What the server answers on one connection until it closes."""
    with socket.create_connection(("10.234.0.2", 80), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def traffic(here: str, lab: sk.lab.Lab) -> None:
    def curl(*arguments: str) -> None:
        """Paths are fetched one after the other on one connection."""
        words = [["-o", "/dev/null", f"http://10.234.0.2{one}"] if one[0] == "/" else [one] for one in arguments]
        lab[here].run(
            ["curl", "-s", "-A", "agent 1.0", "-e", "http://from.test/", *(w for some in words for w in some)]
        )

    curl("/a.txt", "/big.bin", "/old", "/none", "/no", "/missing")
    curl("--compressed", "/a.txt?zip=1")
    curl("-I", "/big.bin")
    curl("-r", "10-99", "/big.bin")
    curl("-X", "OPTIONS", "/a.txt")
    curl("-d", "x=1", "/a.txt")
    curl("-0", "/a.txt")
    curl("-X", "PUT", "-d", "first", "/put/new")
    curl("-X", "PUT", "-d", "second", "/put/new")
    curl("-X", "DELETE", "/put/new")
    run_in(here, lambda: talk(PIPELINED + b"GET /a.txt HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"))
    run_in(here, lambda: talk(b"GET /a.txt HTTP/1.0\r\n\r\n"))


def entry(line: str) -> tuple[str, ...]:
    """A line of the log. nginx counts the framing of chunks as body; the table does not."""
    *fields, coding = line.split("|")
    if coding == "chunked":
        sent = int(fields[8])
        fields[8] = next(str(n) for n in range(sent) if n + len(f"{n:x}\r\n\r\n0\r\n\r\n") == sent)
    return tuple(fields)


def test_the_access_log_is_the_table(tmp_path: Path) -> None:
    if NGINX is None:
        pytest.skip("nginx is not there (Debian: nginx-light)")
    work = tmp_path
    site = work / "site"
    (site / "put").mkdir(parents=True)
    (site / "a.txt").write_text("words, words, words\n" * 300)
    (site / "404.txt").write_text("not here\n")
    (site / "big.bin").write_bytes(bytes(range(256)) * 800)
    (work / "nginx.conf").write_text(SETTINGS.format(work=work))
    for path in (work, *work.parents):  # nginx's worker is nobody
        if path.stat().st_uid == os.geteuid() and path.name.startswith("pytest-"):
            path.chmod(0o755)
    os.chmod(site / "put", 0o777)
    a, b = f"skl{os.getpid()}na", f"skl{os.getpid()}nb"
    nginx = f"exec {NGINX} -p {work} -c {work}/nginx.conf -e {work}/error.log"
    spec = {
        "nodes": {a: {}, b: {"services": {"run": {"command": nginx, "tcp": 80}}}},
        "links": [{f"{a}/veth1": "10.234.0.1/24", f"{b}/veth2": "10.234.0.2/24"}],
    }
    with sk.lab(spec) as lab, sk.capture(f"{a}/veth1", write=work / "x.pcapng") as live:
        traffic(a, lab)
        live.stop()
    logged = [entry(line) for line in (work / "access.log").read_text().splitlines()]
    rows = sk.open(work / "x.pcapng").http().to_arrow().to_pylist()

    def shown(value: object) -> str:
        return "-" if value is None else str(value)

    ours = [
        (
            *(shown(row[key]) for key in ("orig_p", "method", "host", "uri")),
            f"HTTP/{row['version']}",
            *(shown(row[key]) for key in ("user_agent", "referrer", "status_code", "response_body_len")),
            shown(row["request_body_len"] or None),
            shown(row["trans_depth"]),
        )
        for row in rows
    ]
    assert sorted(ours) == sorted(logged)
    assert len(ours) > 20
    assert {row[7] for row in ours} >= {"200", "201", "204", "206", "301", "403", "404", "405"}
    assert [row["complete"] for row in rows] == [True] * len(rows)
