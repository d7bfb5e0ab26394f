"""The fixture `lab` as users have it: pytest finds it by itself, and docs/pytest.md runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# Names of namespaces of their own: those of the document may be in use on this machine.
PRIVATE = "mkdir -p /run/netns /run/sniffkit && mount -t tmpfs none /run/netns && mount -t tmpfs none /run/sniffkit"
UNSHARED = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{PRIVATE} && exec "$@"', "sh"]


def run(directory: Path, *arguments: str, prefix: Sequence[str] = ()) -> tuple[int, str]:
    command = [
        *UNSHARED,
        *prefix,
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--strict-markers",
        *arguments,
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory, check=False, env=env, timeout=100)
    return done.returncode, done.stdout + done.stderr


def write(directory: Path, test: str) -> None:
    (directory / "test_it.py").write_text(f"import pytest\n{test}\n")


def test_the_document_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "pytest.md").read_text()
    for name, block in re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(block)
    code, said = run(tmp_path)
    assert code == 0, said
    assert "2 passed" in said


def test_an_expectation_that_fails_shows_what_was_seen(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
@pytest.mark.lab({"links": [{"a/e": "10.1.0.1/24", "b/e": "10.1.0.2/24"}]})
def test_ping(lab):
    with lab.capture("b") as seen:
        lab["a"].run(["ping", "-c1", "10.1.0.2"])
    seen.expect("tcp")
""",
    )
    code, said = run(tmp_path)
    assert code == 1
    assert "tcp at b/e: 0 seen, some expected" in said
    assert "eth:ip:icmp" in said


def test_processes_take_turns_with_a_lab(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("links: [{a/e: 10.1.0.1/24, b/e: 10.1.0.2/24}]")
    write(
        tmp_path,
        """
import time
@pytest.mark.parametrize("number", range(3))
def test_file(lab, number):
    time.sleep(0.2)
    lab["a"].run(["ping", "-c1", "10.1.0.2"])
@pytest.mark.lab({"links": [{"a/e": "10.1.0.1/24", "c/e": "10.1.0.2/24"}]})
def test_mapping(lab):
    lab["a"].run(["ping", "-c1", "10.1.0.2"])
""",
    )
    code, said = run(tmp_path, prefix=["sh", "-c", '"$@" & first=$!; "$@" || exit 1; wait $first', "sh"])
    assert code == 0, said
    assert said.count("4 passed") == 2


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("", "no lab.yaml in"),
        ("@pytest.mark.lab", "takes one lab"),
        ("@pytest.mark.lab('none.yaml')", "no none.yaml in"),
        ("@pytest.mark.lab({'nodse': []})", "unknown key 'nodse'; did you mean 'nodes'?"),
    ],
)
def test_what_is_wrong_is_one_line(mark: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, f"{mark}\ndef test_it(lab):\n    pass")
    code, said = run(tmp_path)
    assert code == 1
    assert message in said
    assert "Traceback" not in said
    assert "pytest_plugin.py" not in said


def test_it_costs_nothing_when_it_is_not_used(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
import sys
def test_it():
    assert "sniffkit.pytest_plugin" in sys.modules
    assert [name for name in sys.modules if name.startswith("sniffkit.")] == ["sniffkit.pytest_plugin"]
""",
    )
    code, said = run(tmp_path)
    assert code == 0, said
