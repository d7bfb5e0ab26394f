"""One HTTP body of 16,400 bytes in every shape that streams come in: every one of them gives it back, exactly."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from streams_pcap import (
    BODY,
    CASES,
    DATA,
    connection,
    eth,
    is_data,
    packet,
    plain,
    response,
    write,
    write_frames,
)

import sniffkit as sk
from sniffkit.api import TABLES
from sniffkit.cli.group import cli

WHOLE = [case for case in CASES if case != "missing"]
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def capture(tmp_path: Path) -> Any:
    def make(case: str) -> str:
        path = tmp_path / f"{case}.pcap"
        write(case, path)
        return str(path)

    return make


def http(path: str) -> list[dict[str, Any]]:
    return list(sk.open(path).http().to_arrow().to_pylist())


@pytest.mark.parametrize("case", WHOLE)
def test_the_body_comes_back(case: str, capture: Any) -> None:
    (row,) = http(capture(case))
    assert (row["method"], row["host"], row["uri"], row["status_code"]) == ("GET", "test", "/file.bin", 200)
    assert row["body_sha256"] == DIGEST
    assert (row["complete"], row["missing"]) == (True, None)


@pytest.mark.parametrize("case", WHOLE)
def test_the_body_is_extracted(case: str, capture: Any, tmp_path: Path) -> None:
    index = sk.open(capture(case)).extract(tmp_path / "out", http=True)
    assert index["path"].to_pylist() == ["file.bin"]
    assert (tmp_path / "out" / "file.bin").read_bytes() == BODY


def test_a_missing_segment_is_listed(capture: Any, tmp_path: Path) -> None:
    path = capture("missing")
    (row,) = http(path)
    first = 6 * 1000 - len(response()) + len(BODY) - 1000  # the sixth segment, less the head
    assert row["missing"] == [f"{first}-{first + 999}"]
    assert (row["complete"], row["reason"], row["body_sha256"]) == (False, "bytes are missing", None)
    assert row["response_body_len"] == len(BODY)
    sk.open(path).extract(tmp_path / "out", http=True)
    expected = BODY[:first] + bytes(1000) + BODY[first + 1000 :]
    assert (tmp_path / "out" / "file.bin").read_bytes() == expected
    (one,) = [json.loads(line) for line in (tmp_path / "out" / "index.jsonl").read_text().splitlines()]
    assert (one["complete"], one["missing"]) == (False, [f"{first}-{first + 999}"])


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    """A body that is cut within its coding, as its framing is not."""
    path = tmp_path / "damaged.pcap"
    cut = gzip.compress(BODY, mtime=0)[:-9]
    write_frames(plain(connection(response(f"Content-Encoding: gzip\r\nContent-Length: {len(cut)}", cut))), path)
    return str(path)


@pytest.mark.parametrize("table", TABLES)
def test_a_column_does_not_depend_on_the_others(table: str, damaged: str) -> None:
    kept = ("demo/demo.pcapng", "h2c/h2c.pcapng", "dhcp/leases.pcap", "discovery/names.pcap")
    captures = Path(__file__).resolve().parent.parent / "captures"
    cap = sk.open([damaged, *(captures / name for name in kept)])
    whole = getattr(cap, table)().to_arrow()
    assert whole.num_rows > 0 or table == "tls", "of which no capture is kept"
    for name in whole.column_names:
        assert getattr(cap, table)(columns=[name]).to_arrow()[name].to_pylist() == whole[name].to_pylist(), name


def test_a_condition_sees_what_decoding_shows(damaged: str) -> None:
    cap = sk.open(damaged)
    (row,) = http(damaged)
    assert (row["complete"], row["reason"]) == (False, "content coding damaged")
    (file,) = cap.files().to_arrow().to_pylist()
    query = "SELECT (SELECT count(*) FROM http WHERE NOT complete) AS n, (SELECT sum(size) FROM files) AS size"
    assert cap.sql(query).to_arrow().to_pylist() == [{"n": 1, "size": file["size"]}]
    assert 0 < file["size"] <= len(BODY)
    found = CliRunner().invoke(cli, ["files", damaged, "--where", "size > 0", "--columns", "url"])
    assert (found.exit_code, found.output.splitlines()) == (0, ["url", "http://test/file.bin"])


def test_uids_are_those_of_the_flows(capture: Any) -> None:
    path = capture("vxlan")
    uids = {
        row["uid"]
        for row in sk.open(path).flows(columns=["uid", "http_host"]).to_arrow().to_pylist()
        if row["http_host"]
    }
    assert uids == {row["uid"] for row in http(path)}


def test_flows_show_the_host(capture: Any) -> None:
    (row,) = sk.open(capture("length")).flows(columns=["service", "http_host"]).to_arrow().to_pylist()
    assert row == {"service": "http", "http_host": "test"}


@pytest.mark.parametrize("seed", range(5))
def test_any_order_after_the_handshake(seed: int, tmp_path: Path) -> None:
    segments = connection(response())
    middle = [one for one in segments[3:] if is_data(one)]
    random.Random(seed).shuffle(middle)
    rest = [one for one in segments[4:] if not is_data(one)]
    path = tmp_path / "shuffled.pcap"
    CASES["shuffled"] = lambda: plain([*segments[:4], *middle, *rest])
    try:
        write("shuffled", path)
    finally:
        del CASES["shuffled"]
    (row,) = http(str(path))
    assert (row["body_sha256"], row["complete"]) == (DIGEST, True)


def test_streams_are_extracted_as_tcpflow_names_them(capture: Any, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["extract", capture("out-of-order"), "-d", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "010.000.000.001.40000-010.000.000.002.00080",
        "010.000.000.002.00080-010.000.000.001.40000",
        "index.parquet",
        "index.jsonl",
    }
    assert (tmp_path / "out" / "010.000.000.002.00080-010.000.000.001.40000").read_bytes() == response()


def test_extracting_twice_overwrites_nothing(capture: Any, tmp_path: Path) -> None:
    one = sk.open(capture("length"))
    one.extract(tmp_path, http=True)
    index = one.extract(tmp_path, http=True)
    assert index["path"].to_pylist() == ["file-2.bin"]


def test_the_size_limit_is_said(capture: Any, tmp_path: Path) -> None:
    index = sk.open(capture("length")).extract(tmp_path, http=True, max_size=1000).to_pylist()
    assert (index[0]["size"], index[0]["complete"], index[0]["sha256"]) == (1000, False, None)
    assert index[0]["reason"] == "decoded body longer than the limit"
    assert (tmp_path / "file.bin").stat().st_size == 1000


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"max_files": 1}, "over the limit of files"), ({"max_total": 20_000}, "over the limit of all files")],
)
def test_limits_of_all_files_are_said(limits: dict[str, int], why: str, capture: Any, tmp_path: Path) -> None:
    paths = [capture("length"), capture("ipv6")]
    index = sk.open(paths).extract(tmp_path, http=True, **limits).to_pylist()
    assert [(row["path"], row["write_error"]) for row in index] == [("file.bin", None), (None, why)]
    assert sorted(path.name for path in tmp_path.glob("file*")) == ["file.bin"]
    option = next(iter(limits))
    words = [f"--{option.replace('_', '-')}", str(limits[option])]
    done = CliRunner().invoke(cli, ["extract", "--http", *paths, "-d", str(tmp_path / "again"), *words])
    assert done.exit_code == 1
    assert f"sniffkit: 1 not written: {why}" in done.output


def test_follow_prints_both_sides(capture: Any) -> None:
    path = capture("out-of-order")
    raw = CliRunner().invoke(cli, ["follow", path, "--tcp", "10.0.0.2:80,10.0.0.1:40000", "--style", "raw"])
    assert raw.exit_code == 0
    assert raw.stdout_bytes.startswith(b"GET /file.bin")
    assert raw.stdout_bytes.endswith(response())
    (row,) = sk.open(path).flows(columns=["uid"]).to_arrow().to_pylist()
    text = CliRunner().invoke(cli, ["follow", path, "--uid", row["uid"]])
    assert "10.0.0.1.40000 > 10.0.0.2.80" in text.output
    assert "HTTP/1.1 200 OK" in text.output
    hexed = CliRunner().invoke(cli, ["follow", path, "--style", "hex"])
    assert "00000000  47 45 54 20" in hexed.output


def test_follow_of_no_flow_says_so(capture: Any) -> None:
    path, uid = capture("length"), "C" + "0" * 17
    for chosen, asked in ((["--uid", uid], f"uid {uid}"), (["--tcp", "10.0.0.1:1,10.0.0.2:2"], "these ends")):
        for more in ([], ["--json"]):
            result = CliRunner().invoke(cli, ["follow", path, *chosen, *more])
            said = f"sniffkit: no flow with {asked} said anything (`sniffkit flows` lists them)\n"
            assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


@pytest.mark.parametrize(("start", "clock"), [(1_700_000_000, "23:13:20"), (1_720_000_000, "11:46:40")])
def test_follow_knows_summer_time(start: int, clock: str, tmp_path: Path) -> None:
    write("length", tmp_path / "x.pcap", start)
    command = [sys.executable, "-m", "sniffkit", "follow", str(tmp_path / "x.pcap")]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "TZ": "Europe/Berlin"})
    assert done.stdout.startswith(f"-- {clock}.".encode())


def test_follow_says_what_is_missing(capture: Any) -> None:
    result = CliRunner().invoke(cli, ["follow", capture("missing")])
    assert "[1000 bytes are missing]" in result.output


def test_bad_requests_are_one_line(capture: Any, tmp_path: Path) -> None:
    path = capture("length")
    for arguments in (
        ["follow", path, "--tcp", "10.0.0.1"],
        ["follow", path, "--uid", "x", "--tcp", "a:1,b:2"],
        ["follow", path, "--tcp", "a:1,b:2"],
        ["follow", path, "--tcp", "10.0.0.1:²,10.0.0.2:80"],
        ["follow", "--live"],
        ["http", path, "-i", "lo"],
        ["http", path, "--live", "-i", "lo"],
        ["ui", path, "-i", "lo"],
        ["http", "--live", "-i", "lo", "-f", "port 80", "port 81"],
        ["http", "--live", "-i", "lo", "--json", "--where", "nosuch = 1"],
        ["http", "--live", "-i", "lo", "--sort", "nosuch"],
        ["http", "--live", "-i", "lo", "--columns", "nosuch"],
        ["http", "--live", "-i", "lo", "-o", str(tmp_path / "set/")],
        ["http", "--live", "-i", "lo", "--workers", "2"],
        ["streams", path, "-o", f"{tmp_path}/"],
        ["extract", path, "-d", path],
    ):
        result = CliRunner().invoke(cli, arguments)
        assert isinstance(result.exception, sk.SniffkitError) or result.exit_code == 2, arguments


def test_where_a_file_or_a_directory_cannot_be(capture: Any, called: Any) -> None:
    path = capture("length")
    for arguments, says in (
        (["http", "--live", path, "-i", "lo"], f"--live watches interfaces: there is no FILE to read ({path})"),
        (["follow", "--live", path, "-i", "lo"], f"--live watches interfaces: there is no FILE to read ({path})"),
        (["ui", path, "-i", "lo"], f"-i captures live: there is no FILE to read ({path})"),
        (
            ["arp", path, "-o", "d/"],
            "d/: a directory, but data sets are made of flows packets http files dns tls dhcp alone",
        ),
    ):
        assert called(*arguments) == (2, "", f"sniffkit: {says}\n")


def test_the_capture_of_a_case_has_the_frames_it_says() -> None:
    assert len(CASES["length"]()) == len(DATA)
    assert CASES["length"]()[0] == eth(packet(DATA[0]))
