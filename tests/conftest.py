"""What the tests need of the machine, and the rule that in CI nothing of it may be missing.

`live` tests need root and network namespaces, `oracle` tests need tshark and `../shared/corpus`. Where one cannot run
it is skipped with the reason, or fails with it when CI=true or SNIFFKIT_REQUIRE_ALL=1. A full run there also fails
when it ran no live or no oracle test at all. Tests under tests/live and tests/oracle carry their marker by place.

`make test` runs two workers (pytest-xdist): the live tests, which share the machine's namespaces and wait more than
they work, one after the other in the first, and the other files in what remains.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from setting import REQUIRE_ALL, ROOT, SHARED, UPDATE_GOLDEN

if TYPE_CHECKING:
    from webpage import Browser

CLONE_NEWNET = 0x40000000  # linux/sched.h

# Debian keeps ip, tcpdump and nft where an ordinary user's PATH does not lead.
os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"

# Shells start what runs in the background with ^C ignored, and so would be whatever the tests start and then end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def why_not_live() -> str | None:
    """Why no network namespace can be made here; None when it can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    if shutil.which("ip") is None:
        return "needs `ip` (Debian: iproute2)"
    child = os.fork()
    if child == 0:
        os._exit(0 if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0 else 1)
    if os.waitpid(child, 0)[1] != 0:
        return "this kernel or container refuses new network namespaces"
    return None


@functools.cache
def why_not_oracle() -> str | None:
    """Why there is nothing to compare with here; None when there is."""
    if shutil.which("tshark") is None:
        return "needs tshark (Debian: tshark)"
    if not (SHARED / "corpus" / "MANIFEST.tsv").is_file():
        return "needs the captures of ../shared/corpus"
    return None


NEEDS: dict[str, Callable[[], str | None]] = {"live": why_not_live, "oracle": why_not_oracle}
_outcomes: dict[str, Counter[str]] = {marker: Counter() for marker in NEEDS}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in NEEDS:
            if ROOT / "tests" / marker in item.path.parents and item.get_closest_marker(marker) is None:
                item.add_marker(marker)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Not xdist's groups: pytest 9.2 has no `_nodeid`, by which xdist 3.8 hands them on."""
    from xdist.scheduler import LoadScopeScheduling

    class LiveAndFiles(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "live" if file.startswith("tests/live/") else file

    return LiveAndFiles(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, why_not in NEEDS.items():
        reason = why_not() if item.get_closest_marker(marker) else None
        if reason:
            pytest.skip(f"{marker}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    markers = [marker for marker in NEEDS if item.get_closest_marker(marker)]
    if markers and report.skipped and REQUIRE_ALL and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, but here every {'/'.join(markers)} test must run: {reason}"
    report.needs = markers
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counted where all reports arrive: a worker has only its own."""
    if report.when == "call" or report.outcome != "passed":
        for marker in getattr(report, "needs", ()):  # a worker that died reports without
            _outcomes[marker][report.outcome] += 1


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file that skips itself (`importorskip`, a skip at module level) has no test to report on."""
    report = yield
    if report.skipped and REQUIRE_ALL and {ROOT / "tests" / marker for marker in NEEDS} & set(collector.path.parents):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skips itself, but here every test of its folder must run"
    return report


def _is_full_run(config: pytest.Config) -> bool:
    narrowed = any(config.getoption(name, None) for name in ("keyword", "markexpr", "collectonly", "lf", "deselect"))
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS or config.args == ["tests"]
    return everything and not narrowed


def _never_ran(config: pytest.Config) -> list[str]:
    """Markers of which not one test ran although the run should have had them."""
    if not (REQUIRE_ALL and _is_full_run(config)) or hasattr(config, "workerinput"):
        return []
    return [marker for marker, outcomes in _outcomes.items() if not outcomes["passed"] + outcomes["failed"]]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and _never_ran(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for marker, outcomes in _outcomes.items():
        reason = NEEDS[marker]() if outcomes else None
        counts = ", ".join(f"{outcomes[name]} {name}" for name in ("passed", "failed", "skipped"))
        terminalreporter.write_line(f"{marker + ' tests:':<14} {counts}{f' ({reason})' if reason else ''}")
    for marker in _never_ran(config):
        terminalreporter.write_line(f"FAILED: no {marker} test ran, and here they must", red=True)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """`../shared/corpus`: real captures with tshark's answers, read in place."""
    path = SHARED / "corpus"
    if not (path / "MANIFEST.tsv").is_file():
        (pytest.fail if REQUIRE_ALL else pytest.skip)("needs the captures of ../shared/corpus")
    return path


@pytest.fixture
def called(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `sniffkit …` in this process; gives exit code, stdout and stderr."""
    from commandline import run

    return functools.partial(run, capfd)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[Browser, None, None]:
    """A browser of the module's tests."""
    from webpage import Browser

    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with `tests/golden/NAME`; `make golden` writes it anew instead (never in CI)."""

    def compare(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if UPDATE_GOLDEN and not REQUIRE_ALL:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        if not path.is_file():
            pytest.fail(f"tests/golden/{name} is missing: run `make golden` and read what it wrote")
        assert text == path.read_text(), f"differs from tests/golden/{name}; if that is right: make golden"

    return compare
