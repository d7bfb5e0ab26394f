"""Where things go: the default file, the flow table in every format, printing beside writing."""

from __future__ import annotations

import copy
import csv
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.feather
import pyarrow.parquet
import pytest
from livenet import SNIFFKIT, Capture, Net, frame, numbers

import sniffkit as sk


def only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


def test_the_two_commands(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("--netns", net.b, "-i", "veth2")
    net.ping(3)
    code, out, said = running.end()
    assert code == 0, said
    lines = out.decode().splitlines()
    assert len([line for line in lines if "ICMP echo" in line]) == 6
    path = only(tmp_path / "captures", "*.pcapng")
    assert path.name.endswith(f"Z-{net.b}-veth2.pcapng")
    table = path.with_suffix("").with_suffix(".flows.parquet")
    assert sorted(one.name for one in path.parent.iterdir()) == sorted([path.name, table.name])
    assert f"sniffkit: wrote captures/{path.name} and captures/{table.name}" in said
    flows = subprocess.run(
        [SNIFFKIT, "flows", "--columns", "orig_h,resp_h,orig_pkts"], cwd=tmp_path, capture_output=True, text=True
    )
    assert f"reading captures/{path.name}" in flows.stderr
    assert "10.231.0.1\t10.231.0.2\t3" in flows.stdout
    kept = pyarrow.parquet.read_table(table).to_pylist()
    again = sk.open(str(path)).flows().to_arrow().to_pylist()
    assert [(row["uid"], row["orig_pkts"]) for row in kept] == [(row["uid"], row["orig_pkts"]) for row in again]


def test_two_captures_that_begin_together_have_their_own_files(net: Net, capture: Capture, tmp_path: Path) -> None:
    command = [SNIFFKIT, "capture", "-i", net.veth2, "--dir", "saved", "-c", "1"]
    both = [
        subprocess.Popen([*command, text], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for text in ("udp", "icmp")
    ]
    for one in both:
        assert one.stderr is not None
        assert b"listening" in one.stderr.readline()
    net.send([frame(1)])
    net.ping()
    for one in both:
        assert one.communicate(timeout=20) is not None
        assert one.returncode == 0
    saved = sorted((tmp_path / "saved").glob("*.pcapng"))
    tables = [path.with_suffix(".flows.parquet") for path in saved]
    assert [sk.open(path).packets().to_arrow().num_rows for path in saved] == [1, 1]
    assert {pyarrow.parquet.read_table(path)["proto"][0].as_py() for path in tables} == {"udp", "icmp"}


def test_a_saved_capture_has_a_name_of_its_own(tmp_path: Path) -> None:
    from sniffkit.options import new_capture

    deep: list[tuple[str | None, str]] = [(f"/run/{'é' * 150}", "veth0"), ("ns", "b" * 100)]
    made = [new_capture(str(tmp_path), points) for points in ([("ns", "veth0")], [("ns", "veth0")], deep)]
    assert len({path for path, _ in made}) == 3
    assert sorted(os.path.basename(path) for path, _ in made) == sorted(one.name for one in tmp_path.iterdir())
    assert made[0][1] == made[0][0].replace(".pcapng", ".flows.parquet")
    # a table that has lost its capture is not written over
    Path(made[0][1]).touch()
    os.unlink(made[0][0])
    assert new_capture(str(tmp_path), [("ns", "veth0")])[0] != made[0][0]
    with pytest.raises(sk.SniffkitError, match=": No such file or directory"):
        new_capture(str(tmp_path / "none"), [("ns", "veth0")])


def test_a_capture_that_does_not_start_leaves_no_empty_file(net: Net, tmp_path: Path) -> None:
    for arguments in (
        ["-i", "eth9"],
        ["-i", net.veth2, "udp and ("],
        ["-i", net.veth2, "--flows", "f.csv", "-x", "-A"],
    ):
        command = [SNIFFKIT, "capture", "--dir", "saved", *arguments]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 2
        assert not (tmp_path / "saved").exists()
        if arguments[0:2] == ["-i", net.veth2] and "-x" not in arguments:
            assert subprocess.run([SNIFFKIT, "ui", *command[2:]], cwd=tmp_path, capture_output=True).returncode == 2
            assert not (tmp_path / "saved").exists()
    (tmp_path / "saved").mkdir()
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 2
    assert list((tmp_path / "saved").iterdir()) == []  # it was there before
    (tmp_path / "file").touch()
    done = subprocess.run([SNIFFKIT, "capture", "--dir", "file", "-i", net.veth2], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (2, b"sniffkit: file: Not a directory\n")


def test_a_saved_capture_belongs_to_the_user_it_goes_on_as(net: Net, capture: Capture, tmp_path: Path) -> None:
    import pwd

    user = pwd.getpwnam("nobody")
    directory = Path(f"/tmp/skl-save-{os.getpid()}")
    directory.mkdir()
    try:
        arguments = ("-i", net.veth2, "--dir", str(directory), "-Z", "nobody", "-c", "1", "udp")
        done = subprocess.run([SNIFFKIT, "capture", *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "Permission denied" in done.stderr
        assert list(directory.iterdir()) == []
        os.chown(directory, user.pw_uid, user.pw_gid)
        running = capture(*arguments)
        net.send([frame(1)])
        code, _, said = running.end(None)
        assert code == 0, said
        assert sorted(one.suffix for one in directory.iterdir()) == [".parquet", ".pcapng"]
        assert {(one.stat().st_uid, one.stat().st_gid) for one in directory.iterdir()} == {(user.pw_uid, user.pw_gid)}
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


def test_flows_end_by_the_timeouts_that_are_given(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-c", "2", "-w", "x.pcapng", "--flows", "f.parquet", "--udp-idle", "0.05", "udp")
    net.send([frame(1)])
    time.sleep(0.2)
    net.send([frame(1)])
    assert running.end(None)[0] == 0
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    assert table["end_reason"].to_pylist() == ["idle", "eof"]
    assert table.schema.metadata[b"sniffkit.active_s"] == b"1800"
    assert float(table.schema.metadata[b"sniffkit.udp_icmp_idle_s"]) == 0.05


def test_where_captures_are_saved(net: Net, capture: Capture, tmp_path: Path) -> None:
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        ((), {"SNIFFKIT_CAPTURES": str(tmp_path / "env" / "deep")}, "env/deep"),
        (("--dir", "given"), {"SNIFFKIT_CAPTURES": str(tmp_path / "env2")}, "given"),
    ]
    for arguments, environment, place in cases:
        running = capture("-i", net.veth2, "-c", "1", *arguments, "udp", env={**os.environ, **environment})
        net.send([frame(1)])
        assert running.end(None)[0] == 0
        assert len(list((tmp_path / place).iterdir())) == 2
    running = capture("-i", net.veth2, "-c", "1", "--no-save", "udp")
    net.send([frame(1)])
    assert running.end(None)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env", "given"]


def test_printing_beside_writing(net: Net, capture: Capture, tmp_path: Path) -> None:
    for arguments, printed in (((), 0), (("--print",), 3)):
        running = capture("-i", net.veth2, "-c", "3", "-w", "x.pcapng", *arguments, "udp")
        net.send(frame(n) for n in range(3))
        code, out, _ = running.end(None)
        assert (code, len(out.splitlines())) == (0, printed)
        assert numbers(tmp_path / "x.pcapng") == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "arrow"])
def test_the_flow_table_while_capturing(net: Net, capture: Capture, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"f.{suffix}"
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", path.name, "udp or icmp")
    net.send(frame(n) for n in range(5))
    net.ping()
    code, _, said = running.end()
    assert code == 0, said
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([path.name, "x.pcapng"])
    if suffix == "parquet":
        rows = pyarrow.parquet.read_table(path).to_pylist()
    elif suffix == "arrow":
        rows = pyarrow.feather.read_table(path).to_pylist()
    elif suffix == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["proto"], int(row["orig_pkts"])) for row in rows] == [("udp", 5), ("icmp", 1)]


def test_the_flow_table_from_python(net: Net, tmp_path: Path) -> None:
    with sk.capture(net.veth2, write=tmp_path / "x.pcapng", flows=tmp_path / "f.csv", filter="udp") as live:
        net.send([frame(1)])
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 2
    assert live.flows(["orig_pkts"]).to_arrow()["orig_pkts"].to_pylist() == [1]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["f.csv", "x.pcapng"]


def test_suffixes_are_the_same_in_capitals(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "X.PCAP", "--flows", "F.CSV", "-c", "1", "udp")
    with sk.capture(net.veth2, write=tmp_path / "Y.Pcap", flows=tmp_path / "F.PARQUET", filter="udp") as live:
        net.send([frame(1)])
        assert live.wait_for(1)
    assert running.end(None)[0] == 0
    for name in ("X.PCAP", "Y.Pcap"):
        assert (tmp_path / name).read_bytes()[:4] in (b"\x4d\x3c\xb2\xa1", b"\xd4\xc3\xb2\xa1")
    assert len((tmp_path / "F.CSV").read_text().splitlines()) == 2
    assert pyarrow.parquet.read_table(tmp_path / "F.PARQUET").num_rows == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["F.CSV", "F.PARQUET", "X.PCAP", "Y.Pcap"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"flows": "f.xls"}, "no format for this suffix"),
        ({"filter": "udp and ("}, "syntax error"),
        ({"count": 0}, "count is 1 to .*, not 0"),
        ({"duration": -1}, "duration is more than 0, not -1"),
        ({"duration": 0}, "duration is more than 0, not 0"),
        ({"duration": float("nan")}, "duration is more than 0, not nan"),
        ({"count": 1.5}, "count is a whole number, not 1.5"),
        ({"duration": "x"}, "duration is a number, not 'x'"),
        ({"filter": b"udp"}, "b'udp' is not a text"),
        ({"filter": "\ud800"}, r"'\\ud800' is not UTF-8"),
        ({"comment": "\ud800"}, r"'\\ud800' is not UTF-8"),
        ({"points": [None]}, "a capture point is IF or NS/IF, not None"),
        ({"netns": b"ns1"}, "b'ns1' is not a text"),
        ({"promiscuous": "no"}, "promiscuous is True or False, not 'no'"),
        ({"write": "-"}, "write is a file's name, not '-'"),
        ({"flows": "-"}, "flows is a file's name, not '-'"),
        ({"write": "x.pcapng.zst"}, "x.pcapng.zst: captures are not compressed as they are written"),
        ({"write": 3}, "write is a file's name, not 3"),
        ({"snap_len": 262145}, "snap_len is 0 to 262144, not 262145"),
        ({"buffer_kib": -8}, "buffer_kib is 1 to"),
        ({"buffer_kib": 4193281}, "buffer_kib is 1 to 4193280, not 4193281"),
        ({"direction": "up"}, "direction is in, out or inout, not 'up'"),
    ],
)
def test_a_capture_that_is_refused_leaves_no_file(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(sk.SniffkitError, match=said):
        sk.capture(*asked.pop("points", [net.veth2]), **asked)
    assert not list(tmp_path.iterdir())


def test_a_capture_may_last_longer_than_clocks(net: Net) -> None:
    with sk.capture(net.veth2, filter="udp", duration=float("inf")) as live:
        net.send([frame(1)])
        assert live.wait_for(1)
        assert not live.wait(0.01)
        assert live.ready
    assert not live.ready


def test_a_capture_that_has_ended_by_itself_is_not_live(net: Net) -> None:
    with sk.capture(net.veth2, count=1, filter="udp") as live:
        assert "live capture" in repr(live)
        net.send([frame(1)])
        assert live.wait(10)
        assert not live.ready
        assert "ended capture" in repr(live)
    assert live.packets(["ip_id"]).to_arrow()["ip_id"].to_pylist() == [1]


def test_a_capture_without_a_name_leaves_no_file(net: Net) -> None:
    live = sk.capture(net.veth2, filter="udp")
    path = live.path
    net.send([frame(1)])
    live.stop()
    assert numbers(path) == [1]
    del live
    assert not os.path.exists(path)


def test_a_table_outlives_the_capture_it_is_of(net: Net) -> None:
    def captured() -> sk.LiveCapture:
        with sk.capture(net.veth2, filter="udp") as live:
            net.send(frame(n) for n in range(3))
        return live

    table, whole = captured().packets(["ip_id"]), captured().capture
    assert table.to_arrow()["ip_id"].to_pylist() == [0, 1, 2]
    assert whole.flows(["orig_pkts"]).to_arrow()["orig_pkts"].to_pylist() == [3]
    assert len(list(captured().capture.scapy())) == 3
    (path,) = whole.inputs
    assert type(copy.copy(path)) is type(pickle.loads(pickle.dumps(path))) is str
    name = str(path)
    assert os.path.exists(name)
    del whole, path
    assert not os.path.exists(name)


def test_a_forked_child_ends_nothing_of_its_parents(net: Net) -> None:
    child = "import sys, os, sniffkit as sk\n"
    child += f"with sk.capture({net.veth2!r}) as live:\n"
    child += "    if os.fork() == 0: sys.exit(3)\n"
    child += "    print(os.waitstatus_to_exitcode(os.wait()[1]), live.ready, flush=True)\n"
    child += "if os.fork() == 0: sys.exit(4)\n"
    child += "print(os.waitstatus_to_exitcode(os.wait()[1]), os.path.exists(live.path), live.stats[0].dropped)\n"
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=30)
    assert done.stdout == "3 True\n4 True 0\n"


