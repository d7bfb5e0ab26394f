"""A file gets its name once it is whole; what is no file, or cannot be replaced, is written as it is."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from setting import ROOT

import sniffkit as sk
from sniffkit.errors import CaptureFileError, OutputError
from sniffkit.rows import RowTable
from sniffkit.sinks import core
from sniffkit.sinks.file import NewFile
from sniffkit.tables import Result

EMPTY = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)  # a capture without a frame


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A device of our own without room: a mistake must not take the machine's away."""
    path = tmp_path / "devices" / "full.parquet"
    path.parent.mkdir()
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        path.open("wb").close()
    except PermissionError as error:
        pytest.skip(f"cannot make a device: {error}")
    return path


def written(path: str | Path, data: bytes = b"new") -> None:
    with NewFile(path) as file:
        file.write(data)


def failing(path: Path, error: BaseException) -> None:
    with NewFile(path) as file:
        file.write(b"half")
        raise error


def test_nothing_takes_the_place_of_what_was_there_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with NewFile(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    for error in (CaptureFileError("bad"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            failing(path, error)
    with pytest.raises(OutputError, match=f"{path}: No space left") as full:
        failing(path, OSError(errno.ENOSPC, "No space left on device"))
    assert (full.value.exit_code, path.read_bytes(), list(tmp_path.iterdir())) == (1, b"new", [path])


def test_a_new_file_has_the_mode_that_others_have(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    written(str(tmp_path / ("n" * 255)))  # as long as a name may be
    assert (tmp_path / ("n" * 255)).stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("there", [True, False])
def test_links_are_followed(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / "x", tmp_path / "link"
    link.symlink_to("far/x")
    if there:
        file.write_bytes(b"old")
    written(link)
    assert (link.is_symlink(), file.read_bytes(), list(file.parent.iterdir())) == (True, b"new", [file])


def test_the_owner_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    os.chown(path, 12345, 12346)
    written(path)
    assert (path.stat().st_uid, path.stat().st_gid, path.read_bytes()) == (12345, 12346, b"new")


def test_the_core_replaces_files_so_too(tmp_path: Path) -> None:
    """A table as Parquet is written without Python."""
    (tmp_path / "x.pcap").write_bytes(EMPTY)
    flows, path = sk.open(tmp_path / "x.pcap").flows(), tmp_path / "x.parquet"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12346)
    before = path.stat()
    flows.to_parquet(path)
    after = path.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    assert (before.st_ino != after.st_ino, len(pq.read_table(path)), len(list(tmp_path.iterdir()))) == (True, 0, 2)


NOT_ROOT = ["setpriv", "--reuid=12345", "--regid=12346", "--clear-groups"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize(
    ("directory", "mode", "says"),
    [(0o755, 0o666, ""), (0o777, 0o444, "sniffkit: {}: Permission denied\n"), (0o777, 0o666, "")],
    ids=["its directory is closed", "it may not be written", "it is another user's"],
)
def test_what_another_user_has_is_written_if_it_may_be(directory: int, mode: int, says: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # that of pytest is closed to others
        path = Path(name) / "x.parquet"
        path.write_bytes(b"a longer old one")
        path.chmod(mode)
        path.parent.chmod(directory)
        number = path.stat().st_ino
        command = [*NOT_ROOT, sys.executable, "-m", "sniffkit", "flows", "-", "-o", str(path)]
        done = subprocess.run(command, cwd=ROOT, input=EMPTY, capture_output=True, check=False)
        assert (done.returncode, done.stderr.decode()) == (2 if says else 1, says.format(path))
        assert (path.stat().st_ino, len(list(path.parent.iterdir()))) == (number, 1)
        assert path.read_bytes().startswith(b"a longer" if says else b"PAR1")


@pytest.mark.parametrize("call", ["open", "fchown"])
def test_what_cannot_be_replaced_is_written_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """In a directory that others own; and somebody else's file that we may write, but could not make anew."""
    path = tmp_path / "x"
    path.write_bytes(b"a longer old one")
    if call == "fchown":
        if os.geteuid() != 0:
            pytest.skip("only root may give files away")
        os.chown(path, 12345, 12346)

    def refused(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    number = path.stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr(os, call, refused)
        written(path)
    assert (path.read_bytes(), path.stat().st_ino, list(tmp_path.iterdir())) == (b"new", number, [path])


def test_a_file_that_has_lost_its_name_is_written_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w+b") as file:
        (tmp_path / "x").unlink()
        written(f"/dev/fd/{file.fileno()}")
        assert (file.read(), list(tmp_path.iterdir())) == (b"new", [])


def test_a_pipe_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    written(tmp_path / "pipe")
    reader.join()
    assert (got, (tmp_path / "pipe").is_fifo()) == ([b"new"], True)


@pytest.mark.parametrize(("name", "says"), [("none/x", "No such file or directory"), ("none/", "Is a directory")])
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(OutputError) as error:
        written(f"{tmp_path}/{name}")
    assert (str(error.value), list(tmp_path.iterdir())) == (f"{tmp_path}/{name}: {says}", [])


@pytest.mark.parametrize("link", [True, False])
def test_a_full_device_outlives_a_table(full: Path, link: bool) -> None:
    path = full
    if link:
        path = full.parent / "link.parquet"
        path.symlink_to(full.name)
    for table in (Result("t", pa.table({"a": [1]})), RowTable("t", {"a": "u8"}, lambda: [{"a": 1}])):
        with pytest.raises(OutputError, match=r"\.parquet: No space left on device") as error:
            table.to_parquet(path)
        assert (error.value.exit_code, full.is_char_device(), path.is_symlink()) == (1, True, link)


class Interrupted:
    """Rows whose writing ^C interrupts, not their reading."""

    def __init__(self) -> None:
        self.data = pa.table({"a": pa.array(range(40_000))})
        self.stopped: list[BaseException] = []
        self.on_stop = self.stopped.append

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return pa.RecordBatchReader.from_batches(
            self.data.schema, self.data.to_batches(max_chunksize=10_000)
        ).__arrow_c_stream__(schema)


class Out:
    """A file whose third write ^C interrupts half way."""

    def __init__(self, file: Any) -> None:
        self.file, self.count = file, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        self.count += 1
        if self.count == 3:
            self.file.write(data[:5])
            raise KeyboardInterrupt
        return int(self.file.write(data))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_stay_where_their_writing_is_interrupted(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Interrupted()
    with NewFile(tmp_path / "x") as file:
        core.write(table, cast("IO[bytes]", Out(file)), suffix)
    with NewFile(tmp_path / "all") as file:
        core.write(table, file, suffix)
    text, whole = (tmp_path / "x").read_text(), (tmp_path / "all").read_text()
    assert (len(table.stopped), text.endswith("\n"), whole.startswith(text)) == (1, True, True)
    assert 1 < text.count("\n") < whole.count("\n")
    with (tmp_path / "stdout").open("w+b") as file:
        file.write(b"from before\n")
        stdout = SimpleNamespace(buffer=Out(file))
        monkeypatch.setattr("sys.stdout", stdout)
        with pytest.raises(KeyboardInterrupt):
            core.write(table, cast("IO[bytes]", stdout.buffer), suffix)
        monkeypatch.undo()
    assert (tmp_path / "stdout").read_text().startswith("from before\n" + text)
