"""A disk that fills up under a table or the record of a lab: one line; what was there before is not touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import P, netns, sniffkit, write

RECORD = (Path(__file__).resolve().parents[2] / "rust" / "fuzz" / "corpus" / "pcap" / "micros-le").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "tsv", "jsonl", "arrow"])
@pytest.mark.parametrize("link", [False, True])
def test_a_full_disk_is_one_line_and_exit_1(small_disk: Path, tmp_path: Path, suffix: str, link: bool) -> None:
    capture = tmp_path / "many.pcap"
    # Different bytes in every frame, or Parquet would fit them all.
    frames = [RECORD[24:70] + number.to_bytes(4, "big") * 3 + RECORD[82:87] for number in range(20_000)]
    capture.write_bytes(RECORD[:24] + b"".join(frames))
    kept = small_disk / "kept.csv"
    kept.write_text("kept\n")
    out = small_disk / f"packets.{suffix}"
    out.write_text("before\n")
    if link:
        (tmp_path / out.name).symlink_to(out)
    path = str(tmp_path / out.name if link else out)
    command = [sys.executable, "-m", "sniffkit", "packets", str(capture), "-o", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    # What the core writes is named by where it is.
    assert done.stderr == f"sniffkit: {out if suffix == 'parquet' else path}: No space left on device\n"
    assert (kept.read_text(), out.read_text()) == ("kept\n", "before\n")
    assert set(small_disk.iterdir()) == {kept, out}


def test_a_lab_whose_record_does_not_fit(small_disk: Path, file: Path) -> None:
    """It does not come up and nothing of it stays; one that is up goes, whatever filled the disk meanwhile."""
    there = ("env", f"SNIFFKIT_RUN={small_disk}")

    def up(nodes: int) -> tuple[int, str]:
        text = write(file, nodes=[f"{P}n{i}" for i in range(nodes)], links=[])
        done = sniffkit("lab", "up", text, prefix=there)
        return done.returncode, done.stderr.replace(f"{small_disk}/labs/{P}lab/", "")

    assert up(3)[0] == 0
    before = netns()
    full = small_disk / "full"
    subprocess.run(["dd", "if=/dev/zero", f"of={full}", "bs=4k"], capture_output=True, check=False)
    assert up(40) == (2, "sniffkit: journal: No space left on device\n")
    assert netns() == before, "an update goes back"
    assert sniffkit("lab", "down", str(file), prefix=there).returncode == 0
    assert netns() == []
    assert up(40)[0] == 2
    assert netns() == []
    full.unlink()
    assert up(40)[0] == 0
    assert sniffkit("lab", "down", str(file), prefix=there).returncode == 0
    assert netns() == []
