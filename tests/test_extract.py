"""What `extract` writes: nothing of what is there is lost, every file has its row, also after ^C and on a full disk."""

from __future__ import annotations

import errno
import fcntl
import json
import resource
import signal
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from streams_pcap import CLIENT, SERVER, Segment, connection, plain, response, write_frames

import sniffkit as sk
from sniffkit import _core
from sniffkit.cli.group import cli


def capture(path: Path, frames: list[bytes]) -> str:
    write_frames(frames, path)
    return str(path)


def transfer(port: int, uri: str, body: bytes) -> list[bytes]:
    """A GET of `uri` in a connection of its own."""
    request = f"GET {uri} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    segments = connection(response(f"Content-Length: {len(body)}", body), client=(CLIENT[0], port))
    before = len(segments[3][5])
    asked = [(*one[:5], request) if one is segments[3] else shifted(one, len(request) - before) for one in segments]
    return plain([*segments[:3], *asked[3:]])


def shifted(one: Segment, by: int) -> Segment:
    """A segment behind a request that is longer by so much."""
    source, target, flags, seq, ack, payload = one
    return (source, target, flags, seq, ack + by, payload) if source[1] == 80 else (*one[:3], seq + by, ack, payload)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_no_index_is_lost(tmp_path: Path) -> None:
    frames = [*transfer(40000, "/index.jsonl", b"mine 1"), *transfer(40001, "/index.parquet", b"mine 2")]
    one, out = capture(tmp_path / "x.pcap", frames), tmp_path / "out"
    for number, index in enumerate(["index.jsonl", "index-3.jsonl"]):
        done = CliRunner().invoke(cli, ["extract", "--http", one, "-d", str(out)])
        assert (done.exit_code, f"see {index}" in done.output) == (0, True), done.output
        assert len(rows(out / index)) == 2, number
    assert sorted(path.name for path in out.iterdir() if path.read_bytes() == b"mine 1") == [
        "index-2.jsonl",
        "index-4.jsonl",
    ]
    again = sk.open(one).extract(out, http=True)
    assert sorted(again["path"].to_pylist()) == ["index-6.jsonl", "index-6.parquet"]


def test_the_index_goes_through_no_link(tmp_path: Path) -> None:
    one, out, victim = (
        capture(tmp_path / "x.pcap", transfer(40000, "/a", b"abc")),
        tmp_path / "out",
        tmp_path / "victim",
    )
    victim.write_text("precious")
    out.mkdir()
    (out / "index.jsonl").symlink_to(victim)
    (out / "index-2.parquet").symlink_to(tmp_path / "dangling")
    (out / "index-3.jsonl").mkdir()
    done = CliRunner().invoke(cli, ["extract", "--http", one, "-d", str(out)])
    assert (done.exit_code, "see index-4.jsonl" in done.output) == (0, True), done.output
    assert (victim.read_text(), (tmp_path / "dangling").exists()) == ("precious", False)


def test_bodies_without_bytes_are_no_files(tmp_path: Path) -> None:
    """Chunked ones of nothing take neither a name nor a place of `--max-files`."""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    segments = connection(chunks, client=(CLIENT[0], 40001))
    none = [(*one[:5], one[5].replace(b"/file.bin", b"/logo.png")) for one in segments]
    one = capture(tmp_path / "x.pcap", [*plain(none), *transfer(40000, "/logo.png", b"PNG")])
    out = tmp_path / "out"
    (row,) = sk.open(one).extract(out, http=True, max_files=1).to_pylist()
    assert (row["path"], row["write_error"], (out / "logo.png").read_bytes()) == ("logo.png", None, b"PNG")
    assert sorted(path.name for path in out.iterdir()) == ["index.jsonl", "index.parquet", "logo.png"]


def test_messages_of_http2_without_a_body_are_no_files(tmp_path: Path) -> None:
    from test_applications import frame2, get2, http2

    answer = frame2(1, 4, 1, b"\x88") + frame2(0, 1, 1, b"PNG") + frame2(1, 4, 3, b"\x88") + frame2(0, 1, 3, b"")
    one, out = http2(tmp_path / "x.pcap", get2(1, b"/logo.png") + get2(3, b"/none"), answer), tmp_path / "out"
    (row,) = one.extract(out, http=True, max_files=1).to_pylist()
    assert (row["path"], row["write_error"], (out / "logo.png").read_bytes()) == ("logo.png", None, b"PNG")
    assert sorted(path.name for path in out.iterdir()) == ["index.jsonl", "index.parquet", "logo.png"]


def test_an_empty_host_makes_no_url(tmp_path: Path) -> None:
    segments = connection(response("Content-Length: 2", b"ab"))
    frames = plain([(*one[:5], one[5].replace(b"Host: test", b"Host:     ")) for one in segments])
    (row,) = sk.open(capture(tmp_path / "x.pcap", frames)).files().to_arrow().to_pylist()
    assert row["url"] == "/file.bin"


