"""Every example is built and checked for real: on this machine's kernel, or where it lacks something under UML.

The table in the test output says which kind ran on which kernel. One that can run nowhere fails.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_process import RAN, check

from sniffkit.lab import LabSpec, parse

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted((ROOT / "docs" / "labs").glob("*.yaml"))
UML_SECONDS = 240


def features(spec: LabSpec) -> set[str]:
    """What a lab needs of the kernel, in doctor's words."""
    found = {one.kind for one in spec.interfaces.values()}
    found |= {f"qdisc {name}" for one in spec.interfaces.values() for name in one.qdisc or {}}
    if any(one.data.get("vlan_filtering") for one in spec.interfaces.values()):
        found.add("bridge vlan_filtering")
    if any(node.settings.get("nat") for node in spec.nodes.values()):
        found.add("nftables NAT")
    return found


@functools.cache
def elsewhere() -> list[Path]:
    """The examples that this machine's kernel cannot run."""
    from sniffkit.checkup import kernel

    lacking = {row["what"] for row in kernel() if not row["ok"]}
    return [path for path in EXAMPLES if features(parse(path)) & lacking]


class Guest:
    """The examples of one UML guest, which runs beside the tests of this machine's kernel."""

    def __init__(self, paths: list[Path]) -> None:
        self.results: dict[str, dict[str, object]] = {}
        self.output: list[str] = []
        names = [str(path.relative_to(ROOT)) for path in paths]
        command = [sys.executable, "scripts/uml_run.py", "--timeout", str(UML_SECONDS), sys.executable]
        command += ["tests/live/lab_process.py", *names]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.output.append(line)
                if line.startswith('{"file"'):
                    found = json.loads(line)
                    self.results[found["file"]] = found
                self.changed.notify_all()
        with self.changed:
            self.process.wait()
            self.changed.notify_all()

    def result(self, path: Path) -> dict[str, object]:
        name = str(path.relative_to(ROOT))
        with self.changed:
            self.changed.wait_for(lambda: name in self.results or self.process.poll() is not None, UML_SECONDS)
        if name not in self.results:
            pytest.fail(f"ran nowhere: this kernel lacks what it needs, and UML said: {''.join(self.output)[-2000:]}")
        return self.results[name]


@pytest.fixture(scope="session")
def guest() -> Iterator[Guest | None]:
    paths = elsewhere()
    if not paths:
        yield None
        return
    found = Guest(paths)
    yield found
    try:
        found.process.wait(10)  # it is shutting down
    except subprocess.TimeoutExpired:
        found.process.terminate()
        found.process.wait()


def test_every_example_can_run_somewhere(guest: Guest | None) -> None:
    """Starts the guest, so that it boots while this machine's own examples run."""
    assert EXAMPLES


@pytest.mark.timeout(UML_SECONDS + 60)
@pytest.mark.parametrize(
    "path", [one for one in EXAMPLES if one not in elsewhere()] + elsewhere(), ids=lambda path: path.stem
)
def test_example(path: Path, guest: Guest | None) -> None:
    if path in elsewhere():
        assert guest is not None
        result = guest.result(path)
    else:
        result = check(str(path))
    for feature in sorted(features(parse(path))):
        RAN.setdefault(feature, {}).setdefault(str(result["kernel"]), []).append(path.stem)
    assert result["failed"] == [], "\n".join(map(str, result["failed"]))  # type: ignore[call-overload]
    assert not [name for name in parse(path).nodes if os.path.exists(f"/run/netns/{name}")]
