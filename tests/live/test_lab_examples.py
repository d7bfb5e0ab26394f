"""Every example is built and checked for real: on this machine's kernel, or where it lacks something under UML.

What `lab from-host` finds of each builds it again: neither lacks anything of the plan of the other. So do the lines of
its dry run, given to a shell.
The table in the test output says which kind ran on which kernel. One that can run nowhere fails.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_process import RAN

from sniffkit.lab import parse
from sniffkit.lab.kernel import needs

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = [*sorted((ROOT / "docs" / "labs").glob("*.yaml")), ROOT / "tests" / "live" / "every_key.yaml"]
SECONDS = 420


@functools.cache
def elsewhere() -> list[Path]:
    """The examples that this machine's kernel cannot run."""
    from sniffkit.checkup import kernel

    lacking = {row["what"] for row in kernel() if not row["ok"]}
    return [path for path in EXAMPLES if set(needs(parse(path))) & lacking]


# On this machine the examples run with names of namespaces of their own: theirs may be in use.
PRIVATE = "mkdir -p /run/netns /run/sniffkit && mount -t tmpfs none /run/netns && mount -t tmpfs none /run/sniffkit"
HERE = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{PRIVATE} && exec "$@"', "sh"]
UML = [sys.executable, "scripts/uml_run.py", "--timeout", str(SECONDS)]


class Runner:
    """A process that checks one example after the other, on this kernel or in a guest with another."""

    def __init__(self, prefix: list[str], paths: list[Path]) -> None:
        self.results: dict[str, dict[str, object]] = {}
        self.output: list[str] = []
        names = [str(path.relative_to(ROOT)) for path in paths]
        command = [*prefix, sys.executable, "tests/live/lab_process.py", *names]
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
        self.process.wait()
        with self.changed:
            self.changed.notify_all()

    def result(self, path: Path) -> dict[str, object]:
        name = str(path.relative_to(ROOT))
        with self.changed:
            self.changed.wait_for(lambda: name in self.results or self.process.returncode is not None, SECONDS)
        if name not in self.results:
            said = "".join(line for line in self.output if not line.startswith('{"file"'))[-2000:]
            pytest.fail(f"{name} ran nowhere; {self.process.args} ended with {self.process.returncode}: {said}")
        return self.results[name]

    def end(self) -> None:
        try:
            self.process.wait(10)  # a guest takes a while to shut down
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()


@pytest.fixture(scope="session")
def runners() -> Iterator[dict[Path, Runner]]:
    """The process that runs each example; both start at once, so that one boots while the other works."""
    far = elsewhere()
    started = {True: Runner(UML, far)} if far else {}
    started[False] = Runner(HERE, [path for path in EXAMPLES if path not in far])
    yield {path: started[path in far] for path in EXAMPLES}
    for one in started.values():
        one.end()


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, runners: dict[Path, Runner]) -> None:
    result = runners[path].result(path)
    for feature in sorted(needs(parse(path))):
        RAN.setdefault(feature, {}).setdefault(str(result["kernel"]), []).append(path.stem)
    assert result["failed"] == [], "\n".join(map(str, result["failed"]))  # type: ignore[call-overload]


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_from_host_builds_it_again(path: Path, runners: dict[Path, Runner]) -> None:
    result = runners[path].result(path)
    assert result["again"] == [], "\n".join(map(str, result["again"]))  # type: ignore[call-overload]


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_dry_run_is_what_makes_it(path: Path, runners: dict[Path, Runner]) -> None:
    result = runners[path].result(path)
    assert result["typed"] == [], "\n".join(map(str, result["typed"]))  # type: ignore[call-overload]