def test_a_file_that_was_removed_meanwhile_is_not_said_to_be_written(
    net: Net, capture: Capture, tmp_path: Path
) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcapng")
    (tmp_path / "x.pcapng").unlink()
    code, _, said = running.end()
    assert (code, "wrote" in said) == (1, False)
    assert said.endswith("\nsniffkit: x.pcapng: is not there: it was removed or renamed while it was written\n")


def test_whoever_asks_for_the_table_waits_for_the_end(net: Net, tmp_path: Path) -> None:
    live = sk.capture(net.veth1, net.veth2, filter="udp", flows=tmp_path / "f.csv")
    net.send(frame(n) for n in range(200))
    begin, found = threading.Barrier(4), []

    def ask() -> None:
        begin.wait()
        rows = live.packets(["ts"]).to_arrow().num_rows
        found.append((rows, sum(one.captured for one in live.stats), (tmp_path / "f.csv").exists()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [(400, 400, True)] * 4


def test_an_interrupt_while_it_ends_is_no_end(net: Net, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sniffkit import capturing

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    live = sk.capture(net.veth2, filter="udp", write=tmp_path / "x.pcapng", flows=tmp_path / "f.csv")
    net.send([frame(1)])
    with monkeypatch.context() as patch:
        patch.setattr(capturing, "settle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            live.stop()
    live.stop()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["f.csv", "x.pcapng"]


def test_a_process_that_goes_elsewhere_meanwhile(net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    for flows in ("f.parquet", "f.csv"):
        monkeypatch.chdir(tmp_path / "here")
        live = sk.capture(net.veth2, filter="udp", write="x.pcapng", flows=flows)
        monkeypatch.chdir(tmp_path / "there")
        net.send([frame(1)])
        assert live.packets(["ip_id"]).to_arrow()["ip_id"].to_pylist() == [1]
        assert live.path == "x.pcapng"
    assert sorted(one.name for one in (tmp_path / "here").iterdir()) == ["f.csv", "f.parquet", "x.pcapng"]
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_long_names_of_flow_tables(net: Net, capture: Capture, tmp_path: Path, suffix: str) -> None:
    name = "f" * (255 - len(suffix)) + suffix
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--flows", name, "-c", "1", "udp")
    net.send([frame(1)])
    assert running.end(None)[0] == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == [name, "x.pcapng"]
    done = subprocess.run(
        [SNIFFKIT, "capture", "-i", net.veth2, "-w", "y.pcapng", "--flows", f"f{name}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (2, f"sniffkit: f{name}: File name too long\n")
    assert not (tmp_path / "y.pcapng").exists()


def test_the_flow_table_is_named_without_a_capture_file(net: Net, capture: Capture, tmp_path: Path) -> None:
    for arguments in (("--no-save",), ("-w", "-")):
        running = capture("-i", net.veth2, *arguments, "--flows", "f.parquet", "-c", "1", "udp")
        net.send([frame(1)])
        code, _, said = running.end(None)
        assert (code, said.splitlines()[-1]) == (0, "sniffkit: wrote f.parquet")


def test_link_headers_and_dumps(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-c", "1", "--no-save", "-e", "-xx", "-n", "udp")
    net.send([frame(1)])
    code, out, _ = running.end(None)
    assert code == 0
    text = out.decode()
    assert "02:00:00:00:00:01 > 02:00:00:00:00:02" in text
    assert "0x0000:  0200 0000 0002 0200 0000 0001 0800 4500" in text


def test_frames_as_json(net: Net, capture: Capture, tmp_path: Path) -> None:
    """As they come, the same that `read --json` gives of the file."""
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--print", "--json", "icmp")
    net.ping(2)
    code, out, said = running.end()
    assert code == 0, said
    again = subprocess.run([SNIFFKIT, "read", "--json", "x.pcapng"], cwd=tmp_path, capture_output=True, check=True)
    assert out == again.stdout
    frames = [json.loads(line) for line in out.splitlines()]
    assert [row["frame.interface_name"] for row in frames] == [net.veth2] * 4
