"""The README stays true: its examples print what it says, its links and the captures it speaks of are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "docs/comparing.md",
    "docs/frames.md",
    "CONTRIBUTING.md",
    "captures/README.md",
    "docs/decisions/README.md",
]


def test_examples_print_what_the_readme_says() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "readme_examples.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nif that is right: scripts/readme_examples.py --write"
    readme = (ROOT / "README.md").read_text()
    assert len(re.findall(r"^```(?:console|pycon)$", readme, re.MULTILINE)) >= 5


def test_a_changed_output_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import readme_examples

    said = "```console\n$ echo one; echo two >&2\none\n```\n```pycon\n>>> 1 + 1\n3\n>>> x = 5\n```\n"
    true = "```console\n$ echo one; echo two >&2\none\ntwo\n```\n```pycon\n>>> 1 + 1\n2\n>>> x = 5\n```\n"
    assert readme_examples.rerun(said) == true
    assert readme_examples.rerun(true) == true
    assert "(exit 3)" in readme_examples.rerun("```console\n$ exit 3\n```\n")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []


def test_captures_are_small_and_told_of() -> None:
    readme = (ROOT / "captures" / "README.md").read_text()
    folders = [path for path in (ROOT / "captures").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [path.name for path in folders if f"| `{path.name}/` |" not in readme] == []
    sizes = {path.name: path.stat().st_size for folder in folders for path in folder.rglob("*.pcap*")}
    assert {name: size for name, size in sizes.items() if size > 100_000} == {}


def test_saved_captures_of_users_are_not_for_git() -> None:
    names = ["captures/20261125T022115Z-ns1-veth1.pcapng", "captures/x.flows.parquet", "demo.pcapng", "demo.parquet"]
    ours = ["captures/demo/demo.pcapng", "captures/README.md", "captures/flow_cases.py"]
    command = ["git", "-c", "safe.directory=*", "check-ignore", "--no-index", *names, *ours]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip(f"needs git and a clone: {done.stderr.strip()}")
    assert done.stdout.split() == names
