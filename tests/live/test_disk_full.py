"""A table written to a disk that fills up: one line and exit code 1; what was there before is not touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
