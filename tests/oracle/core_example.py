"""What the Rust core says of captures by itself, through one of its examples."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from setting import ROOT

# Whoever runs the first of these tests before `cargo test` builds for that: minutes, from nothing.
RUNS_CARGO = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed"),
]


@functools.cache
def executable(name: str) -> str:
    """An example as `cargo test` builds it: alone it would be built once more, with other features of its crates."""
    cargo = ["cargo", "test", "--no-run", "--quiet", "--workspace", "--message-format=json"]
    built = subprocess.run(cargo, cwd=ROOT / "rust", capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for message in map(json.loads, built.stdout.splitlines()):
        target = message.get("target", {})
        if (target.get("kind"), target.get("name")) == (["example"], name):
            return str(message["executable"])
    raise AssertionError(f"cargo test builds no example {name}")


def core_example(name: str, captures: Iterable[Path]) -> list[str]:
    """The lines that `rust/core/examples/NAME.rs` writes about captures, in this order."""
    run = subprocess.run([executable(name), *captures], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