def test_what_is_over_the_limit_leaves_no_file(tmp_path: Path) -> None:
    one, out = capture(tmp_path / "x.pcap", transfer(40000, "/a.bin", bytes(300_000))), tmp_path / "out"
    (row,) = sk.open(one).extract(out, http=True, max_total=280_000).to_pylist()
    assert (row["path"], row["write_error"]) == (None, "over the limit of all files")
    assert sorted(path.name for path in out.iterdir()) == ["index.jsonl", "index.parquet"]


@pytest.mark.parametrize("what", [[], ["--http"]])
def test_what_is_cut_at_the_limit_of_one_file_is_said(what: list[str], tmp_path: Path) -> None:
    import pyarrow.parquet

    frames = [*transfer(40000, "/a.bin", bytes(3000)), *transfer(40001, "/b.bin", b"short")]
    one, out = capture(tmp_path / "x.pcap", frames), tmp_path / "out"
    done = CliRunner().invoke(cli, ["extract", one, "-d", str(out), "--max-size", "1000", *what])
    assert (done.exit_code, "1 cut at --max-size" in done.output) == (1, True), done.output
    index = rows(out / "index.jsonl")
    said = [row["write_error"] for row in index]
    assert sorted(map(str, said)) == ["None"] * (len(said) - 1) + ["cut at the limit of one file"]
    (cut,) = (row for row in index if row["write_error"])
    assert ((out / cut["path"]).stat().st_size, cut["complete"]) == (1000, False)
    table = pyarrow.parquet.read_table(out / "index.parquet")
    assert table["write_error"].to_pylist() == said
    assert table.schema.metadata[b"sniffkit.table"] == (b"files" if what else b"streams")


@pytest.mark.parametrize("size", [150_000, 300_000, 700_000])
def test_what_cannot_be_written_leaves_no_file(size: int, tmp_path: Path) -> None:
    one, out = capture(tmp_path / "x.pcap", transfer(40000, "/a.bin", bytes(size))), tmp_path / "out"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    command = [sys.executable, "-m", "sniffkit", "extract", "--http", one, "-d", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit, timeout=60)
    assert (done.returncode, "1 not written: File too large" in done.stderr) == (1, True), done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["index.jsonl", "index.parquet"]
    assert rows(out / "index.jsonl")[0]["path"] is None


def test_an_index_that_does_not_fit_tells_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [*transfer(40000, "/a", b"abc"), *transfer(40001, "/b", b"abc"), *transfer(40002, "/c", b"abc")]
    one, out = capture(tmp_path / "x.pcap", frames), tmp_path / "out"
    write_index = _core.write_index

    def full(stream: Any, table: str, lines: str) -> Any:
        if table.startswith(str(out)):
            raise OSError(errno.ENOSPC, "No space left on device", lines)
        return write_index(stream, table, lines)

    monkeypatch.setattr(_core, "write_index", full)
    done = CliRunner().invoke(cli, ["extract", "--http", "-d", str(out), "--max-files", "1", one])
    with pytest.raises(sk.OutputError, match=f"device: no index; 1 of 3 files written to {out}, 2 not$") as failed:
        raise done.exception or AssertionError(done.output)
    assert (failed.value.exit_code, [path.name for path in out.iterdir()]) == (1, ["a"])
    with Path(one).open("rb") as pipe, pytest.raises(sk.OutputError, match=r"1 files written .* is not known$"):
        sk.open(pipe).extract(tmp_path / "out", http=True, max_files=1)


@pytest.mark.parametrize("now", [None, "a text, no capture"])
def test_what_cannot_be_read_leaves_no_directory(now: str | None, tmp_path: Path) -> None:
    one = sk.open(capture(path := tmp_path / "x.pcap", transfer(40000, "/a", b"a")))
    path.unlink()
    if now is not None:
        path.write_text(now)
    (tmp_path / "there").mkdir()
    for out in ("new/deep", "there/", "there/new"):
        with pytest.raises(sk.CaptureFileError):
            one.extract(tmp_path / out)
    assert {one.name for one in tmp_path.rglob("*")} == {"there", *(["x.pcap"] if now else [])}


def test_segments_far_apart_cost_neither_time_nor_disk(tmp_path: Path) -> None:
    far = 0x7FFFFF00
    segments: list[Segment] = [(CLIENT, SERVER, 16, 1000, 1, b"a"), (CLIENT, SERVER, 16, 1000 + far, 1, b"b")]
    one, out = capture(tmp_path / "x.pcap", plain(segments)), tmp_path / "out"
    (row,) = sk.open(one).extract(out, max_size=1 << 32).to_pylist()
    assert (row["size"], row["sha256"], row["missing"]) == (far + 1, None, [f"1-{far - 1}"])
    about = (out / row["path"]).stat()
    assert (about.st_size, about.st_blocks * 512 < 1 << 20) == (far + 1, True)


