"""scripts/setup.py: what it says and does where something is missing. Nothing is installed here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, on a machine that lacks what `lacking` names and where nobody may install."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.delitem(sys.modules, "setup", raising=False)
    import setup

    monkeypatch.setattr(setup, "run", lambda *_: pytest.fail("nothing may be run"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return setup


def lack(monkeypatch: pytest.MonkeyPatch, setup: ModuleType, *names: str) -> None:
    assert {package.name for package in setup.PACKAGES} >= set(names)
    monkeypatch.setattr(setup, "proven", lambda package: package.name not in names)


def test_the_demo_without_root_names_root_and_vital_packages(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lack(monkeypatch, setup, "tshark", "dnsmasq-base")
    with pytest.raises(SystemExit) as stop:
        setup.install_packages("demo")
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.err.count("\n") == 1
    assert "root" in said.err
    assert "dnsmasq-base" in said.err
    assert "tshark" not in said.err, "the demo can do without"
    assert "apt-get install -y --no-install-recommends tshark dnsmasq-base" in said.out


def test_the_demo_needs_root_even_where_all_is_installed(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lack(monkeypatch, setup)
    with pytest.raises(SystemExit):
        setup.install_packages("demo")
    assert "root" in capsys.readouterr().err


def test_tests_go_on_without_what_only_some_need(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lack(monkeypatch, setup, "tshark", "softflowd")
    setup.install_packages("test")
    said = capsys.readouterr().out
    assert "missing tshark" in said
    assert "softflowd" not in said, "only the benchmarks' peer"


def test_nothing_goes_on_without_a_compiler(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    lack(monkeypatch, setup, "gcc")
    with pytest.raises(SystemExit):
        setup.install_packages("build")


def test_every_package_says_what_proves_it_and_why(setup: ModuleType) -> None:
    targets = {"build", "demo", "test", "bench", "fuzz"}
    for package in setup.PACKAGES:
        assert package.proof, package.name
        assert package.why, package.name
        assert set(package.targets.split()) <= targets
        assert set(package.vital.split()) <= set(package.targets.split()), package.name
