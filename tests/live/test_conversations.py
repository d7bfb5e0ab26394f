"""What flows say, printed while they say it: follow, http and capture --print beside a real transfer."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from livenet import SNIFFKIT, Net

BODY = b"<html>hello from b</html>\n"


@pytest.fixture
def server(net: Net, tmp_path: Path) -> Iterator[Net]:
    """A web server on b's port 8080."""
    root = tmp_path / "www"
    root.mkdir()
    (root / "page.html").write_bytes(BODY)
    command = ["ip", "netns", "exec", net.b, sys.executable, "-m", "http.server", "8080", "-d", str(root)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield net
        finally:
            process.terminate()


def fetch(net: Net, path: str) -> str:
    """Fetch a page from a, with a few tries while the server starts."""
    code = (
        "import sys,time,urllib.request\n"
        "for _ in range(100):\n"
        "    try:\n"
        "        print(urllib.request.urlopen(sys.argv[1]).read().decode()); break\n"
        "    except urllib.error.HTTPError as error:\n"
        "        print(error.code); break\n"
        "    except OSError:\n"
        "        time.sleep(0.05)\n"
    )
    return net.run(net.a, sys.executable, "-c", code, f"http://10.231.0.2:8080{path}")


def watch(net: Net, *arguments: str, until: bytes) -> str:
    """Run a live command on b, fetch two pages, end it with ^C once `until` was printed."""
    command = [SNIFFKIT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert re.match(rb"(sniffkit: )?(listening|watching)", process.stderr.readline())
            assert BODY.decode() in fetch(net, "/page.html")
            fetch(net, "/none")
            text = b""
            deadline = time.monotonic() + 20
            while until not in text and time.monotonic() < deadline:
                text += process.stdout.read1()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    return (text + rest).decode()


def test_follow_prints_both_sides_as_it_happens(server: Net) -> None:
    text = watch(server, "follow", "--live", "-i", server.veth2, "port 8080", until=b"hello from b")
    assert text.index("GET /page.html HTTP/1.1") < text.index("200 OK") < text.index("hello from b")
    assert "> 10.231.0.2.8080" in text


def test_http_prints_transactions_as_they_end(server: Net) -> None:
    text = watch(server, "http", "--live", "-i", server.veth2, "port 8080", until=b"/none")
    lines = [line for line in text.splitlines() if "GET" in line]
    assert any("GET 10.231.0.2:8080/page.html 200 OK text/html 26 bytes" in line for line in lines)
    assert any("/none 404" in line for line in lines)


def test_http_prints_objects_as_they_come(server: Net) -> None:
    arguments = ["http", "--live", "-i", server.veth2, "--json", "--columns", "uri,status_code", "port 8080"]
    text = watch(server, *arguments, "--where", "status_code >= 200", until=b"/none")
    rows = [json.loads(line) for line in text.splitlines()]
    assert rows == [{"uri": "/page.html", "status_code": 200}, {"uri": "/none", "status_code": 404}]


def test_http_ends_with_as_many_objects_as_were_asked_for(server: Net) -> None:
    command = [SNIFFKIT, "http", "--live", "-i", server.veth2, "--json", "--limit", "2", "--where", "status_code = 404"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            assert b"watching" in process.stderr.readline()
            for path in ("/page.html", "/a", "/b", "/c"):
                fetch(server, path)
            text, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, b"")
    assert [json.loads(line)["uri"] for line in text.splitlines()] == ["/a", "/b"]


@pytest.mark.parametrize("out", ["--json", "-o"])
def test_http_gives_the_rows_that_were_asked_for_at_the_end(server: Net, tmp_path: Path, out: str) -> None:
    file = tmp_path / "rows.jsonl"
    where = ["--where", "status_code = 404", "--columns", "uri,status_code", "--sort", "uri desc", "--limit", "2"]
    command = [SNIFFKIT, "http", "--live", "-i", server.veth2, "-f", "port 8080", *where]
    command += [out] if out == "--json" else [out, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == f"sniffkit: watching {server.veth2}\n".encode()
            for path in ("/page.html", "/a", "/b", "/c"):
                fetch(server, path)
            process.send_signal(signal.SIGINT)
            text, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, b"")
    lines = (text if out == "--json" else file.read_bytes()).splitlines()
    assert lines == [b'{"uri": "/c", "status_code": 404}', b'{"uri": "/b", "status_code": 404}']


@pytest.mark.parametrize("form", [["dns", "--json"], ["dns", "--limit", "1"], ["dns"], ["follow"]])
def test_what_says_nothing_is_nothing_found(net: Net, form: list[str]) -> None:
    command = [SNIFFKIT, *form, "--live", "-i", net.veth2, "--duration", "0.2", "port 53"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, len(done.stdout.splitlines()) <= 1) == (1, True), done  # the heads of columns
    assert done.stderr.startswith(("sniffkit: listening on", "sniffkit: watching"))


def test_capture_prints_transactions_and_saves(server: Net, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    arguments = ["capture", "-i", server.veth2, "-w", str(path), "--print", "http", "port 8080"]
    text = watch(server, *arguments, until=b"/none")
    assert "/page.html 200 OK" in text
    saved = subprocess.run(
        [SNIFFKIT, "http", str(path), "--columns", "uri,status_code"], capture_output=True, text=True, check=True
    )
    assert "/page.html\t200" in saved.stdout
    assert "/none\t404" in saved.stdout
