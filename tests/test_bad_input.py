"""Files that cannot be read, or not to their end, and outputs that cannot be written, for each command with FILE.

One clear line, the exit code, no traceback, nothing lost.
"""

from __future__ import annotations

import gzip
import importlib
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import run

SEEDS = Path(__file__).resolve().parent.parent / "rust" / "fuzz" / "corpus"
PCAP = (SEEDS / "pcap" / "micros-le").read_bytes()
PCAPNG = (SEEDS / "pcapng" / "sections-le").read_bytes()
SECTION = PCAPNG[: struct.unpack_from("<I", PCAPNG, 4)[0]]
COMMANDS = ["read", "packets", "flows"]

# name -> (bytes, what is said, frames before it)
FILES: dict[str, tuple[bytes, str, int]] = {
    "empty": (b"", "empty file", 0),
    "text": (b"12:00:01 IP 10.0.0.1 > 10.0.0.2", 'not a capture: text, starting "12:00:01 IP 10.0"', 0),
    "zeros": (bytes(4096), "not a capture: it starts with zero bytes", 0),
    "wrong magic": (b"\xd4\xc3\xb2\xa2" + PCAP[4:], "not a capture: it starts with d4 c3 b2 a2", 0),
    "new version": (PCAP[:4] + b"\x09\0\x04\0" + PCAP[8:], "pcap version 9.4 is not known", 0),
    "half a header": (PCAP[:20], "truncated in the pcap file header: 24 bytes needed, 20 there", 0),
    "half a block": (PCAPNG[:9], "not a readable pcapng file: cut short", 0),
    "cut record": (PCAP[:-1], "at byte 87: cut short: 36 bytes needed for the next packet record, 35 left", 1),
    "cut block": (PCAPNG[:-1], "cut short: ", 3),
    "4 GiB packet": (PCAP[:32] + b"\xff\xff\xff\xff" + PCAP[36:], "a packet of 4294967295 bytes, more than", 0),
    "4 GiB block": (SECTION + struct.pack("<II", 0x0BAD0001, 0xFFFFFFFC), "more than the possible 16777216", 0),
    "wrong trailer": (PCAPNG[:-4] + b"\0\0\0\0", "whose end says 0", 3),
    "cut gzip": (gzip.compress(PCAP + PCAP[24:] * 50)[:-30], "gzip data end too early", 1),
    "bad gzip": (gzip.compress(PCAP)[:20] + b"\xff" * 40, "at byte 24: ", 0),
    "gzip of nothing": (gzip.compress(b""), "nothing inside the gzip data", 0),
    "gzip in gzip": (gzip.compress(gzip.compress(PCAP)), "gzip data inside gzip data", 0),
    "xz": (b"\xfd7zXZ\0" + bytes(30), "xz-compressed: only gzip and zstd are read", 0),
}


