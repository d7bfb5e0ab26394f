"""Packages that are not there: one line that says how to get them."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path

import pandas as pd
import pytest

import sniffkit.accessor  # noqa: F401 - gives frames their `.sk`
from sniffkit import checkup, cli
from sniffkit.errors import MissingToolError
from sniffkit.packages import EXTRAS, REQUIRED, needed
from sniffkit.remote import filesystem

ROOT = Path(__file__).resolve().parent.parent
DEMO = str(ROOT / "captures" / "demo" / "demo.pcapng")
Run = Callable[..., tuple[int, str, str]]


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if a package were not installed."""

    class Finder(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in list(sys.modules):
        if name.partition(".")[0] == module:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[><=]", one)[0] for one in requirements}


def test_they_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(REQUIRED.values()) == names(project["dependencies"])
    extras = project["optional-dependencies"]
    for module, package in EXTRAS.items():
        assert module in names(extras[package.partition("[")[2].rstrip("]")]), package
    assert {f"sniffkit[{name}]" for name in extras} == {*EXTRAS.values(), "sniffkit[dev]"}


@pytest.mark.parametrize("module", REQUIRED)
def test_a_command_says_it_in_one_line(module: str, called: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(arguments: list[str]) -> int:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(cli, "run", lacks)
    assert called("stats") == (2, "", f"sniffkit: {module} is not installed: pip install '{REQUIRED[module]}'\n")


@pytest.mark.parametrize("module", ["duckdb", "pyarrow"])
def test_what_a_query_needs(module: str, called: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, module)
    assert called("stats", DEMO) == (2, "", f"sniffkit: {module} is not installed: pip install '{module}'\n")


@pytest.mark.parametrize("name", ["sniffkit.nosuch", "pandas.nosuch", "nosuch", None])
def test_a_mistake_of_the_code_is_not_hidden(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(arguments: list[str]) -> int:
        raise ModuleNotFoundError("No module", name=name)

    monkeypatch.setattr(cli, "run", wrong)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["stats"])


@pytest.mark.parametrize("module", EXTRAS)
def test_an_extra_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, module)
    with pytest.raises(MissingToolError) as error:
        needed(module)
    assert str(error.value) == f"{module} is not installed: pip install '{EXTRAS[module]}'"


@pytest.mark.parametrize(
    ("said", "packages"),
    [
        ("Please install gcsfs to access Google Storage", "gcsfs"),
        ('SFTPFileSystem requires "paramiko" to be installed', "paramiko"),
        ('HTTPFileSystem requires "requests" and "aiohttp" to be installed', "requests aiohttp"),
    ],
)
def test_what_a_file_system_needs_is_named(said: str, packages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(_: str) -> None:
        raise ImportError(said)

    monkeypatch.setattr(pytest.importorskip("fsspec").core, "url_to_fs", lacks)
    with pytest.raises(MissingToolError) as error:
        filesystem("x://a")
    assert str(error.value) == f"x://a: {said}: pip install {packages}"


def test_pictures_need_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({
        "frame_number": [1], "ts": pd.to_datetime([0], utc=True), "frame_len": [60], "ip_src": "a", "ip_dst": "b",
    })  # fmt: skip
    without(monkeypatch, "matplotlib")
    for draw in (frame.sk.plot_timeline, frame.sk.plot_matrix, lambda: frame.sk.plot_top("ip_src")):
        with pytest.raises(MissingToolError, match=r"matplotlib is not installed: pip install 'sniffkit\[plot\]'"):
            draw()


def test_doctor_looks_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {row["what"]: row for row in checkup.packages()}
    assert set(found) == {*REQUIRED.values(), *EXTRAS}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    lacking = {row["what"]: row["remedy"] for row in checkup.packages()}
    assert lacking["matplotlib"] == "pip install 'sniffkit[plot]'"
    assert lacking["pyyaml"] == "pip install 'pyyaml'"
