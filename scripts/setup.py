#!/usr/bin/env python3
"""Get this machine ready for one of the Makefile's targets, and say what is done on the way.

    scripts/setup.py [build|demo|test|bench|fuzz]

Four steps; each looks first and does only what is missing, so a second run takes well under a second:

1. Debian packages of the target (table PACKAGES), by apt-get. Without root, or off Debian, the missing ones are named
   with the command that installs them; the run goes on unless the target cannot work at all without one (`demo`: root).
2. `.venv` with the Python dependencies of pyproject.toml, at the versions of scripts/constraints.txt.
3. The Rust core, built by maturin into `sniffkit/_core*.so`; `.venv/bin/sniffkit` is there from then on.
4. Only for `bench` and `fuzz`: the peers from PyPI, and cargo-fuzz, under `.tools/`.

Nothing outside the project directory is changed except by apt-get. Standard library only.
Environment: CI=true builds with `--locked`; PYTHON is what `make` runs this script with.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
DEPS_STAMP = VENV / ".sniffkit-dependencies"
CORE_STAMP = VENV / ".sniffkit-core"
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
NFSTREAM = "nfstream==6.6.0"
ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # not on an ordinary user's PATH


class Package(NamedTuple):
    """A Debian package, and what shows that it is there."""

    name: str
    proof: str  # a command, a path, "lib*.so*" for the loader, or "python:MODULE"
    why: str
    targets: str  # which targets install it; "build" is part of every target
    vital: str = ""  # which targets cannot go on without it


# Packages that start a service when installed are left out where there is another (dnsmasq-base instead of dnsmasq);
# apt_install keeps the others from starting it.
PACKAGES = (
    Package("python3-venv", "python:ensurepip", "makes .venv", "build", vital="build"),
    Package("gcc", "cc", "links the Rust core", "build", vital="build"),
    Package("libc6-dev", "/usr/include/stdio.h", "builds zstd for the Rust core", "build", vital="build"),
    Package("iproute2", "ip", "network namespaces and interfaces", "demo test bench", vital="demo"),
    Package("libpcap0.8", "libpcap.so.0.8", "compiles capture filters", "demo test bench", vital="demo"),
    Package("tcpdump", "tcpdump", "reads what sniffkit wrote; peer of the benchmarks", "demo test bench"),
    Package("tshark", "tshark", "display filters; the oracle of the tests", "demo test bench"),
    Package("nmap", "nmap", "sniffkit scan", "demo test"),
    Package("nftables", "nft", "NAT and firewalls of labs", "demo test"),
    Package("dnsmasq-base", "dnsmasq", "DNS and DHCP of labs", "demo test", vital="demo"),
    Package("iputils-ping", "ping", "test traffic", "demo test", vital="demo"),
    Package("curl", "curl", "test traffic", "demo test bench", vital="demo"),
    Package("mount", "mount", "a resolver of its own for the demo's client", "demo test", vital="demo"),
    Package("udhcpc", "udhcpc", "DHCP clients of labs", "test"),
    Package("dropbear-bin", "dropbear", "SSH of labs", "test"),
    Package("user-mode-linux", "linux.uml", "a kernel with the link kinds that this one may lack", "test"),
    Package("kmod", "modprobe", "loads the modules of that kernel", "test"),
    Package("librsvg2-bin", "rsvg-convert", "drawings of labs as PNG", "test"),
    Package("ethtool", "ethtool", "offloads of lab interfaces", "test bench"),
    Package("tcpreplay", "tcpreplay", "load for live captures", "test bench"),
    Package("chromium", "chromium", "runs the web page of sniffkit ui", "test"),
    Package("git", "git", "lists the project's files for its own checks", "test"),
    Package("softflowd", "softflowd", "peer of the benchmarks", "bench"),
    Package("argus-server", "argus", "peer of the benchmarks", "bench"),
    Package("nginx-light", "nginx", "serves web traffic", "test bench"),
    Package("tcpflow", "tcpflow", "peer of the benchmarks", "bench"),
    Package("g++", "c++", "builds libFuzzer", "fuzz", vital="fuzz"),
)


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def fail(text: str) -> NoReturn:
    print(f"setup: {text}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def run(command: list[str], env: dict[str, str] | None = None) -> bool:
    """Run a command with its output shown; its environment is ours plus `env`."""
    try:
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, check=False).returncode == 0
    except FileNotFoundError:
        return False


# Step 1: Debian packages


def find_command(name: str) -> str | None:
    """The path of a command, looking also where only root's PATH leads."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":" + ADMIN_PATH)