def interrupted(command: list[str], given: bytes, number: signal.Signals, out: Path) -> subprocess.Popen[bytes]:
    """Runs a command on a pipe that stays open, and sends it a signal once it has begun and waits for more."""
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "sniffkit", *command],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    assert process.stdin
    process.stdin.write(given)
    process.stdin.flush()
    try:
        while any(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4))):
            time.sleep(0.05)
        time.sleep(1)  # until it has taken in what it has read
        process.send_signal(number)
        process.wait(20)
    finally:
        process.kill()
    return process


MANY = 1500


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Transfers enough for the first rows to go out, and one that goes on."""
    frames = [frame for n in range(MANY) for frame in transfer(2000 + n, f"/{n}", b"abc")]
    path = tmp_path_factory.mktemp("many") / "x.pcap"
    capture(path, [*frames, *transfer(60000, "/last", bytes(9000))[:7]])
    return path.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupted_extraction_has_its_index(number: signal.Signals, many: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = interrupted(["extract", "--http", "-", "-d", str(out)], many, number, tmp_path / "stdout")
    assert process.returncode == 130, process.stderr
    index = rows(out / "index.jsonl")
    assert len(index) == MANY + 1
    assert {row["path"] for row in index} == {path.name for path in out.iterdir()} - {"index.jsonl", "index.parquet"}
    assert [row["filename"] for row in index if not row["complete"]] == ["last"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("first", [True, False])
def test_an_interrupt_behind_the_first_loses_no_index(
    first: bool, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One comes while the rest is read, another while the index is written; or only that one."""
    open_table, write_index = _core.open_table, _core.write_index

    class Stream:
        def __init__(self, *given: Any, **options: Any) -> None:
            self.inner = open_table(*given, **options)
            self.__arrow_c_stream__ = self.inner.__arrow_c_stream__

        def finish(self) -> list[tuple[str, int, str]]:
            found = self.inner.finish()
            if first:
                signal.raise_signal(signal.SIGINT)
            return found

        def stop(self) -> None:
            self.inner.stop()
            signal.raise_signal(number)

    def written(*given: Any) -> Any:
        made = write_index(*given)
        signal.raise_signal(number)
        return made

    monkeypatch.setattr(_core, "open_table", Stream)
    monkeypatch.setattr(_core, "write_index", written)
    one, out = capture(tmp_path / "x.pcap", transfer(40000, "/a", b"abc")), tmp_path / "out"
    before = [signal.signal(other, signal.default_int_handler) for other in (signal.SIGTERM, signal.SIGHUP)]
    try:
        with pytest.raises(KeyboardInterrupt):
            sk.open(one).extract(out, http=True)
        assert signal.getsignal(number) is signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])
    assert [row["path"] for row in rows(out / "index.jsonl")] == ["a"]
    assert sorted(path.name for path in out.iterdir()) == ["a", "index.jsonl", "index.parquet"]


def test_a_thread_extracts(tmp_path: Path) -> None:
    one = capture(tmp_path / "x.pcap", transfer(40000, "/a", b"abc"))
    with ThreadPoolExecutor() as pool:
        assert pool.submit(sk.open(one).extract, tmp_path / "out", http=True).result()["path"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("suffix", "number"),
    [
        *((suffix, signal.SIGINT) for suffix in ("jsonl", "csv", "arrow", "parquet")),
        *(("csv", signal.SIGTERM), ("parquet", signal.SIGTERM), ("parquet", signal.SIGHUP)),
    ],
)
def test_an_interrupted_table_has_the_rows_until_then(
    suffix: str, number: signal.Signals, many: bytes, tmp_path: Path
) -> None:
    out = tmp_path / f"x.{suffix}"
    process = interrupted(["http", "-", "-o", str(out)], many, number, tmp_path / "stdout")
    assert process.returncode == 130
    assert {path.name for path in tmp_path.iterdir()} == {out.name, "stdout"}
    if suffix == "arrow":
        import pyarrow as pa

        assert pa.ipc.open_file(out).read_all().num_rows == MANY + 1
    elif suffix == "parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(out).num_rows == MANY + 1
    else:
        assert len(out.read_text().splitlines()) == MANY + 1 + (suffix == "csv")


FRAMES = len(transfer(2000, "/0", b"abc"))
WORDS = {"packets --json": MANY * FRAMES + 7, "streams --json": 2 * MANY + 2, "http --json --sort uri": MANY + 1}


@pytest.mark.parametrize("words", WORDS)
def test_a_table_that_waits_for_a_pipe_ends_by_an_interrupt(words: str, many: bytes, tmp_path: Path) -> None:
    name, *options = words.split()
    process = interrupted([name, "-", *options], many, signal.SIGINT, tmp_path / "stdout")
    assert process.stderr
    # click ends the terminal's line with the ^C in it.
    assert (process.returncode, process.stderr.read().strip()) == (130, b"")
    assert len(rows(tmp_path / "stdout")) == WORDS[words]