def sniffkit(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sniffkit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bad")
    for name, (data, _, _) in FILES.items():
        (path / name).write_bytes(data)
    return path


def check(name: str, out: str, err: str, code: int, header: int) -> None:
    _, says, frames = FILES[name]
    assert err.count("\n") == 1, err
    assert err.startswith("sniffkit: ")
    assert name in err
    assert says in err
    assert code in ((1,) if frames else (1, 2))
    assert code == 1 or not out
    rows = out.count("\n") - header
    assert rows == frames or (frames and rows > 0) or not out


@pytest.mark.parametrize("name", FILES)
def test_every_bad_file_is_one_line(folder: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        arguments = [] if command == "read" else ["--columns", "ts"]
        code, out, err = run(capfd, command, str(folder / name), *arguments)
        check(name, out, err, code, 0 if command == "read" else 1)
        if command != "flows" and FILES[name][2]:
            assert out.count("\n") - (command == "packets") >= FILES[name][2]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_file_among_good_ones(
    folder: Path, command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good").write_bytes(PCAP)
    # One that is no capture at all is said before any work; a damaged one does not stop the next.
    assert run(capfd, command, str(tmp_path / "good"), str(folder / "text"))[:2] == (2, "")
    code, out, err = run(capfd, command, str(folder / "cut record"), str(tmp_path / "good"))
    assert (code, err.count("\n")) == (1, 1)
    if command != "flows":
        assert out.count("\n") - (command == "packets") == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_somebody_else(command: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.pcap"
    secret.write_bytes(PCAP)
    secret.chmod(0)
    if os.geteuid() == 0:
        # Root reads everything, except without the capability to.
        without = "-dac_override,-dac_read_search"
        prefix = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
        line = [*prefix, sys.executable, "-m", "sniffkit", command, str(secret)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if "setpriv" in done.stderr:
            pytest.skip(f"needs setpriv: {done.stderr}")
    else:
        done = sniffkit(command, str(secret))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sniffkit: {secret}: Permission denied\n"


def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    # 384 MiB of blocks that nobody knows, in half a megabyte.
    path = tmp_path / "bomb.gz"
    unknown = struct.pack("<II", 0x0BAD0001, 1 << 20) + bytes((1 << 20) - 12) + struct.pack("<I", 1 << 20)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(PCAPNG)
        for _ in range(384):
            file.write(unknown)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))

    done = sniffkit("read", str(path), preexec_fn=limit)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10.0.0.1" in done.stdout


@pytest.mark.parametrize(
    ("out", "code", "says"),
    [
        ("nosuch/x.parquet", 2, "nosuch/x.parquet: there is no directory nosuch"),
        ("nosuch/x.csv", 2, "nosuch/x.csv: there is no directory nosuch"),
        ("folder.parquet", 2, "folder.parquet: Is a directory"),
        ("folder.csv", 2, "folder.csv: Is a directory"),
        ("full.parquet", 1, "full.parquet: No space left on device"),
        ("full.csv", 1, "full.csv: No space left on device"),
        ("full.jsonl", 1, "full.jsonl: No space left on device"),
        ("full.arrow", 1, "full.arrow: No space left on device"),
    ],
)
def test_an_output_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], out: str, code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.pcap").write_bytes(PCAP)
    for suffix in ("parquet", "csv"):
        (tmp_path / f"folder.{suffix}").mkdir()
    for suffix in ("parquet", "csv", "jsonl", "arrow"):
        (tmp_path / f"full.{suffix}").symlink_to("/dev/full")
    assert run(capfd, "packets", "in.pcap", "-o", out) == (code, "", f"sniffkit: {says}\n")


def test_drawings_and_lab_files_say_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.import_module("sniffkit.lab.host"), "from_host", lambda _: "nodes:\n")
    (tmp_path / "in.pcap").write_bytes(PCAP)
    (tmp_path / "lab.yaml").write_text("nodes: {a: {}, b: {}}\nlinks: [[a/eth0, b/eth0]]\n")
    commands = {
        "full.svg": ["lab", "graph", "lab.yaml", "-o"],
        "full.yaml": ["lab", "from-host", "-o"],
        "full.png": ["stats", "in.pcap", "--plot"],
        "full.jsonl": ["diff", "in.pcap", "in.pcap", "-o"],
    }
    for out, command in commands.items():
        (tmp_path / out).symlink_to("/dev/full")
        assert run(capfd, *command, out) == (1, "", f"sniffkit: {out}: No space left on device\n")
        assert (tmp_path / out).is_symlink()


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "select uid from flows", "same.csv", "-o", "same.csv"],
        ["diff", "same.jsonl", "other.pcap", "-o", "same.jsonl"],
        ["stats", "same.svg", "--plot", "same.svg"],
        ["stats", "same.csv", "--only", "io", "-o", "same.csv"],
    ],
)
def test_no_command_replaces_its_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("same.csv", "same.jsonl", "same.svg", "other.pcap"):
        Path(name).write_bytes(PCAP)
    says = f"sniffkit: {command[-1]}: is the capture that is read: choose another name\n"
    assert run(capfd, *command) == (2, "", says)
    assert Path(command[-1]).read_bytes() == PCAP


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "arrow"])
@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("options", [[], ["--limit", "9"], ["--sort", "1"]])
def test_an_output_may_not_be_the_input(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, link: bool, options: list[str]
) -> None:
    capture, out = tmp_path / f"in.{suffix}", tmp_path / f"{'out' if link else 'in'}.{suffix}"
    capture.write_bytes(PCAP)
    if link:
        out.symlink_to(capture.name)
    says = f"sniffkit: {out}: is the capture that is read: choose another name\n"
    assert run(capfd, "packets", str(capture), *options, "-o", str(out)) == (2, "", says)
    assert capture.read_bytes() == PCAP


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "arrow"])
def test_a_request_that_fails_keeps_the_output_of_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    (tmp_path / "in").write_bytes(PCAP)
    (tmp_path / "text").write_bytes(b"no capture")
    out = tmp_path / f"x.{suffix}"
    out.write_bytes(b"old")
    for name, *more in (("in", "-f", "bad ("), ("text",), ("none",)):
        assert run(capfd, "packets", str(tmp_path / name), *more, "-o", str(out))[0] == 2
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "text", out.name]


