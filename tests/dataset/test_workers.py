"""Workers of this machine that cannot be started, and those whose parent has gone."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from setting import ROOT

import sniffkit as sk
from sniffkit.dataset import engines
from sniffkit.dataset.job import Job

DEMO = ROOT / "captures" / "demo" / "demo.pcapng"


def test_where_no_more_workers_can_be_started_the_others_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[engines.Child] = []

    class Third(engines.Child):
        def __init__(self, job: Job, share: int) -> None:
            if share == 2:
                raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
            super().__init__(job, share)
            begun.append(self)

    monkeypatch.setattr(engines, "Child", Third)
    with pytest.raises(sk.SniffkitError, match="worker 3 of 4 cannot be started: Resource temporarily") as raised:
        sk.open(DEMO).to_dataset(tmp_path / "out", workers=4)
    assert raised.value.exit_code == 1
    assert [one.process.returncode is None for one in begun] == [False, False]


@pytest.mark.parametrize("job", ["", '[{"table": "flows", "pa'])
def test_a_worker_whose_parent_has_gone_says_nothing(job: str) -> None:
    command = [sys.executable, "-m", "sniffkit.dataset.worker"]
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
