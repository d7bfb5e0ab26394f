"""What an ordinary user is told of labs that only root may read."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import ROOT, sniffkit

HIDDEN = "not permitted: labs are root's; run it with sudo"


@pytest.fixture
def nobody() -> Iterator[tuple[str, ...]]:
    """Runs a command as a user who may see that the labs `other` and `veth` are up, and no more."""
    with tempfile.TemporaryDirectory() as made:
        yield (*in_labs(Path(made)), *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))


def in_labs(base: Path) -> tuple[str, ...]:
    base.chmod(0o755)
    for name in ("other", "veth"):
        (base / "labs" / name).mkdir(parents=True)
        journal = base / "labs" / name / "journal"
        journal.touch(0o600)
        journal.write_text(json.dumps({"is": "up", "file": f"/nowhere/{name}.yaml"}) + "\n")
    return ("env", f"SNIFFKIT_RUN={base}", "PYTHONDONTWRITEBYTECODE=1")


@pytest.mark.parametrize(
    ("lab", "code", "said"),
    [
        ("none", 0, "lab none is not up"),
        ("veth", 2, f"lab veth: {HIDDEN}"),
        (str(ROOT / "docs" / "labs" / "veth.yaml"), 2, f"lab veth: {HIDDEN}"),
        (str(ROOT / "docs" / "labs" / "bridge.yaml"), 0, "lab bridge is not up"),
        ("gone.yaml", 2, "gone.yaml: no such file; whether a lab came up from it root may see: run it with sudo"),
    ],
    ids=lambda value: Path(value).name if isinstance(value, str) and "/" in value else None,
)
def test_down_speaks_of_the_lab_that_was_asked_for(nobody: tuple[str, ...], lab: str, code: int, said: str) -> None:
    done = sniffkit("lab", "down", lab, prefix=nobody)
    assert (done.returncode, done.stderr) == (code, f"sniffkit: {said}\n")


def test_list_has_their_names_and_says_once_that_there_is_more(nobody: tuple[str, ...]) -> None:
    done = sniffkit("lab", "list", "--json", prefix=nobody)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["name"], row["state"], row["nodes"]) for row in rows] == [("other", None, None), ("veth", None, None)]
    assert (done.returncode, done.stderr) == (
        1,
        "sniffkit: 2 of 2 labs not read: labs are root's; run it with sudo\n",
    )


def test_exec_reads_no_lab_but_the_one_that_is_named(nobody: tuple[str, ...]) -> None:
    assert "other" not in sniffkit("lab", "exec", "none/net1", "true", prefix=nobody).stderr
    assert sniffkit("lab", "exec", "veth/net1", "true", prefix=nobody).stderr == f"sniffkit: lab veth: {HIDDEN}\n"


def test_up_says_what_is_not_permitted_and_not_which_capabilities_are_missing(nobody: tuple[str, ...]) -> None:
    has = "+sys_admin,+net_admin"
    done = sniffkit(
        "lab",
        "up",
        str(ROOT / "docs" / "labs" / "veth.yaml"),
        prefix=(*nobody, f"--inh-caps={has}", f"--ambient-caps={has}"),
    )
    assert (done.returncode, done.stderr) == (2, f"sniffkit: lab veth: {HIDDEN}\n")
