"""The bench: what its runs leave to each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.cases import Case, Contender

MAKE = "import os, sys; os.mkdir(sys.argv[1])"
WRITE = "import sys; open(sys.argv[1], 'x').close()"


@pytest.mark.parametrize("program", [MAKE, WRITE])
def test_a_run_begins_without_what_the_one_before_has_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(bench, "DATA", tmp_path)
    monkeypatch.setattr(bench, "OUT", str(tmp_path / "out"))
    contender = Contender("one", [sys.executable, "-c", program, f"{tmp_path}/out-one"])
    costs, failed = bench.run_case(Case("case", "", lambda _: [contender], ()), [contender], rounds=2)
    assert not failed
    assert costs["one"].wall > 0
