"""Data sets that are gone on with: under another name, by two at once, from what damage left of where they stood."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sniffkit as sk
from captures.wire import pcap
from sniffkit.dataset import work
from tests.dataset.test_cuts import rows
from tests.dataset.test_dataset import SNIFFKIT, break_off, found, traffic

LINE, DONE = "_sniffkit/share-0.json", "_sniffkit/done.json"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Twelve files of 50 frames, with which units end."""
    for at in range(12):
        (tmp_path / f"{at:02d}.pcap").write_bytes(pcap(traffic()[at * 50 : (at + 1) * 50], 262_144))
    return [f"{tmp_path}/{at:02d}.pcap" for at in range(12)]


@pytest.fixture
def begun(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set whose run was broken off behind its second unit."""
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    monkeypatch.setattr(work, "PART_ROWS", 3)
    out = tmp_path / "begun"
    units = 0
    commit = work.Share._commit

    def counted(share: work.Share, line: dict[str, Any]) -> None:
        nonlocal units
        commit(share, line)
        units += 1
        if units == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(work.Share, "_commit", counted)
        with pytest.raises(KeyboardInterrupt):
            sk.open(files).to_dataset(out, workers=1)
    return out


def whole(files: list[str]) -> list[dict[str, Any]]:
    return rows(sk.open(files).flows().to_arrow())


def test_a_directory_that_was_moved_gets_its_rows(files: list[str], begun: Path, tmp_path: Path) -> None:
    begun.rename(tmp_path / "moved")
    assert sk.open(files).to_dataset(tmp_path / "moved", workers=1).resumed
    assert found(tmp_path / "moved") == whole(files)
    assert not begun.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_directory_is_the_one_that_is_named(
    workers: int, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    with pytest.raises(KeyboardInterrupt):
        sk.open(files).to_dataset("out", workers=workers, progress=break_off(0))
    monkeypatch.chdir(tmp_path)
    sk.open(files).to_dataset("x/out", workers=workers)
    assert found("x/out") == whole(files)
    assert os.listdir("x") == ["out"]
    assert not os.path.exists("out")


@pytest.mark.parametrize("filter", [None, "tcp"])
def test_of_two_runs_at_once_the_second_is_refused(filter: str | None, files: list[str], begun: Path) -> None:
    def progress(frames: int) -> None:
        with pytest.raises(sk.SniffkitError, match=r"/begun: another run works on this directory$") as told:
            sk.open(files).to_dataset(begun, workers=1, filter=filter)
        assert told.value.exit_code == 1

    assert sk.open(files).to_dataset(begun, workers=1, progress=progress).resumed
    assert sk.open(files).to_dataset(begun, workers=1).already_complete
    assert found(begun) == whole(files)


def test_of_two_that_begin_at_once_one_makes_it(files: list[str], tmp_path: Path) -> None:
    """Each with its own number of workers, in processes of their own."""
    command = [SNIFFKIT, "flows", *files, "-o", f"{tmp_path}/out/", "--workers"]
    begun = [subprocess.Popen([*command, workers], stderr=subprocess.PIPE, text=True) for workers in "12"]
    ended = [(process.communicate()[1], process.returncode) for process in begun]
    assert 0 in [code for _, code in ended]
    for said, code in ended:
        assert code == 0 or said == f"sniffkit: {tmp_path}/out: another run works on this directory\n"
    assert found(tmp_path / "out") == whole(files)


def test_work_that_was_shared_out_in_another_way_is_not_gone_on_with(files: list[str], begun: Path) -> None:
    job = begun / "_sniffkit" / "job.json"
    for shares in (2, 5000):
        job.write_text(json.dumps({**json.loads(job.read_text()), "shares": shares}))
        with pytest.raises(sk.SniffkitError, match=r"job\.json: not readable"):
            sk.open(files).to_dataset(begun, workers=1)


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_a_worker_without_a_thread_or_process_is_one_line(
    kind: type[Exception], files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise kind("can't start new thread")

    monkeypatch.setattr(*((threading.Thread, "start") if kind is RuntimeError else (subprocess, "Popen")), refuse)
    with pytest.raises(sk.SniffkitError, match="worker 1 of 2 cannot be started: can't start new thread") as told:
        sk.open(files).to_dataset(tmp_path / "out", workers=2)
    assert told.value.exit_code == 1


def test_what_another_run_finished_is_not_begun_anew(files: list[str], begun: Path) -> None:
    job = json.loads((begun / "_sniffkit" / "job.json").read_text())
    sk.open(files).to_dataset(begun, workers=1)
    with pytest.raises(work.Superseded):
        work.run_share(job, 0)
    assert found(begun) == whole(files)


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """What a file of JSON holds with something of it changed."""

    def make(data: bytes) -> bytes:
        kept = json.loads(data)
        change(kept)
        return json.dumps(kept).encode()

    return make


NO_JSON = [b"", b"x", b"{}", b"[]", b"null", b'"a"', b"\0\0", b"\xff", b"[" * 100_000]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, lambda _, data=data: data) for name in (LINE, DONE) for data in NO_JSON),
        (LINE, lambda data: data[:-9]),
        (LINE, changed(lambda kept: kept["line"].update(unit=1))),
        (LINE, changed(lambda kept: kept["line"].pop("counters"))),
        (LINE, changed(lambda kept: kept["line"].update(place=[2**63, 0, [], None]))),
        (LINE, changed(lambda kept: kept.update(form="3"))),
        (DONE, changed(lambda kept: kept.update(z=1))),
        (DONE, changed(lambda kept: kept.update(skipped="abc"))),
        (DONE, changed(lambda kept: kept.pop("rows"))),
    ],
)
def test_a_damaged_file_of_a_data_set_is_one_line(
    name: str, damage: Callable[[bytes], bytes], files: list[str], begun: Path, called: Callable[..., Any]
) -> None:
    if name == DONE:
        sk.open(files).to_dataset(begun, workers=1)
    (begun / name).write_bytes(damage((begun / name).read_bytes()))
    said = f"{begun}/{name}: not readable: remove the directory and begin anew"
    assert called("flows", *files, "-o", f"{begun}/", "--workers", "1") == (2, "", f"sniffkit: {said}\n")
    if name == DONE:
        code, _, told = called("sql", "select count(*) from flows", str(begun))
        assert (code, told) == (
            1,
            f"sniffkit: {begun}/{name}: not readable: whether all rows are there cannot be known\n",
        )


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_damaged_state_is_not_gone_on_with(at: int, files: list[str], begun: Path) -> None:
    state = begun / json.loads((begun / LINE).read_text())["line"]["state"]
    data = bytearray(state.read_bytes())
    data[at] ^= 1
    state.write_bytes(data)
    with pytest.raises(sk.SniffkitError) as told:
        sk.open(files).to_dataset(begun, workers=1)
    assert str(told.value) == f"{state}: damaged: remove the directory and begin anew"
    state.unlink()
    with pytest.raises(sk.SniffkitError, match=r"\.state is gone: remove the directory and begin anew$"):
        sk.open(files).to_dataset(begun, workers=1)


def test_a_state_of_another_build_is_named(files: list[str], begun: Path) -> None:
    """The same version number does not say that states are alike."""
    kept = json.loads((begun / LINE).read_text())
    state = begun / kept["line"]["state"]
    state.write_bytes(b"other")
    kept["line"]["state_sha256"] = hashlib.sha256(b"other").hexdigest()
    kept["sha256"] = work._sum_of(kept["line"])
    (begun / LINE).write_text(json.dumps(kept))
    with pytest.raises(sk.SniffkitError) as told:
        sk.open(files).to_dataset(begun, workers=1)
    assert str(told.value).startswith(f"{state}: no saved state: ")
    assert str(told.value).endswith(": remove the directory and begin anew")


def test_a_job_of_no_workers_is_told(files: list[str], begun: Path) -> None:
    job = begun / "_sniffkit" / "job.json"
    job.write_bytes(changed(lambda kept: kept.update(shares=0))(job.read_bytes()))
    with pytest.raises(sk.OutputError, match=r"job.json: not readable; choose another directory$"):
        sk.open(files).to_dataset(begun, workers=1)
