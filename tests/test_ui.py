"""`sniffkit ui`: what its server tells, and to whom."""

from __future__ import annotations

import asyncio
import errno
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from commandline import run
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter, wrpcap
from setting import ROOT
from webpage import Page, burst_at_the_end

import sniffkit as sk
from sniffkit.api import TABLES
from sniffkit.ui.server import application
from sniffkit.ui.view import MAX_JUDGED, View

DEMO = ROOT / "captures" / "demo" / "demo.pcapng"
COMMAND = [sys.executable, "-m", "sniffkit"]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with Page(str(DEMO)) as page:
        yield page


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_those_of_the_command(page: Page, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capfd, name, str(DEMO), "--json")
    told = page.ask(f"tables/{name}", limit=1000)
    assert told["rows"] == [json.loads(line) for line in out.splitlines()]
    assert (told["total"], told["damage"]) == (len(told["rows"]), [])


def test_conditions_order_and_filter_are_those_of_the_command(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    asked = {"where": "frame_len > 66", "sort": "frame_len DESC", "filter": "tcp"}
    options = [part for key, value in asked.items() for part in (f"--{key}", value)]
    _, out, _ = run(capfd, "packets", str(DEMO), "--json", *options)
    wanted = [json.loads(line) for line in out.splitlines()]
    told = page.ask("tables/packets", **asked, offset=2, limit=3)
    assert len(wanted) > 4
    assert (told["total"], told["rows"]) == (len(wanted), wanted[2:5])


def test_lines_are_those_of_read(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capfd, "read", "-t", str(DEMO))
    lines = out.splitlines()
    # Sequence numbers are relative to frames that were not asked for.
    assert "seq 1:" in lines[15]
    assert page.ask("lines", frames="20,16,7") == {"7": lines[6], "16": lines[15], "20": lines[19]}


def test_a_frame_is_its_tree_and_its_bytes(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capfd, "read", "-V", str(DEMO))
    trees = ("\n" + out).split("\nFrame ")
    frames = [bytes(one) for one in sk.open(DEMO).scapy()]
    for number in (1, 16, 46):
        told = page.ask(f"frames/{number}")
        assert told["tree"].removeprefix("Frame ") == trees[number].rstrip("\n")
        assert bytes.fromhex(told["bytes"]) == frames[number - 1]
    assert page.ask("frames/47") == {"error": "there is no frame 47"}
    assert page.ask("frames/0") == {"error": "there is no frame 0"}
    assert page.ask("frames/x") == {"error": "'x' is no number"}


def test_a_flow_is_what_follow_prints(page: Page, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    uid = page.ask("tables/http")["rows"][0]["uid"]
    told = page.ask(f"flows/{uid}")
    assert [who for who, _ in told["turns"]] == ["orig", "resp"]
    done = subprocess.run(
        [*COMMAND, "follow", str(DEMO), "--uid", uid], capture_output=True, env={**os.environ, "TZ": "UTC"}
    )
    assert "".join(text for _, text in told["turns"]) == done.stdout.decode()
    assert "47 45 54" in page.ask(f"flows/{uid}", style="hex")["turns"][0][1]
    silent = page.ask("tables/flows", where="proto = 'arp'")["rows"][0]["uid"]
    assert page.ask(f"flows/{silent}")["turns"] == []
    assert page.ask("flows/Cnone") == {"error": "there is no flow Cnone in the unfiltered capture"}


def test_statistics_and_sql_are_those_of_the_commands(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    for section, layer in (("summary", {}), ("io", {}), ("conversations", {"layer": "tcp"})):
        options = [part for key, value in layer.items() for part in (f"--{key}", value)]
        _, out, _ = run(capfd, "stats", "--only", section, *options, "--json", str(DEMO))
        told = page.ask(f"stats/{section}", **layer)
        assert told["rows"] == [json.loads(line) for line in out.splitlines()]
    told = page.ask("sql", query="SELECT count(*) AS n FROM packets")
    assert told == {"columns": ["n"], "damage": [], "rows": [{"n": 46}], "cut": False}
    told = page.ask("sql", query="-- many\nSELECT range FROM range(3000), packets LIMIT 5000")
    assert (len(told["rows"]), told["cut"]) == (2000, True)
    told = page.ask("sql", query="SELECT uid, 1 AS a, 2 AS a FROM flows WHERE false")
    assert told == {"columns": ["uid", "a", "a_1"], "damage": [], "rows": [], "cut": False}
    query = (
        "SELECT epoch_ns(ts) AS n, 0.1234567890123456789::decimal(38, 19) AS d, 1.0::double AS f FROM packets LIMIT 1"
    )
    _, out, _ = run(capfd, "sql", query, str(DEMO), "--json")
    assert out.strip().encode() in page.fetch(f"api/sql?query={quote(query)}")[2]


def test_frames_over_the_time_of_a_long_capture_are_told_to_its_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (path := tmp_path / "long.pcap").write_bytes(burst_at_the_end(2_500))
    with Page(str(path)) as page:
        told = page.ask("stats/io")
    _, out, _ = run(capfd, "stats", "--only", "io", "--interval", "10", "--json", str(path))
    assert told["rows"] == [json.loads(line) for line in out.splitlines()]
    assert (len(told["rows"]), told["rows"][-1]["frames"], told["cut"]) == (250, 200, False)


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("tables/packet", {}, "no table 'packet'; there are: packets flows"),
        ("tables/packets", {"where": "frame_lenn > 3"}, "--where 'frame_lenn > 3': at column 1: "),
        ("tables/packets", {"where": "1) UNION SELECT 1 --"}, "--where "),
        ("tables/packets", {"filter": "tcp prot 3"}, "tcp prot 3"),
        ("tables/packets", {"offset": "-1"}, "'-1' is no number"),
        ("stats/none", {}, "no section 'none'"),
        ("stats/endpoints", {"layer": "x"}, "layer"),
        ("sql", {"query": "SELECT * FROM read_csv('/etc/passwd')"}, ""),
        ("sql", {"query": "SELECT * FROM read_text('/etc/passwd')"}, "operations are disabled"),
        ("sql", {"query": ""}, "the query is empty"),
        ("sql", {"query": "SELECT 1 \0"}, "the query has a NUL byte"),
        ("sql", {"query": "packets"}, "syntax error"),
        ("sql", {"query": "http://127.0.0.1:9/x.pcap"}, "syntax error"),
        ("sql", {"query": "/etc/passwd"}, "syntax error"),
        ("sql", {"query": str(DEMO)}, "syntax error"),
        ("sql", {"query": "--json"}, "one query, not nothing"),
        ("sql", {"query": "SELECT repeat('x', 10000000)"}, "a row of more than 8 MiB"),
        ("flows/C1", {"style": "raw"}, "style is text or hex, not 'raw'"),
        ("none", {}, "Not Found"),
    ],
)
def test_what_cannot_be_met_is_a_line(page: Page, path: str, query: dict[str, str], said: str) -> None:
    error = page.ask(path, **query)["error"]
    assert said in error
    assert "\n" not in error
    assert "root:" not in error


def test_what_is_too_long_or_too_deep_is_told(page: Page) -> None:
    long = quote(f"SELECT length('{'(' * 150_000}') AS n")
    assert json.loads(page.fetch(f"api/sql?query={long}")[2])["rows"] == [{"n": 150_000}]
    status, _, body = page.fetch(f"api/sql?query={long}{'x' * 100_000}")
    assert (status, json.loads(body)) == (414, {"error": "more than 512 KiB: too long to be asked"})
    begun = time.monotonic()
    for path, name in (("tables/packets", "where"), ("tables/packets", "sort"), ("sql", "query")):
        assert "nested deeper than 200 brackets" in page.ask(path, **{name: "(" * 60_000})["error"]
    assert time.monotonic() - begun < 10


def test_a_slow_condition_keeps_nobody_waiting() -> None:
    slow = "(SELECT count(*) FROM range(400000000000) a WHERE hash(a.range) % 257 = 1) > "
    with Page(str(DEMO)) as page, ThreadPoolExecutor() as pool:
        for number in range(MAX_JUDGED):
            pool.submit(page.fetch, f"api/tables/packets?where={quote(slow)}{number}")
        time.sleep(1)
        begun = time.monotonic()
        assert page.ask("tables/packets")["total"] == 46
        assert page.ask("tables/packets", where="true")["error"].startswith("4 conditions are being worked out already")
        assert len(page.ask("stats/summary")["rows"]) == 1
        assert time.monotonic() - begun < 10
        assert page.end() == (0, "")


def test_damage_is_told_with_every_answer(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{'x' * 200}{number}.pcapng") for number in range(300)]  # lines of more than a pipe holds
    for name in names:
        Path(name).write_bytes(DEMO.read_bytes()[:-37])
    with Page(names[0]) as page:
        (line,) = page.ask("tables/packets", limit=0)["damage"]
        assert line.startswith(f"{names[0]}: at byte ")
        for path, query in (("stats/summary", {}), ("sql", {"query": "SELECT count(*) AS n FROM packets"})):
            told = page.ask(path, **query)
            assert (told["damage"], len(told["rows"])) == ([line], 1)
    with Page(*names) as page:
        told = page.ask("sql", query="SELECT count(*) AS n FROM packets")
        assert told["rows"] == [{"n": 46 * 300}]
        assert (told["damage"][0], told["damage"][100:]) == (line, ["… and 200 more"])


def test_a_name_that_is_no_text_is_told_as_it_is(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/n\xff\xe9.pcapng")
    Path(name).write_bytes(DEMO.read_bytes()[:-37])
    with Page(name) as page:
        assert page.ask("capture")["files"] == [name]
        for path, query in (
            ("tables/flows", {}),
            ("stats/summary", {}),
            ("sql", {"query": "SELECT count(*) FROM dns"}),
        ):
            told = page.ask(path, **query)
            assert len(told["rows"]) > 0
            assert ": at byte " in told["damage"][0]
        Path(name).unlink()
        assert page.ask("frames/1")["error"].endswith(": No such file or directory")
        assert page.end() == (0, "")


def test_an_error_that_nobody_expected_is_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(View):
        def version(self) -> str:
            raise ZeroDivisionError("by\nnothing")

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/api/capture", "query_string": b""}
    headers = [(b"authorization", b"Bearer t")]
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(application(Broken(sk.open(DEMO)), "t")({**scope, "headers": headers}, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"]) == {"error": "an error of sniffkit itself: ZeroDivisionError: by nothing"}
    assert capfd.readouterr() == ("", "")


def test_a_capture_is_read_by_its_name_alone(tmp_path: Path) -> None:
    frame = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2)
    wrpcap(str(tmp_path / "a1.pcap"), [frame] * 3)
    wrpcap(str(tmp_path / "a[1].pcap"), [frame])
    with Page(str(tmp_path / "a[1].pcap")) as page:
        assert page.ask("sql", query="SELECT count(*) n FROM packets")["rows"] == [{"n": 1}]
        (tmp_path / "a[1].pcap").unlink()
        assert "No such file" in page.ask("sql", query="SELECT count(*) n FROM packets")["error"]


def test_nothing_is_told_without_the_token(page: Page) -> None:
    for token in ("", "wrong", page.token[:-1], page.token + "x"):
        for path in ("api/capture", "api/tables/packets", "api/frames/1", "api/none", "api//capture"):
            status, _, body = page.fetch(path, token)
            assert (status, b"demo" in body) == (401, False)
    assert page.fetch("api/stop", "", "POST")[0] == 401


def test_only_the_page_s_own_files_are_served_and_run(page: Page) -> None:
    status, headers, body = page.fetch("", "")
    assert (status, b"page.js" in body) == (200, True)
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    for path in ("../view.py", "%2e%2e/view.py", "..%2fview.py", "nothing.js"):
        assert page.fetch(path)[0] in (400, 404)


def test_a_file_that_grows_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "grows.pcap"
    frame = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2)
    writer = PcapWriter(str(path), sync=True)
    writer.write([frame, frame])
    with Page(str(path)) as page:
        first = page.ask("tables/packets")
        assert (first["total"], first["version"]) == (2, page.ask("capture")["version"])
        writer.write([frame])
        deadline = time.monotonic() + 10
        while page.ask("tables/packets")["total"] < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert page.ask("capture")["version"] != first["version"]
        with path.open("ab") as file:
            file.write(b"\1\2\3")
        while not (damage := page.ask("tables/packets")["damage"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "grows.pcap: at byte" in damage[0]
        path.unlink()
        assert page.ask("frames/1")["error"].endswith("No such file or directory")
        assert page.ask("tables/packets")["total"] == 3  # what was read of it stays
        assert page.end() == (0, "")
    writer.close()


def test_text_of_a_capture_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "<b>&'.pcap"
    said = b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: a\x1b[31mb\r\n\r\n"
    wrpcap(str(path), Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=80, seq=1, flags="PA") / said)
    with Page(str(path)) as page:
        (row,) = page.ask("tables/http")["rows"]
        assert (row["uri"], row["host"]) == ("/<script>alert(1)</script>", "a\x1b[31mb")
        ((who, text),) = page.ask(f"flows/{row['uid']}")["turns"]
        assert (who, "Host: a.[31mb" in text) == ("orig", True)
        assert page.ask("capture")["files"] == [str(path)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_trace(how: signal.Signals, tmp_path: Path) -> None:
    with Page(str(DEMO), env={**os.environ, "TMPDIR": str(tmp_path)}) as page:
        assert page.ask("tables/flows")["total"] == 8
        assert page.end(how) == (0, "")
    assert list(tmp_path.iterdir()) == []


ENDLESS = "SELECT count(*) FROM range(100000000000) a WHERE hash(range) % 7 = 1"


def test_a_query_without_end_ends_with_the_next_one_and_with_the_page() -> None:
    with Page(str(DEMO)) as page, ThreadPoolExecutor() as pool:
        first = pool.submit(page.ask, "sql", query=ENDLESS)
        time.sleep(1)
        assert page.ask("tables/flows")["total"] == 8
        assert page.ask("sql", query="SELECT 1 AS a")["rows"] == [{"a": 1}]
        assert first.result(10) == {"error": "something newer was asked for"}
        second = pool.submit(page.fetch, f"api/sql?query={quote(ENDLESS)}")
        time.sleep(1)
        begun = time.monotonic()
        assert page.end() == (0, "")
        assert time.monotonic() - begun < 5
        assert second.exception(10) or second.result()[0] >= 400  # cut off, or told


def test_a_table_that_the_disk_has_no_room_for_is_a_line_and_the_page_goes_on() -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    with Page(str(DEMO), preexec_fn=small_files) as page:
        assert "File too large" in page.ask("tables/flows")["error"]
        assert page.ask("frames/1")["number"] == 1


def test_a_full_place_for_tables_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, **_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(sk.SniffkitError, match=f"^{tmp_path}: No space left on device: "):
        View(sk.open(DEMO)).rows("flows")


def test_a_query_ends_with_its_page_however_that_ends() -> None:
    with Page(str(DEMO)) as page:

        def ask() -> None:
            with suppress(OSError, http.client.HTTPException):
                page.ask("sql", query=ENDLESS)

        threading.Thread(target=ask, daemon=True).start()
        children = Path(f"/proc/{page.process.pid}/task")
        until = time.monotonic() + 10
        while not (found := " ".join(one.read_text() for one in children.glob("*/children")).split()):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(1)  # it has begun
        page.process.kill()
        while any(Path(f"/proc/{one}/cmdline").exists() and Path(f"/proc/{one}/cmdline").read_bytes() for one in found):
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.pcap"], "none.pcap: No such file or directory"),
        (["."], ".: Is a directory"),
        (["--bind", "", str(DEMO)], "--bind needs an address, as 127.0.0.1"),
        (["-"], "-: a page reads its captures again and again: give files"),
        ([str(ROOT / "Makefile")], "Makefile: "),
        (["--netns", "x", str(DEMO)], "--netns is of a capture: -i IF is missing"),
        (["-w", "x.pcapng", str(DEMO)], "-w is of a capture: -i IF is missing"),
        (["--bind", "192.0.2.1", str(DEMO)], "192.0.2.1 port 0: Cannot assign requested address"),
        (["--bind", "no.such.host.invalid", str(DEMO)], "no.such.host.invalid port 0: "),
        (["--port", "65536", str(DEMO)], "65536"),
        (["-i", "lo", "-w", "-"], "-w - cannot be read by the page: give a file"),
        (["-i", "none0", "-w", "x.pcapng"], "none0"),
    ],
)
def test_bad_requests_are_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "ui", *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "ui", "--port", port, str(DEMO)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"sniffkit: 127.0.0.1 port {port}: Address already in use\n")
