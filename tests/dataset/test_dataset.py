"""Data sets: what `-o DIR/` makes of many files, broken off, gone on with, shared out, and refused."""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.dataset
import pytest

import sniffkit as sk
from captures.wire import MS, T0, Frame, eth, ip4, pcap, tcp, udp
from sniffkit.dataset import work
from sniffkit.sql import Database
from tests.dataset.test_cuts import rows

HOUR = 3_600_000 * MS
SNIFFKIT = str(Path(sys.executable).with_name("sniffkit"))


def traffic(count: int = 600) -> list[Frame]:
    """Conversations that go on over hours, others that come back, none of them in one file alone."""
    frames = []
    for n in range(count):
        host, port = f"10.0.0.{n % 7}", 1000 + n % 5 % 3
        ts = T0 + n * (3 * HOUR // count)
        if n % 3:
            body = tcp(host, port, "10.9.9.9", 80, 0x18, 100 + n * 10, 7, b"x" * 10)
            frames.append(Frame(ts, eth(0x0800, ip4(host, "10.9.9.9", 6, body))))
        else:
            frames.append(Frame(ts, eth(0x0800, ip4(host, "10.9.9.9", 17, udp(host, port, "10.9.9.9", 53, b"y" * 20)))))
    return frames


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Twelve files; their names are not in the order of time."""
    frames, paths = traffic(), []
    for at in range(12):
        path = tmp_path / f"{'cab'[at % 3]}-{at:02d}.pcap"
        path.write_bytes(pcap(frames[at * 50 : (at + 1) * 50], 262_144))
        paths.append(str(path))
    return paths


@pytest.fixture
def expected() -> list[dict[str, Any]]:
    return rows(sk.open(io.BytesIO(pcap(traffic(), 262_144))).flows().to_arrow())


def found(out: Path | str, filesystem: Any = None) -> list[dict[str, Any]]:
    table = pyarrow.dataset.dataset(str(out), format="parquet", filesystem=filesystem).to_table()
    return rows(table)


def test_hours_are_partitions(files: list[str], expected: list[dict[str, Any]], tmp_path: Path) -> None:
    made = sk.open(files).to_dataset(tmp_path / "out", workers=1)
    assert (made.rows, made.frames, made.files, made.skipped) == (len(expected), 600, 12, [])
    assert found(tmp_path / "out") == expected
    parts = pyarrow.dataset.dataset(str(tmp_path / "out"), format="parquet", partitioning="hive").to_table()
    for date, hour, ts in zip(*(parts[name].to_pylist() for name in ("date", "hour")), parts["ts"], strict=True):
        assert f"{date} {int(hour):02d}" == str(ts.cast(pa.string()))[:13]


def test_others_read_the_same_rows_and_types(files: list[str], tmp_path: Path) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    out, parts = tmp_path / "out", str(tmp_path / "out" / "**" / "*.parquet")
    made = sk.open(files).to_dataset(out, workers=2)
    types = sk.open(files).flows().to_arrow().schema
    pandas, polars = pd.read_parquet(out), pl.read_parquet(parts, hive_partitioning=True)
    duck = duckdb.sql(f"FROM read_parquet('{parts}', hive_partitioning=true)").to_arrow_table()
    read = pyarrow.dataset.dataset(str(out), format="parquet", partitioning="hive").to_table()
    for one in (pandas, polars.to_arrow(), duck, read):
        assert len(one) == made.rows
        names = list(one.columns) if one is pandas else one.column_names
        assert names == [*types.names, "date", "hour"]
    assert all(read.schema.field(one.name).type == one.type for one in types)
    assert polars.schema["ts"] == pl.Datetime("ns", "UTC")
    assert str(pandas["ts"].dtype) == "datetime64[ns, UTC]"
    assert sum(duck["orig_pkts"].to_pylist()) == polars["orig_pkts"].sum() == pandas["orig_pkts"].sum()


def test_shares_in_processes_give_the_same(files: list[str], expected: list[dict[str, Any]], tmp_path: Path) -> None:
    made = sk.open(files).to_dataset(tmp_path / "out", workers=3)
    assert made.counters["flows"] == made.rows
    assert found(tmp_path / "out") == expected


@pytest.mark.parametrize("pool", [concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor])
def test_any_executor_will_do(pool: Any, files: list[str], expected: list[dict[str, Any]], tmp_path: Path) -> None:
    with pool(2) as executor:
        sk.open(files).to_dataset(tmp_path / "out", engine=executor)
    assert found(tmp_path / "out") == expected


def break_off(at: int) -> Callable[[int], None]:
    def progress(frames: int) -> None:
        if frames >= at:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("breaks", [[60], [200, 420], [130, 131, 599]])
def test_a_broken_off_run_is_gone_on_with(
    breaks: list[int],
    files: list[str],
    expected: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    for at in breaks:
        with pytest.raises(KeyboardInterrupt):
            sk.open(files).to_dataset(tmp_path / "out", workers=1, progress=break_off(at))
    seen: list[int] = []
    made = sk.open(files).to_dataset(tmp_path / "out", workers=1, progress=seen.append)
    done = breaks[-1] // 100 * 100  # units end with files, of 50 frames
    assert made.resumed == (breaks[0] > 100)
    assert seen[0] > (done - 100 if made.resumed else 0)
    assert found(tmp_path / "out") == expected
    assert sorted(os.listdir(tmp_path / "out" / "_sniffkit")) == ["done.json", "job.json"]


def test_frames_keep_their_numbers_behind_a_break_and_a_filter(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "UNIT_FRAMES", 30)
    for at in (60, 130):
        with pytest.raises(KeyboardInterrupt):
            sk.open(files).to_dataset(tmp_path / "out", filter="udp", workers=1, progress=break_off(at))
    made = sk.open(files).to_dataset(tmp_path / "out", filter="udp", workers=1)
    assert (made.resumed, made.frames) == (True, 200)
    whole = sk.open(io.BytesIO(pcap(traffic(), 262_144))).flows(filter="udp").to_arrow()
    assert found(tmp_path / "out") == rows(whole)


def test_a_run_that_another_version_began_is_refused(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    with pytest.raises(KeyboardInterrupt):
        sk.open(files).to_dataset(tmp_path / "out", workers=1, progress=break_off(200))
    line = tmp_path / "out" / "_sniffkit" / "share-0.json"
    stands = json.loads(line.read_text())
    line.write_text(json.dumps({**stands, "form": stands["form"] - 1}))
    with pytest.raises(sk.SniffkitError, match="begun by another version of sniffkit: remove the directory"):
        sk.open(files).to_dataset(tmp_path / "out", workers=1)


def test_what_a_dead_worker_left_is_removed(
    files: list[str], expected: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    with pytest.raises(KeyboardInterrupt):
        sk.open(files).to_dataset(tmp_path / "out", workers=1, progress=break_off(300))
    where = tmp_path / "out" / "date=2020-01-01" / "hour=00"
    where.mkdir(parents=True)
    part = next((tmp_path / "out").rglob("part-*.parquet"))
    (where / "part-0-000009-000.parquet").write_bytes(part.read_bytes())
    (where / ".part-0-000009-001.parquet.0a0a0a0a.part").write_bytes(b"half")
    sk.open(files).to_dataset(tmp_path / "out", workers=1)
    assert found(tmp_path / "out") == expected
    assert not list((tmp_path / "out").rglob(".*.part"))


def test_a_worker_that_was_given_up_stops(
    files: list[str], expected: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster may take a slow worker for dead and start another: only one of them writes lines."""
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    with pytest.raises(KeyboardInterrupt):
        sk.open(files).to_dataset(tmp_path / "out", workers=1, progress=break_off(1))
    job = json.loads((tmp_path / "out" / "_sniffkit" / "job.json").read_text())

    def progress(frames: int) -> None:
        if frames > 200:
            progress.other = work.run_share(job, 0)  # type: ignore[attr-defined]

    with pytest.raises(work.Superseded, match=r"/out: another run works on this directory$"):
        work.run_share(job, 0, progress)
    assert progress.other["done"]  # type: ignore[attr-defined]
    with pytest.raises(sk.SniffkitError, match=r"the worker has sniffkit .* the job is of 0\.0"):
        work.run_share({**job, "version": "0.0"}, 0)
    sk.open(files).to_dataset(tmp_path / "out", workers=1)
    assert found(tmp_path / "out") == expected


def test_a_second_run_has_nothing_to_do(files: list[str], tmp_path: Path) -> None:
    sk.open(files).to_dataset(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert sk.open(files[::-1]).to_dataset(tmp_path / "out", workers=5).already_complete
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_another_job_is_refused(files: list[str], tmp_path: Path) -> None:
    sk.open(files).to_dataset(tmp_path / "out")
    for change in ({"columns": ["uid"]}, {"filter": "udp"}, {"tcp_idle": 5}, {"table": "dns"}):
        with pytest.raises(sk.SniffkitError, match="other files or options"):
            sk.open(files).to_dataset(tmp_path / "out", **change)
    with pytest.raises(sk.SniffkitError, match="other files or options"):
        sk.open(files[1:]).to_dataset(tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(sk.SniffkitError, match="not empty"):
        sk.open(files).to_dataset(tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_damaged_files_are_passed_over(files: list[str], tmp_path: Path) -> None:
    Path(files[3]).write_bytes(Path(files[3]).read_bytes()[:-7])
    Path(files[5]).write_bytes(b"no capture at all")
    Path(files[7]).write_bytes(b"")
    done = cli("flows", *files, "-o", f"{tmp_path}/out/")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [path for path in (files[5], files[7], files[3]) if any(path in line for line in lines[:-1])] == [
        files[5],
        files[7],
        files[3],
    ]
    assert "complete: " in lines[-1]
    assert sum(row["orig_pkts"] + row["resp_pkts"] for row in found(tmp_path / "out")) == 499
    assert cli("flows", *files, "-o", f"{tmp_path}/out/").returncode == 1  # it still is not all
    with pytest.warns(sk.CaptureWarning) as told:
        made = sk.open(files).to_dataset(tmp_path / "out")
    assert [f"sniffkit: {one.message}" for one in told] == [f"sniffkit: {one}" for one in made.skipped] == lines[:-1]
    assert {one.filename for one in told} == {__file__}


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SNIFFKIT, *arguments], capture_output=True, text=True, check=False)


def by_time(table: pa.Table) -> list[dict[str, Any]]:
    return table.set_column(table.column_names.index("ts"), "ts", table["ts"].cast("int64")).to_pylist()


@pytest.mark.parametrize("table", ["packets", "http", "dns"])
def test_other_tables(table: str, tmp_path: Path) -> None:
    demo = "captures/demo/demo.pcapng"
    whole = getattr(sk.open(demo), table)().to_arrow()
    for _ in range(2):
        assert cli(table, demo, "-o", f"{tmp_path}/out/").returncode == 0
    made = pyarrow.dataset.dataset(str(tmp_path / "out"), format="parquet").to_table()
    assert made.num_rows == whole.num_rows > 0
    assert sorted(map(str, by_time(made))) == sorted(map(str, by_time(whole)))


def test_bad_requests_are_one_line(files: list[str], tmp_path: Path) -> None:
    out = f"{tmp_path}/out/"
    for arguments, said in [
        ((f"{tmp_path}/none*.pcap", "-o", out), "no file matches"),
        ((*files, f"{tmp_path}/gone.pcap", "-o", out), "gone.pcap: No such file"),
        ((*files, "-o", out, "--where", "orig_p = 1"), "--where"),
        ((*files, "-o", out, "--columns", "uid,nope"), "no column 'nope'"),
        ((*files, "-o", out, "-f", "tcp port"), "syntax error"),
        ((*files, "-o", out, "--engine", "spark"), "no engine 'spark'"),
        ((*files, "-o", out, "--engine", "dask://127.0.0.1:1"), "not reachable"),
        ((*files, "-o", out, "--workers", "0"), "workers"),
        ((*files, "-o", out, "--workers", "1025"), "workers is 1 to 1024, not 1025"),
        ((*files, "-o", out, "--workers", str(10**20)), "workers is 1 to 1024, not 100000000000000000000"),
        ((*files, "-o", f"{tmp_path}/f.parquet", "--workers", "2"), "-o DIRECTORY/"),
        (("-", "-o", out), "standard input"),
        ((*files, "-o", "/proc/nothing/"), "/proc/nothing"),
        ((*files, "-o", "gopher://nowhere/out/"), "rotocol not known"),
    ]:
        done = cli("flows", *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr
        assert not os.path.exists(out)


def test_a_full_disk_is_said_and_gone_on_with(
    files: list[str], expected: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    real, left = Path.rename, [20]

    def rename(self: Path, to: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device", str(self))
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(sk.SniffkitError, match="No space left on device") as failed:
        sk.open(files).to_dataset(tmp_path / "out", workers=1)
    assert failed.value.exit_code == 1
    assert sk.open(files).to_dataset(tmp_path / "out", workers=1).resumed
    assert found(tmp_path / "out") == expected


def test_no_file_is_passed_over_where_no_more_can_be_open(tmp_path: Path) -> None:
    """All at one time, so all of them are open together."""
    for at in range(60):
        (tmp_path / f"{at}.pcap").write_bytes(pcap(traffic(30), 262_144))

    def run(soft: int, hard: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SNIFFKIT, "flows", str(tmp_path / "*.pcap"), "-o", f"{tmp_path}/out/", "--workers", "1"],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run(40, 40)
    assert refused.returncode == 1
    assert "open together, and more are not than 40 (`ulimit -Hn`)" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    done = run(40, 200)  # what the shell's limit is raised to
    assert done.returncode == 0
    assert "of 1,800 frames in 60 files" in done.stderr


def test_urls(files: list[str], expected: list[dict[str, Any]]) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path in files:
        memory.pipe_file(f"/in/{Path(path).name}", Path(path).read_bytes())
    try:
        assert sk.open("memory://in/*.pcap").to_dataset("memory://made", workers=1).rows == len(expected)
        assert found("/made", memory) == expected
        assert rows(sk.open("memory://in/*.pcap").flows().to_arrow())  # any table reads URLs
        with pytest.raises(sk.SniffkitError, match="no file matches"):
            sk.open("memory://nowhere/*.pcap")
        with pytest.raises(sk.SniffkitError, match="No such file"):
            sk.open("memory://in/gone.pcap")
        with pytest.raises(sk.SniffkitError, match="rotocol"):
            sk.open("gopher://in/gone.pcap")
    finally:
        memory.rm("/", recursive=True)


def test_a_file_system_with_versions_and_errors_of_its_own(files: list[str], expected: list[dict[str, Any]]) -> None:
    """As s3fs: a version between the path and the range of `cat_file`, and botocore's errors, which are no OSError."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    class Versioned(MemoryFileSystem):  # type: ignore[misc]
        protocol = "versioned"
        store: ClassVar[dict[str, Any]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> Any:
            return super()._strip_protocol(path.replace("versioned://", "memory://"))

        def cat_file(self, path: str, version: str | None = None, start: Any = None, end: Any = None) -> Any:
            assert version is None
            if path.endswith("secret.pcap"):
                raise LookupError("Unable to locate\ncredentials")
            return super().cat_file(path, start, end)

    fsspec.register_implementation("versioned", Versioned, clobber=True)
    fs = fsspec.filesystem("versioned")
    for path in files:
        fs.pipe_file(f"/in/{Path(path).name}", Path(path).read_bytes())
    fs.pipe_file("/in/secret.pcap", Path(files[0]).read_bytes())
    one = [f"versioned://in/{Path(path).name}" for path in files]
    assert sk.open(one).to_dataset("versioned://made", workers=1).rows == len(expected)
    assert found("/made", fs) == expected
    with pytest.raises(sk.SniffkitError, match="Unable to locate credentials"):
        sk.open("versioned://in/secret.pcap").to_dataset("versioned://other", workers=1)


def test_interrupted_workers_end_with_their_parent(
    files: list[str], expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    """^C: nothing goes on running, and the same call completes the table."""
    with pytest.raises(KeyboardInterrupt):
        sk.open(files).to_dataset(tmp_path / "out", workers=2, progress=break_off(0))
    worker = b"sniffkit.dataset.worker"
    mine = [one for one in Path("/proc").glob("[0-9]*") if worker in _read(one / "cmdline")]
    assert not [one for one in mine if f"PPid:\t{os.getpid()}\n".encode() in _read(one / "status")]
    sk.open(files).to_dataset(tmp_path / "out", workers=2)
    assert found(tmp_path / "out") == expected


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pcap")
    done = cli("flows", f"{tmp_path}/pipe.pcap", "-o", f"{tmp_path}/out/")
    assert (done.returncode, "can be read once" in done.stderr) == (2, True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_query_over_what_is_not_whole_says_so(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Callable[..., tuple[int, str, str]]
) -> None:
    """Silence would be a fraction of the rows as an answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "UNIT_FRAMES", 70)
    with pytest.raises(KeyboardInterrupt):
        sk.open(files).to_dataset("half", workers=1, progress=break_off(400))
    sk.open(files).to_dataset("whole", workers=1)
    Path("text.pcap").write_text("hello")
    with pytest.warns(sk.CaptureWarning, match=r"^text\.pcap"):
        sk.open([files[0], "text.pcap"]).to_dataset("less", workers=1)
    unfinished = "sniffkit: half: unfinished: the command that makes it goes on where it stopped\n"
    query = "select count(*) > 0 n from flows"
    assert called("sql", query, "whole") == (0, "n\ntrue\n", "")
    for names in (
        ["half"],
        ["half/"],
        ["whole", "half"],
        ["h?lf"],
        ["half/**/*.parquet"],
        ["half/date=*"],
        ["half/*"],
        ["half/**"],
    ):
        assert called("sql", query, *names) == (1, "n\ntrue\n", unfinished), names
    assert called("sql", "select 1 n", "half") == (0, "n\n1\n", "")
    code, _, said = called("sql", query, "less")
    assert (code, said) == (1, 'sniffkit: less: text.pcap: not a capture: text, starting "hello"; skipped\n')
    monkeypatch.chdir(next(Path("half").glob("date=*")))
    with pytest.warns(sk.CaptureWarning, match=r"^\.\.: unfinished") as told:
        Database(None, [str(path) for path in Path().rglob("*.parquet")]).query(query)
    assert [one.filename for one in told] == [__file__]


def test_a_data_set_without_rows_is_told(tmp_path: Path, called: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "none.pcap").write_bytes(pcap([], 262_144))
    out = tmp_path / "out"
    assert sk.open(tmp_path / "none.pcap").to_dataset(out).rows == 0
    assert called("sql", "from flows", str(out)) == (1, "", f"sniffkit: {out}: a data set without rows\n")
    (out / "_sniffkit" / "done.json").unlink()
    code, _, said = called("sql", "from flows", str(out))
    assert (code, "unfinished" in said) == (1, True)
