"""`make check`: format, lint, types and stubs. Runs every check even when one fails, then says which failed.

    scripts/check.py [--fix] [NAME …]

`--fix` rewrites what the formatters and ruff can mend, and stops there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
TYPED = ("sniffkit", "scripts", "bench")
LOCKED = ["--locked"] if os.environ.get("CI") == "true" else []
STUBTEST = [
    "--mypy-config-file",
    "pyproject.toml",
    "--allowlist",
    "scripts/stubtest-allowlist.txt",
    "--ignore-unused-allowlist",
]
RUST = ["--manifest-path", "rust/Cargo.toml"]

# name -> command; run in this order, the quick ones first
CHECKS: dict[str, list[str]] = {
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check"],
    "ruff": [PYTHON, "-m", "ruff", "check"],
    "rustfmt": ["cargo", "fmt", *RUST, "--all", "--check"],
    "rustfmt fuzz": ["cargo", "fmt", "--manifest-path", "rust/fuzz/Cargo.toml", "--check"],
    "mypy": [PYTHON, "-m", "mypy", "--strict", *TYPED],
    "stubs": [PYTHON, "-m", "mypy.stubtest", "sniffkit._core", *STUBTEST],
    "clippy": ["cargo", "clippy", *RUST, *LOCKED, "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
    "rustdoc": ["cargo", "doc", *RUST, *LOCKED, "--workspace", "--no-deps", "--document-private-items", "--quiet"],
}
FIXES: dict[str, list[str]] = {
    "ruff": [PYTHON, "-m", "ruff", "check", "--fix"],
    "ruff format": [PYTHON, "-m", "ruff", "format"],
    "rustfmt": ["cargo", "fmt", *RUST, "--all"],
    "rustfmt fuzz": ["cargo", "fmt", "--manifest-path", "rust/fuzz/Cargo.toml"],
}


def add_rust_components() -> None:
    """rustup's minimal profile has neither rustfmt nor clippy."""
    missing = [name for name, tool in (("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")) if not shutil.which(tool)]
    if not missing:
        return
    print(f"check: {' and '.join(missing)} missing: rustup component add {' '.join(missing)}", flush=True)
    if shutil.which("rustup"):
        subprocess.run(["rustup", "component", "add", *missing], check=False)


def has_module() -> bool:
    """Whether rust/py defines the module that the stubs describe; until it does there is nothing to compare."""
    return any("#[pymodule]" in path.read_text() for path in (ROOT / "rust" / "py" / "src").rglob("*.rs"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(CHECKS)}")
    parser.add_argument("--fix", action="store_true", help="rewrite sources instead of checking them")
    options = parser.parse_args()
    commands = FIXES if options.fix else CHECKS
    unknown = set(options.names) - set(commands)
    if unknown:
        parser.error(f"no check named {', '.join(sorted(unknown))}; there are: {', '.join(commands)}")
    add_rust_components()
    env = {**os.environ, "RUSTDOCFLAGS": "-D warnings"}
    failed: list[str] = []
    for name in options.names or commands:
        if name == "stubs" and not (ROOT / "sniffkit" / "_core.pyi").exists():
            # stubtest passes a module that has no stubs at all.
            if has_module():
                failed.append(name)
            print(
                f"check: stubs        sniffkit/_core.pyi is missing{'' if has_module() else ', and so is its module'}"
            )
            continue
        start = time.monotonic()
        code = subprocess.run(commands[name], cwd=ROOT, env=env, check=False).returncode
        print(f"check: {name:<13}{'ok' if code == 0 else 'FAILED'} ({time.monotonic() - start:.1f} s)", flush=True)
        if code != 0:
            failed.append(name)
    if failed:
        again = " ".join(f'"{name}"' for name in failed)
        print(f"check: failed: {', '.join(failed)}; again: {sys.executable} scripts/check.py {again}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
