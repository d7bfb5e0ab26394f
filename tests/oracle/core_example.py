"""What the Rust core says of captures by itself, through one of its examples."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from setting import ROOT

# Whoever runs the first of these tests alone builds the core for it: 140 s from nothing on two processors.
RUNS_CARGO = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed"),
]


def core_example(name: str, captures: Iterable[Path]) -> list[str]:
    """The lines that `rust/core/examples/NAME.rs` writes about captures, in this order."""
    cargo = ["cargo", "run", "--quiet", "-p", "sniffkit-core", "--no-default-features", "--example", name, "--"]
    run = subprocess.run([*cargo, *captures], cwd=ROOT / "rust", capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
