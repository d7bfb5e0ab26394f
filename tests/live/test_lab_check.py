"""`lab check`: what cannot be tried is neither met nor failed to order, and what it reads need not be text."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from labs import P, sniffkit, write

import sniffkit as sk

A, B = f"{P}a", f"{P}b"
NOT_DONE = [
    {"from": A, "http": "http://www.invalid/"},
    {"from": A, "tcp": "www.invalid:80"},
    {"from": A, "run": "no-such-program"},
]


@pytest.mark.parametrize("one", NOT_DONE, ids=lambda one: list(one)[1])
@pytest.mark.parametrize("fails", [False, True])
def test_what_could_not_be_done_is_no_proof(file: Path, one: dict[str, Any], fails: bool) -> None:
    done = sniffkit("lab", "check", write(file, expect=[{**one, "fails": fails}]), "--json")
    row = json.loads(done.stdout)
    assert (done.returncode, row["ok"]) == (1, "NO")
    assert row["found"].startswith("could not be done: ")


def test_a_program_that_is_missing_is_no_proof(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # `sniffkit.lab` is a function once it has been used.
    monkeypatch.setattr(importlib.import_module("sniffkit.lab.check"), "search_path", lambda: "/nowhere")
    done = sniffkit("lab", "check", write(file, expect=[f"{A} !> {B}"]))
    assert done.returncode == 1
    assert "could not be done: ping is missing: sudo apt install iputils-ping" in done.stdout
    done = sniffkit("lab", "check", write(file, traffic=[f"{A} -> {B}"], expect=[]))
    assert (done.returncode, "ping is missing" in done.stderr) == (2, True)


@pytest.mark.parametrize("route", ["blackhole 10.9.0.0/16", "unreachable 10.9.0.0/16", "prohibit 10.9.0.0/16"])
def test_a_route_that_refuses_is_a_proof(file: Path, route: str) -> None:
    fails = [f"{A} !> 10.9.0.1", f"{A} !> 10.8.0.1", {"from": A, "path": "10.9.0.1", "fails": True}]
    done = sniffkit("lab", "check", write(file, nodes={A: {"routes": [route]}, B: None}, expect=fails))
    assert done.returncode == 0, done.stdout


def test_what_is_said_need_not_be_text(file: Path) -> None:
    raw = {"from": A, "run": "printf '\\377\\376'", "output": "\ufffd"}
    done = sniffkit("lab", "check", write(file, expect=[raw]))
    assert done.returncode == 0, done.stdout
    with sk.lab(str(file)) as lab:
        assert lab[A].run(["printf", "\\377"]).stdout == "\ufffd"
        assert lab[A].run(["printf", "\\377"], text=False).stdout == b"\xff"


def test_a_file_that_changed_since_its_lab_came_up_is_told_of(file: Path) -> None:
    assert sniffkit("lab", "up", write(file, expect=[f"{A} -> {B}"])).returncode == 0
    more = [f"{A}", B, f"{P}c"]
    path = write(file, nodes=more, expect=[f"{A} -> {B}", f"{P}c !> 10.0.0.1"])
    said = f"{path} has changed since lab {P}lab came up: sniffkit lab up {path}"
    done = sniffkit("lab", "check", path)
    assert (done.returncode, said in done.stderr) == (2, True)
    done = sniffkit("lab", "show", path)
    assert (done.returncode, said in done.stderr) == (0, True)
    assert f"{A}\teth0" in done.stdout
    assert sniffkit("lab", "up", path).returncode == 0
    assert sniffkit("lab", "check", path).returncode == 0