def test_names_are_one_line_and_no_command_to_a_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = tmp_path / "a\nb\x1b7网é.pcap"
    told = str(name).replace("\n", r"\n").replace("\x1b", r"\x1b")
    assert run(capfd, "packets", str(name)) == (2, "", f"sniffkit: {told}: No such file or directory\n")
    name.write_bytes(PCAP[:-1])
    code, _, err = run(capfd, "packets", str(name))
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"sniffkit: {told}: at byte 87: cut short")


@pytest.mark.parametrize(
    ("command", "code"), [([], 2), (["packets", "cut"], 1), (["read", "cut"], 1), (["none"], 2), (["flows", "none"], 2)]
)
def test_a_stderr_that_cannot_be_written_changes_nothing_else(tmp_path: Path, command: list[str], code: int) -> None:
    (tmp_path / "cut").write_bytes(PCAP[:-1])
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sniffkit", *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (done.returncode, bool(done.stdout)) == (code, code == 1)


def test_the_newest_capture_is_read_where_nobody_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "x.pcap").write_bytes(PCAP)
    env = {name: value for name, value in os.environ.items() if name != "SNIFFKIT_CAPTURES"}
    command = [sys.executable, "-m", "sniffkit", "packets"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=full, check=False)
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 3)


@pytest.mark.parametrize("command", ["trace", "neighbors"])
def test_a_device_that_cannot_be_written_to_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    """pyarrow, which writes rows that are there already, removes what it fails on if it opens it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.pcap").write_bytes(PCAP)
    (tmp_path / "full.parquet").symlink_to("/dev/full")
    code, _, said = run(capfd, command, "in.pcap", "-o", "full.parquet")
    assert (code, said.splitlines()[-1]) == (1, "sniffkit: full.parquet: No space left on device")
    assert (tmp_path / "full.parquet").is_symlink()


@pytest.mark.parametrize(
    "command",
    [
        ("sql", "SELECT count(*) FROM packets", "FILE"),
        ("packets", "--where", "frame_len > 1", "FILE"),
        ("stats", "--only", "summary", "FILE"),
        ("diff", "--only", "summary", "FILE", "FILE"),
    ],
    ids=lambda command: command[0],
)
def test_a_query_where_the_working_directory_was_removed(tmp_path: Path, command: tuple[str, ...]) -> None:
    capture, gone = tmp_path / "in.pcap", tmp_path / "gone"
    capture.write_bytes(PCAP)
    gone.mkdir()
    line = [sys.executable, "-m", "sniffkit", *(str(capture) if word == "FILE" else word for word in command)]
    inside = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    outside = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *line], cwd=gone, capture_output=True, text=True, check=False
    )
    assert (outside.returncode, outside.stdout, outside.stderr) == (0, inside.stdout, "")


def test_a_working_directory_that_was_removed_is_not_taken_for_stdout(tmp_path: Path) -> None:
    (tmp_path / "in.pcap").write_bytes(PCAP)
    code = "import os, sys; os.rmdir(os.getcwd()); from sniffkit.cli import main; main(sys.argv[1:])"
    (tmp_path / "gone").mkdir()
    line = [sys.executable, "-c", code, "flows", str(tmp_path / "in.pcap"), "-o", "flows.csv"]
    done = subprocess.run(line, cwd=tmp_path / "gone", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sniffkit: the working directory was removed: change into another one\n"