def proven(package: Package) -> bool:
    """Whether what a package is wanted for is there, whoever put it there."""
    if package.proof.startswith("python:"):
        return (
            subprocess.run([sys.executable, "-c", f"import {package.proof[7:]}"], capture_output=True).returncode == 0
        )
    if package.proof.startswith("/"):
        return os.path.exists(package.proof)
    if ".so" in package.proof:
        try:
            ctypes.CDLL(package.proof)
        except OSError:
            return False
        return True
    return find_command(package.proof) is not None


def missing_packages(target: str) -> list[Package]:
    """The packages of a target that are not there."""
    wanted = [package for package in PACKAGES if {"build", target} & set(package.targets.split())]
    if venv_is_whole():
        wanted = [package for package in wanted if package.name != "python3-venv"]
    return [package for package in wanted if not proven(package)]


def apt_install(names: list[str]) -> bool:
    """Install Debian packages; refreshes apt's lists only when there are none, or when they are out of date."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *names]
    update = ["apt-get", "update", "-qq"]
    with no_services():
        if not list(Path("/var/lib/apt/lists").glob("*_Packages*")):
            run(update, quiet)
        elif run(install, quiet):
            return True
        else:
            run(update, quiet)
        return run(install, quiet)


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Nothing that is installed meanwhile starts a service: invoke-rc.d asks this program, unless one is there."""
    policy = Path("/usr/sbin/policy-rc.d")
    try:
        with policy.open("x") as file:
            file.write("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        policy.unlink()


def install_packages(target: str) -> None:
    missing = missing_packages(target)
    if missing:
        missing = install(target, missing)
    for package in missing:
        say(f"  missing {package.name}: {package.why}")
    vital = [package.name for package in missing if {"build", target} & set(package.vital.split())]
    if target == "demo" and os.geteuid() != 0:
        vital.insert(0, "root, for network namespaces (sudo make demo)")
    if vital:
        fail(f"`make {target}` cannot go on without: {', '.join(vital)}")


def install(target: str, missing: list[Package]) -> list[Package]:
    """Install what is missing, or say how; returns what still is."""
    names = [package.name for package in missing]
    by_hand = "apt-get update && apt-get install -y --no-install-recommends " + " ".join(names)
    if find_command("apt-get") is None:
        say(f"not Debian: please install what Debian calls {' '.join(names)}")
    elif os.geteuid() != 0:
        say(f"not root, so not installed: {' '.join(names)}")
        say(f"as root: {by_hand}")
    else:
        say(f"Debian packages: {' '.join(names)}")
        if not apt_install(names):
            say(f"apt-get failed; by hand: {by_hand}")
        return missing_packages(target)
    return missing


# Step 2: Python


def venv_is_whole() -> bool:
    """False also when making .venv was interrupted, or the Python it was made with is gone or not for this user."""
    return all(os.path.exists(VENV / "bin" / name) for name in ("python", "pip"))


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fresh(stamp: Path, key: str) -> bool:
    try:
        return stamp.read_text() == key
    except OSError:
        return False


def requirements() -> list[str]:
    """The dependencies that pyproject.toml declares, those for development included."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def install_python() -> None:
    python = VENV / "bin" / "python"
    if not venv_is_whole():
        say(f"Python environment in .venv ({sys.executable})")
        if not run([sys.executable, "-m", "venv", "--clear", str(VENV)]):
            shutil.rmtree(VENV, ignore_errors=True)
            fail(f"{sys.executable} cannot make .venv; Debian: apt-get install python3-venv, then again")
    key = digest([(ROOT / "pyproject.toml").read_text(), CONSTRAINTS.read_text()])
    if fresh(DEPS_STAMP, key):
        return
    say("Python packages of pyproject.toml into .venv")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if not run([*pip, "-c", str(CONSTRAINTS), *requirements()]):
        fail("pip could not install the Python packages (see above)")
    DEPS_STAMP.write_text(key)


# Step 3: the Rust core


def find_cargo() -> str:
    """The path of a cargo that is new enough for rust/Cargo.toml, on PATH or where rustup puts it."""
    import tomllib

    cargo = find_command("cargo") or shutil.which(Path.home() / ".cargo" / "bin" / "cargo")
    needed = str(tomllib.loads((ROOT / "rust" / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"])
    if cargo is None:
        fail(f"cargo is missing: install Rust {needed} or newer from https://rustup.rs")
    found = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = found[1].split("-")[0] if len(found) > 1 else "0"
    if tuple(map(int, version.split("."))) < tuple(map(int, needed.split("."))):
        fail(f"cargo {version} is too old: Rust {needed} or newer is needed, from https://rustup.rs")
    return cargo


def rust_sources() -> list[Path]:
    """Every file that the built core depends on."""
    rust = ROOT / "rust"
    crates = [path for path in rust.iterdir() if path.is_dir() and path.name not in ("target", "fuzz")]
    files = [path for crate in crates for path in crate.rglob("*.rs") if crate / "tests" not in path.parents]
    return sorted(
        [
            *files,
            *(crate / "Cargo.toml" for crate in crates),
            rust / "Cargo.toml",
            rust / "Cargo.lock",
            ROOT / "pyproject.toml",
        ]
    )


def core_key() -> str:
    """What changes when a file changes that the core is built from."""
    sources = ((path, path.stat()) for path in rust_sources() if path.exists())
    return digest(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in sources)


def core_is_built() -> bool:
    there = list((ROOT / "sniffkit").glob("_core*.so")) and (VENV / "bin" / "sniffkit").exists()
    return bool(there) and fresh(CORE_STAMP, core_key())


def build_core() -> None:
    if core_is_built():
        return
    say("Rust core (maturin develop --release; minutes the first time)")
    maturin = shutil.which(VENV / "bin" / "maturin") or shutil.which("maturin")
    if maturin is None:
        fail("maturin is not in .venv although pyproject.toml asks for it: remove .venv and try again")
    path = f"{Path(find_cargo()).parent}:{os.environ.get('PATH', os.defpath)}"
    env = {"VIRTUAL_ENV": str(VENV), "PATH": path, "PIP_QUIET": "1"}
    locked = ["--locked"] if os.environ.get("CI") == "true" else []
    built = core_key()  # before the build: a source that changes meanwhile is built again next time
    if not run([maturin, "develop", "--release", *locked], env):
        fail("the Rust core could not be built (see above)")
    CORE_STAMP.write_text(built)


def compile_python() -> None:
    """The package's bytecode, as pip makes it for packages that it installs. An editable install leaves it to the first
    run, and with PYTHONDONTWRITEBYTECODE every command would compile its modules anew (a fifth of its start).
    """
    run([str(VENV / "bin" / "python"), "-m", "compileall", "-q", str(ROOT / "sniffkit")])


# Step 4: what only some targets need


def install_nfstream() -> None:
    """NFStream in an environment of its own: it pins versions that sniffkit does not share."""
    python = TOOLS / "nfstream" / "bin" / "python"
    stamp = TOOLS / "nfstream" / ".stamp"
    if fresh(stamp, NFSTREAM):
        return
    say(f"{NFSTREAM} into .tools/nfstream (peer of the benchmarks)")
    made = run([sys.executable, "-m", "venv", str(TOOLS / "nfstream")])
    if made and run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", NFSTREAM]):
        stamp.write_text(NFSTREAM)
    else:
        say("NFStream could not be installed; its rows of the benchmark will say so")


def install_cargo_fuzz() -> None:
    if find_command("cargo-fuzz") or (TOOLS / "bin" / "cargo-fuzz").exists():
        return
    say("cargo-fuzz into .tools/bin (about two minutes, once)")
    if not run([find_cargo(), "install", "cargo-fuzz", "--locked", "--quiet", "--root", str(TOOLS)]):
        fail("cargo-fuzz could not be installed (see above)")


def main(arguments: list[str]) -> int:
    target = arguments[0] if arguments else "build"
    if len(arguments) > 1 or target not in ("build", "demo", "test", "bench", "fuzz"):
        fail("usage: scripts/setup.py [build|demo|test|bench|fuzz]")
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever python3 the machine has
        fail(f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.11 …")
    start = time.monotonic()
    install_packages(target)
    if not os.access(ROOT, os.W_OK):
        fail(f"{ROOT} is not writable by this user")
    if target != "demo" or not core_is_built():  # before the long steps; `sudo make demo` finds no user's cargo
        find_cargo()
    install_python()
    build_core()
    compile_python()
    if target == "bench":
        install_nfstream()
    if target == "fuzz":
        install_cargo_fuzz()
    say(f"ready for {target} ({time.monotonic() - start:.1f} s)")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
