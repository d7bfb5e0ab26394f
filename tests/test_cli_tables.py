"""The commands `packets` and `flows`: rows chosen, formats, what is said when something is wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import streams_pcap
from procfs import of_threads
from setting import ROOT

from sniffkit import cli
from sniffkit.cli import group

SEEDS = ROOT / "rust" / "fuzz" / "corpus"
PCAP = str(SEEDS / "pcap" / "micros-le")
PCAPNG = str(SEEDS / "pcapng" / "sections-le")
WEB = str(SEEDS.parents[2] / "captures" / "web" / "mix.pcap")
COMMAND = [sys.executable, "-m", "sniffkit"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(called: Run) -> Run:
    """Run `sniffkit …`; returns exit code, stdout and stderr."""
    return called


def test_a_pipe_gets_tab_separated_text(run: Run) -> None:
    code, out, err = run("packets", PCAP, "--columns", "frame_number,ts,vlan_id,ip_src,ip_more_fragments,malformed")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "frame_number\tts\tvlan_id\tip_src\tip_more_fragments\tmalformed",
        "1\t2023-11-14T22:13:20.123456000Z\t\t10.0.0.1\tfalse\t",
        "2\t2023-11-14T22:13:21.123456000Z\t\t\t\tip@14: need 20 have 6 (cut by snap length)",
    ]


@pytest.mark.parametrize("name", ["packets", "flows"])
def test_every_format_has_the_same_rows(run: Run, tmp_path: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    _, out, _ = run(name, PCAPNG, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == {"packets": 4, "flows": 3}[name]
    for suffix in ("parquet", "csv", "tsv", "jsonl", "arrow"):
        assert run(name, PCAPNG, "-o", str(tmp_path / f"t.{suffix}")) == (0, "", "")
        assert run(name, PCAPNG, "-o", str(tmp_path / f"T.{suffix.upper()}")) == (0, "", "")
        if suffix != "arrow":  # whose metadata have no order
            assert (tmp_path / f"T.{suffix.upper()}").read_bytes() == (tmp_path / f"t.{suffix}").read_bytes()
    assert (tmp_path / "t.jsonl").read_text() == out
    parquet = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    assert parquet.column_names == list(rows[0])
    with pa.ipc.open_file(tmp_path / "t.arrow") as file:
        assert file.read_all().to_pylist() == parquet.to_pylist()
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        text = csv.DictReader(io.StringIO((tmp_path / f"t.{suffix}").read_text()), delimiter=delimiter)
        column = {"packets": "frame_number", "flows": "uid"}[name]
        assert [row[column] for row in text] == [str(row[column]) for row in rows]
    assert run(name, PCAPNG, "-o", "-")[1] == (tmp_path / "t.tsv").read_text()


def test_rows_are_chosen_and_ordered(run: Run) -> None:
    def numbers(*arguments: str) -> list[int]:
        _, out, _ = run("packets", PCAPNG, "--columns", "frame_number,frame_number", *arguments)
        return [int(line) for line in out.splitlines()[1:]]

    assert numbers() == [1, 2, 3, 4]
    assert numbers("--where", "frame_len < 40") == [2]
    assert numbers("--where", "ip_src = '10.0.0.1'", "--sort", "frame_len, frame_number desc") == [2, 4, 1]
    assert numbers("--sort", "frame_number desc", "--limit", "2") == [4, 3]
    assert numbers("--limit", "3") == [1, 2, 3]
    assert numbers("--filter", "len > 40") == [1, 3, 4]
    assert numbers("--where", "ts > TIMESTAMP '2023-11-14 22:13:20.4' -- a comment", "--limit", "1") == [2]
    assert numbers("--where", "extract(second FROM ts) = 20", "--limit", "2") == [1, 2]
    assert numbers(PCAP, "--where", "frame_number > 4") == [5, 6]
    assert numbers("--where", "('' = '' OR src_port = 80) AND frame_len < 40") == [2], (
        "what is planned away may be named"
    )
    assert numbers("--sort", "1 DESC", "--limit", str(2**63 - 1)) == [4, 3, 2, 1], "a number is one of --columns"
    assert numbers("--limit", str(2**63 - 1)) == [1, 2, 3, 4]
    assert run("packets", PCAPNG, "--sort", "2 DESC, 1") == run("packets", PCAPNG, "--sort", "ts DESC, frame_number")
    assert numbers("--sort", "count(*) over (partition by ip_src) desc, frame_number desc") == [4, 2, 1, 3]
    assert numbers("--sort", "*") == [1, 2, 3, 4]
    assert run("packets", PCAPNG, "--where", "frame_len > 100")[0] == 1, "nothing found"
    assert run("packets", PCAPNG, "--filter", "tcp")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch.pcap"], "nosuch.pcap: No such file or directory"),
        (["nosuch*.pcap"], "nosuch*.pcap: no file matches"),
        (["/"], "/: Is a directory"),
        ([__file__], "not a capture: text, starting"),
        ([PCAP, "--columns", "ip_scr"], "packets: no column 'ip_scr'; did you mean 'ip_src'? there are: frame_number"),
        ([PCAP, "--columns", "nope", "--sort", "ts"], "no column 'nope'; there are: frame_number ts"),
        ([PCAP, "--columns", ","], "--columns needs at least one name"),
        ([PCAP, "--where", "ip_ttl > 3 and and"], 'at column 16: syntax error at or near "and"'),
        ([PCAP, "--where", "  nope = 1"], 'at column 3: Referenced column "nope" not found'),
        ([PCAP, "--sort", "ts, nope"], "--sort 'ts, nope': at column 5: Referenced column"),
        ([PCAP, "--where", "true; select 1"], "at column 5: syntax error"),
        ([PCAP, "--where", ""], "--where is empty"),
        ([PCAP, "--where", "(("], "--where '((': at column 3: syntax error: it ends too early"),
        ([PCAP, "--where", "ip_ttl > 1", "--sort", "ts ts"], "--sort 'ts ts': at column 4: syntax error"),
        ([PCAP, "--where", "ip_ttl > 1", "--sort", "(("], "--sort '((': at column 3: syntax error: it ends too early"),
        ([PCAP, "--where", "(select count(*) from '/etc/passwd') > 0"], "/etc/passwd does not exist"),
        ([PCAP, "--where", "(select count(*) from read_csv('/etc/passwd')) > 0"], "disabled by configuration"),
        ([PCAP, "--where", "true) UNION (SELECT 99999999"], "at column 5: syntax error"),
        ([PCAP, "--where", "true LIMIT 1"], 'at column 6: syntax error at or near "LIMIT"'),
        ([PCAP, "--where", "true /* c"], "--where 'true /* c': at column 6: unterminated /* comment"),
        ([PCAP, "--where", "sniffkit_row < 3"], "no column 'sniffkit_row'"),
        ([PCAP, "--where", "sniffkit_ro < 3"], 'perhaps: "ip_frag_offset"'),
        ([PCAP, "--where", "ip_src::inet IS NULL"], 'Type with name "inet" does not exist'),
        ([PCAP, "--sort", "all"], "--sort 'all': at column 4: syntax error: it ends too early"),
        ([PCAP, "--sort", "ts limit 1"], 'at column 4: syntax error at or near "limit"'),
        ([PCAP, "--sort", "ts) UNION (SELECT 1"], 'at column 3: syntax error at or near ")"'),
        (
            [PCAP, "--where", "(select max(ip_ttl) from packets) > 1"],
            "at column 26: no table 'packets' here: `sniffkit sql`",
        ),
        (
            [PCAP, "--columns", "TS", "--where", "ip_ttl > 1"],
            "packets: no column 'TS'; there are: frame_number ts netns",
        ),
        ([PCAP, "--filter", "tcp prot 80"], 'bad filter "tcp prot 80": syntax error at column 5'),
        ([PCAP, "--json", "-o", "x.csv"], "--json and x.csv contradict each other"),
        ([PCAP, "-o", "x.xlsx"], "x.xlsx: no format for this suffix; there are: .parquet .csv"),
        ([PCAP, "-o", "nosuch/x.csv"], "nosuch/x.csv: there is no directory nosuch"),
        ([PCAP, "--limit", "-1"], "--limit"),
        ([PCAP, "--limit", str(2**63), "--sort", "ts"], "--limit"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_2(run: Run, arguments: list[str], says: str) -> None:
    code, out, err = run("packets", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("sniffkit: ")
    assert err.count("\n") == 1
    assert says in err


def test_a_table_given_as_a_capture_is_named(run: Run, tmp_path: Path) -> None:
    table = str(tmp_path / "f.parquet")
    assert run("flows", PCAP, "-o", table)[0] == 0
    code, _, err = run("flows", table)
    assert code == 2
    assert err.startswith(
        f"sniffkit: {table}: not a pcap or pcapng capture: a Parquet table, not frames: `sniffkit sql`"
    )


def test_damage_gives_the_rows_before_a_line_and_exit_1(run: Run) -> None:
    cut = str(SEEDS / "pcap" / "cut")
    for arguments in (["--columns", "frame_number"], ["--columns", "frame_number", "--where", "true"]):
        code, out, err = run("packets", cut, *arguments)
        assert (code, out) == (1, "frame_number\n1\n")
        says = "cut short: 36 bytes needed for the next packet record, 33 left; rows before are kept"
        assert err == f"sniffkit: {cut}: at byte 87: {says}\n"


def test_without_a_file_the_newest_capture_is_read_and_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("flows") == (2, "", "sniffkit: no FILE given and no capture in captures/ yet: sniffkit capture --help\n")
    (tmp_path / "captures").mkdir()
    for at, name in enumerate(("new.PCAPNG", "old.pcap", "newer.flows.parquet")):
        shutil.copy(PCAP, tmp_path / "captures" / name)
        os.utime(tmp_path / "captures" / name, (0, 100 - at if at < 2 else 200))
    code, out, err = run("flows", "--columns", "proto")
    assert (code, err) == (0, "sniffkit: reading captures/new.PCAPNG\n")
    assert out.splitlines()[1] == "udp"
    monkeypatch.setenv("SNIFFKIT_CAPTURES", str(tmp_path / "elsewhere"))
    assert run("packets")[0] == 2


def test_standard_input_and_output(tmp_path: Path) -> None:
    data = Path(PCAPNG).read_bytes()
    done = subprocess.run([*COMMAND, "packets", "-", "--json"], input=data, capture_output=True, check=False)
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (0, 4, b"")
    done = subprocess.run([*COMMAND, "flows", "-"], input=b"nonsense", capture_output=True, text=False, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b'sniffkit: -: not a capture: text, starting "nonsense"\n'


def test_a_full_device_is_one_line_and_exit_1() -> None:
    for command in (["packets", PCAP], ["read", PCAP], ["follow", WEB], ["--help"], ["packets", "--help"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (1, b"sniffkit: standard output: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_standard_stream_is_no_error(tmp_path: Path, closed: str) -> None:
    script = f'{shlex.join([*COMMAND, "packets", PCAP])} -o "{tmp_path}/p.csv" {closed}'
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0
    assert (tmp_path / "p.csv").read_text().count("\n") == 3  # a head, two rows; nothing else was written into it


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--sort", "ts"]])
def test_a_closed_pipe_is_quiet(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, "packets", PCAP, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


SQL = ["sql", "select count(*) from packets where frame_len > 0", "-"]


@pytest.mark.parametrize("command", [["flows", "-"], ["packets", "-", "-o", "p.parquet"], ["read", "-"], SQL])
def test_interrupt_ends_the_wait_for_a_slow_input(tmp_path: Path, command: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, *command], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(Path(PCAP).read_bytes())
        process.stdin.flush()
        if command[0] == "read":
            assert process.stdout is not None
            assert process.stdout.readline()
        else:
            while "pipe_read" not in Path(f"/proc/{process.pid}/wchan").read_text() and not waits(process.pid):
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.strip()) == (130, b"")
    if "p.parquet" in command:
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(tmp_path / "p.parquet").num_rows == 2, "what was read is in a whole file"


@pytest.mark.parametrize("table", ["dns", "http"])
def test_rows_of_a_slow_pipe_come_as_they_end(table: str) -> None:
    demo = ROOT / "captures" / "demo" / "demo.pcapng"
    whole = subprocess.run([*COMMAND, table, str(demo), "--json"], capture_output=True, check=True).stdout
    with subprocess.Popen([*COMMAND, table, "-", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(demo.read_bytes())
        process.stdin.flush()
        first = process.stdout.readline()  # the pipe is still open
        process.stdin.close()
        assert first + process.stdout.read() == whole


def waits(pid: int) -> bool:
    """Whether some thread of a process waits for its stdin to give more."""
    for told in of_threads(pid, "syscall").values():
        call = told.split()
        if call[:2] == ["0", "0x0"] or (call[0] == "0" and len(call) > 1 and int(call[1], 16) not in range(1, 3)):
            return True
    return False


def on_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """What a command prints to a terminal (stdout and stderr), of 200 columns if `environment` says nothing else."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "200", "TERM": "xterm", **environment}
    process = subprocess.Popen([*COMMAND, *arguments], stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return text.decode()


def test_a_table_needs_one_line_to_have_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sniffkit.api.TABLES", ("flows", "packets", "new"))
    monkeypatch.setitem(cli.COMMANDS, "new", ("sniffkit.cli.table", "new", "Table of news."))
    command = group.cli.get_command(click.Context(group.cli), "new")
    assert command is not None
    text = command.get_help(click.Context(command))
    assert "Table of news. Without FILE: the newest capture." in text
    assert "sniffkit new lab.pcapng -o new.parquet" in text


def test_rows_that_sort_alike_stay_in_order(run: Run) -> None:
    for more in ([], ["--limit", "300"]):
        for sort in ("ip_version", "ip_version DESC -- of all"):
            columns = ["--columns", "ip_version,frame_number", "--sort", sort, *more]
            rows = run("packets", WEB, *columns, "--json")[1].splitlines()
            numbers = [json.loads(row)["frame_number"] for row in rows if json.loads(row)["ip_version"] == 4]
            assert len(numbers) > 200
            assert numbers == sorted(numbers)


def test_a_terminal_gets_a_table() -> None:
    text = on_terminal(["flows", PCAPNG], {})
    lines = text.splitlines()
    assert "orig_h" in text
    assert "\t" not in text
    assert any("10.0.0.1" in line and "10.0.0.2" in line and "udp" in line for line in lines)
    assert "tls_server_name" not in text, "a terminal shows the columns that matter"


def test_what_packets_say_is_no_command_to_a_terminal(tmp_path: Path, run: Run) -> None:
    request = b"GET /[/a] HTTP/1.1\r\nHost: h\r\nUser-Agent: [red]x [/red] \x1b[2Jy \x7f \xc2\x9b1m\r\n\r\n"
    segment = streams_pcap.tcp((streams_pcap.CLIENT, streams_pcap.SERVER, 24, 1, 1, request))
    frame = streams_pcap.eth(streams_pcap.ip("10.0.0.1", "10.0.0.2", 6, segment))
    path = tmp_path / "escape.pcap"
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(header + struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)
    columns = ["http", str(path), "--columns", "uri,user_agent"]
    text = on_terminal(columns, {})
    # Brackets are no markup of rich either: `[/a]` would end in a traceback.
    assert "/[/a]" in text
    assert r"[red]x [/red] \x1b[2Jy \x7f \x9b1m" in text
    assert run(*columns)[1].splitlines()[1] == r"/[/a]" + "\t" + r"[red]x [/red] \x1b[2Jy \x7f \x9b1m"
    row = run(*columns, "--json")[1]
    assert not set(map(chr, [*range(10), *range(11, 32), *range(127, 160)])) & set(row)
    assert json.loads(row)["user_agent"] == "[red]x [/red] \x1b[2Jy \x7f \x9b1m"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_terminal_has_no_bytes_for_is_told_all_the_same(encoding: str) -> None:
    text = on_terminal(["sql", "select 'ab\u7d61' name", PCAP], {"PYTHONIOENCODING": encoding})
    assert r"ab\u7d61" in text


@pytest.mark.parametrize("option", [["sql"], ["packets", "--where"], ["packets", "--sort"]])
def test_a_query_that_is_no_utf8_is_one_line(run: Run, option: list[str]) -> None:
    command = [*option, "ts > 'a\udcff'", PCAP]
    assert run(*command) == (2, "", "sniffkit: \"ts > 'a\\udcff'\" is not UTF-8\n")


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1"), ("NO_COLOR", "")])
def test_sides_have_colours_where_they_are_wanted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert ("\x1b[" in on_terminal(["follow", WEB], {name: value})) == (not value)


@pytest.mark.parametrize("command", [["stats"], ["diff", WEB]])
@pytest.mark.parametrize("columns", [100, 60])
def test_sections_fit_the_terminal(command: list[str], columns: int) -> None:
    text = re.sub("\x1b\\[[0-9;]*m", "", on_terminal([*command, WEB], {"COLUMNS": str(columns)}))
    wide = [line for line in text.splitlines() if len(line.rstrip()) > columns]
    assert [line for line in wide if not line.endswith(":")] == []  # but for titles
    assert "--columns" not in text


def test_long_work_counts_on_a_terminal(tmp_path: Path) -> None:
    code = "import sys, time, sniffkit.cli.progress as p\np.QUIET = 0.05\np.EVERY = 0\n"
    code += "with p.counter('frames', sys.stderr) as count:\n"
    code += "  if count:\n    count(5); time.sleep(0.1); count(12345)\nprint('done')"
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("done\n", "")
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert "12,345 frames" in shown
    assert "\r\033[K5 frames" not in shown, "nothing shows in the first second"
    assert shown.endswith("\r\033[K"), "the counter leaves no trace"
