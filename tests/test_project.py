"""Rules of the project that a program can check: sizes, names, what tracked files must not hold, one version."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 450
MAX_DECISION_LINES = 16
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
# Modules that extend a package: nothing else imports them before it is loaded.
EXTENDS = {
    "sniffkit/accessor.py": {"pandas"},
    "sniffkit/polarsaccessor.py": {"polars"},
    "sniffkit/pysharkcapture.py": {"pyshark"},
}
HEAVY = {"pyarrow", "pandas", "polars", "duckdb", "scapy", "pyroute2", "pyshark", "nmap", "numpy"}
# Paths of somebody's machine; a system path such as /usr/sbin or /run/netns is none.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b|\b(?:todo|unimplemented)!")


@cache
def listed() -> list[Path]:
    """What git knows, and what it would add."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a clone: {error}")
    return [ROOT / name for name in names if name]


def tracked() -> list[Path]:
    """The files among it."""
    return [path for path in listed() if path.is_file()]


def sources(*suffixes: str) -> list[Path]:
    found = [path for path in tracked() if path.suffix in suffixes]
    assert found
    return found


def text_files() -> list[tuple[Path, str]]:
    texts = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data and path != Path(__file__):
            texts.append((path, data.decode(errors="replace")))
    return texts


def test_no_source_file_is_too_long() -> None:
    lengths = {path.relative_to(ROOT): path.read_text().count("\n") for path in sources(".py", ".rs", ".pyi")}
    assert {str(path): lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone, and collects neither of two."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_is_named_vaguely() -> None:
    assert [str(p.relative_to(ROOT)) for p in sources(".py", ".rs") if VAGUE & {p.stem, p.parent.name}] == []


@pytest.mark.parametrize("pattern", [MACHINE_PATH, UNFINISHED], ids=["machine path", "unfinished"])
def test_no_tracked_file_holds(pattern: re.Pattern[str]) -> None:
    found = []
    for path, text in text_files():
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_links_stay_within_the_project() -> None:
    """One that leads elsewhere leads to where one machine keeps something."""
    links = [path for path in listed() if path.is_symlink()]
    away = [
        path
        for path in links
        if path.readlink().is_absolute() or ROOT not in (path.parent / path.readlink()).resolve().parents
    ]
    assert (len(links) > 0, away) == (True, [])


def test_one_version_everywhere() -> None:
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    rust = tomllib.loads((ROOT / "rust" / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    package = re.search(r'^__version__ = "(.+)"$', (ROOT / "sniffkit" / "__init__.py").read_text(), re.MULTILINE)
    assert package is not None
    assert python == rust == package[1]


def test_the_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def imported_at_load(tree: ast.Module) -> set[str]:
    """Top-level packages that a module imports when it is loaded; `if TYPE_CHECKING:` blocks do not count."""
    names: set[str] = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))
    return names


def test_what_counts_as_imported_at_load() -> None:
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import pandas\ndef f():\n  import scapy.all\n"
    assert imported_at_load(ast.parse(late)) == {"typing"}
    early = "try:\n  import pandas\nexcept ImportError:\n  pass\nclass C:\n  from pyarrow.parquet import x\n"
    assert imported_at_load(ast.parse(early)) == {"pandas", "pyarrow"}


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    package = [path for path in sources(".py") if ROOT / "sniffkit" in path.parents]
    early = {str(path.relative_to(ROOT)): imported_at_load(ast.parse(path.read_text())) & HEAVY for path in package}
    assert {path: names for path, names in early.items() if names - EXTENDS.get(path, set())} == {}
    inner = {
        path: re.findall(r"^(?:import|from) (sniffkit\.\w+)", (ROOT / path).read_text(), re.MULTILINE) for path in early
    }
    extensions = {path.removesuffix(".py").replace("/", ".") for path in EXTENDS}
    assert {path: names for path, names in inner.items() if extensions & set(names)} == {}


def test_unsafe_code_stays_in_the_capture_crate() -> None:
    assert "#![forbid(unsafe_code)]" in (ROOT / "rust" / "core" / "src" / "lib.rs").read_text()
    outside = [p for p in sources(".rs") if ROOT / "rust" / "capture" not in p.parents]
    unsafe = re.compile(r"^(?!\s*//).*\bunsafe\s*(?:\{|fn|impl|extern)", re.MULTILINE)
    assert [str(path.relative_to(ROOT)) for path in outside if unsafe.search(path.read_text())] == []


def test_decisions_are_numbered_and_short() -> None:
    decisions = sorted(path for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md")
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    numbers = [path.name[:4] for path in decisions]
    assert numbers == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        assert len(path.read_text().splitlines()) <= MAX_DECISION_LINES, path.name
        assert f"({path.name})" in index, f"docs/decisions/README.md does not list {path.name}"


def test_fuzz_targets_are_found_by_their_files() -> None:
    link = ROOT / "rust" / "fuzz" / "src" / "bin"
    assert link.is_symlink()
    assert link.readlink() == Path("../fuzz_targets")
    assert "[[bin]]" not in (ROOT / "rust" / "fuzz" / "Cargo.toml").read_text()
