"""Rotated files: tcpdump's names, nothing lost at the seams."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from livenet import SNIFFKIT, Capture, Net, blocks, frame, numbers, options, tool
from procfs import of_threads


def by_number(directory: Path, stem: str) -> list[Path]:
    return sorted(directory.glob(f"{stem}*"), key=lambda path: int(re.findall(r"\d*$", path.name)[0] or 0))


@pytest.mark.parametrize("name", ["x.pcapng", "x.pcap"])
def test_by_size_nothing_is_lost_at_the_seams(net: Net, capture: Capture, tmp_path: Path, name: str) -> None:
    running = capture("-i", net.veth2, "-w", name, "-C", "1", "udp")
    net.send(frame(n, size=1200) for n in range(3000))
    code, _, said = running.end()
    assert code == 0, said
    files = by_number(tmp_path, name)
    assert [path.name for path in files] == [name, *(f"{name}{n}" for n in range(1, len(files)))]
    assert len(files) == 4  # 3,000 × 1,200 bytes
    assert said.endswith(f"sniffkit: wrote {files[-1].name} (the last of 4 files begun)\n")
    assert [n for path in files for n in numbers(path)] == list(range(3000))
    for path in files:
        assert len(tool("tcpdump", "-nr", str(path)).splitlines()) == len(numbers(path))
        assert path.stat().st_size < 1_000_000 + 2_000
    if name == "x.pcapng":
        so_far = 0
        for path in files:  # each is a whole file: section, interface, …, statistics
            found = blocks(path)
            kinds = [kind for kind, _ in found]
            assert (kinds[:2], kinds[-1]) == ([0x0A0D0D0A, 1], 5)
            so_far += kinds.count(6)
            counts = {code: int.from_bytes(value, "little") for code, value in options(found[-1][1], 12)}
            received, dropped, taken, delivered = (counts[code] for code in (4, 5, 6, 8))
            assert (delivered, dropped, taken) == (so_far, 0, received)
            assert received >= delivered


def test_a_ring_keeps_the_newest(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcapng", "-C", "1", "-W", "2", "udp")
    net.send(frame(n, size=1200) for n in range(2300))
    assert running.end()[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pcapng0", "x.pcapng1"]
    newest, before = numbers(tmp_path / "x.pcapng0"), numbers(tmp_path / "x.pcapng1")
    assert before + newest == list(range(before[0], 2300))
    assert 0 < before[0] < newest[0]
    # Read as they came, whatever the names.
    words = [SNIFFKIT, "packets", "x.pcapng?", "--columns", "ts"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True)
    times = said.stdout.split()[1:]
    assert times == sorted(times)
    assert len(times) == len(before + newest)


def test_by_time_and_the_number_of_files(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "x-%s.pcapng", "-G", "1", "-W", "2", "udp")
    n = 0
    while running.process.poll() is None and n < 1000:
        net.send([frame(n)])
        n += 1
        time.sleep(0.01)
    code, _, said = running.end(None)
    assert code == 0, said
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    times = [int(re.findall(r"x-(\d+)", path.name)[0]) for path in files]
    assert 1 <= times[1] - times[0] <= 2
    got = [n for path in files for n in numbers(path)]
    assert got == list(range(len(got)))
    assert len(got) > 50
    assert f"{len(got)} packets captured" in said


def test_a_ring_of_one_file_has_its_name(net: Net, capture: Capture, tmp_path: Path) -> None:
    running = capture("-i", net.veth2, "-w", "x.pcap", "-C", "1", "-W", "1", "udp")
    net.send(frame(n, size=1200) for n in range(1000))
    code, _, said = running.end()
    assert code == 0, said
    assert [path.name for path in tmp_path.iterdir()] == ["x.pcap"]
    assert numbers(tmp_path / "x.pcap")[-1] == 999


def test_the_time_in_a_name_as_the_c_library_has_it(net: Net, capture: Capture, tmp_path: Path) -> None:
    """tcpdump uses strftime(3): flags, widths and time zones too, and in the directory as well."""
    zone = {**os.environ, "TZ": "America/New_York"}
    name = "%Y/%Z%z-%-m-%_H-%^a-%#Z-%10Y-%Q%%.pcapng"
    begin = time.time()
    for year in {time.localtime(begin + later).tm_year for later in (-86400, 0, 86400)}:
        (tmp_path / str(year)).mkdir()
    running = capture("-i", net.veth2, "-w", name, "-G", "3600", "-c", "1", "udp", env=zone)
    net.send([frame(1)])
    code, _, said = running.end(None)
    assert code == 0, said
    expected = {
        subprocess.run(
            ["date", "-d", f"@{int(seconds)}", f"+{name}"], env={**zone, "LC_ALL": "C"}, capture_output=True, text=True
        ).stdout.strip()
        for seconds in (begin, time.time())
    }
    (path,) = tmp_path.glob("*/*")
    assert str(path.relative_to(tmp_path)) in expected
    assert f"sniffkit: wrote {path.relative_to(tmp_path)}\n" in said
    arguments = ["-i", net.veth2, "-w", "no-%Y/x.pcapng", "-G", "1"]
    done = subprocess.run([SNIFFKIT, "capture", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "there is no directory no-2" in done.stderr) == (2, True)


def test_a_next_file_that_cannot_be_made(net: Net, capture: Capture, tmp_path: Path) -> None:
    (tmp_path / "x.pcapng1").mkdir()
    running = capture("-i", net.veth2, "-w", "x.pcapng", "-C", "1", "udp")
    net.send(frame(n, size=1200) for n in range(1000))
    code, _, said = running.end(None)
    assert code == 1
    assert "sniffkit: wrote x.pcapng\n" in said
    assert said.splitlines()[-1].startswith("sniffkit: x.pcapng1: Is a directory; what was written before is kept")
    kept = numbers(tmp_path / "x.pcapng")
    assert kept == list(range(len(kept)))
    assert f"\n{len(kept)} packets captured\n" in said


def test_rotated_files_stay_writable_after_privileges_are_dropped(net: Net, capture: Capture, tmp_path: Path) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    directory = Path(f"/tmp/skl-drop-{os.getpid()}")
    directory.mkdir()
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    try:
        running = capture(
            "-i",
            net.veth2,
            "-w",
            f"{directory}/x.pcapng",
            "-C",
            "1",
            "-Z",
            "nobody",
            "--flows",
            f"{directory}/f.csv",
            "udp",
        )
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        assert re.search(r"Uid:\s+65534\s+65534\s+65534", status)
        assert re.search(r"Groups:\s+65534\s*\n", status)
        assert re.search(r"CapEff:\s+0+\n", status)
        for thread, status in of_threads(running.process.pid, "status").items():
            assert re.search(r"Uid:\s+65534\s+65534\s+65534", status), thread
        net.send(frame(n, size=1200) for n in range(3000))
        code, _, said = running.end()
        assert code == 0, said
        files = by_number(directory, "x.pcapng")
        assert len(files) == 4
        assert [n for path in files for n in numbers(path)] == list(range(3000))
        assert {path.stat().st_uid for path in directory.iterdir()} == {nobody.pw_uid}
        assert sorted(path.suffix for path in directory.iterdir() if path not in files) == [".csv"]
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
