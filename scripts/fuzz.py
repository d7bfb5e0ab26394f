"""Fuzz targets: run each for a while from its kept corpus, or add what was found to that corpus.

    scripts/fuzz.py run [--seconds 60] [--jobs CORES] [TARGET …]
    scripts/fuzz.py keep [TARGET …]

A target is a file `rust/fuzz/fuzz_targets/NAME.rs`; a `NAME.dict` beside it is its dictionary. `corpus/NAME/` is kept
in git and only read by `run`; new inputs go to `found/NAME/`, failing ones to `artifacts/NAME/`.
`run` exits 1 when a target failed: a panic, an overflow, over 10 s for one input, or over 1 GiB of memory.
Only inputs that grew from the project's own seeds belong into the kept corpus, never pieces of other people's captures.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "rust" / "fuzz"
MAX_LEN = 65536  # longest input tried, bytes
KEEP_LEN = 4096  # longest input kept in git, bytes
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]


class Outcome(NamedTuple):
    """What became of one target's run."""

    target: str
    ok: bool
    line: str
    log: Path


def all_targets() -> list[str]:
    return sorted(path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs"))


def build() -> Path:
    """Build every target with coverage on the stable compiler; returns the folder of the binaries."""
    host = re.search(r"^host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)
    if host is None:
        raise SystemExit("fuzz: rustc -vV names no host")
    command = ["cargo", "fuzz", "build", "--sanitizer", "none", "--fuzz-dir", str(FUZZ), "--target", host[1]]
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{ROOT / '.tools' / 'bin'}"}
    subprocess.run(command, cwd=ROOT / "rust", env=env, check=True)
    return FUZZ / "target" / host[1] / "release"


def corpus(target: str) -> Path:
    """The kept corpus of a target; libFuzzer wants the folder to be there."""
    path = FUZZ / "corpus" / target
    path.mkdir(parents=True, exist_ok=True)
    return path


def last_number(text: str, key: str) -> int:
    """The number behind the last `key` of libFuzzer's log; 0 when there is none, as after a crash."""
    found = re.findall(rf"{key}:\s*(\d+)", text)
    return int(found[-1]) if found else 0


def run_target(binaries: Path, target: str, seconds: int) -> Outcome:
    found, artifacts = FUZZ / "found" / target, FUZZ / "artifacts" / target
    for path in (found, artifacts):
        path.mkdir(parents=True, exist_ok=True)
    dictionary = FUZZ / "fuzz_targets" / f"{target}.dict"
    command = [str(binaries / target), str(found), str(corpus(target)), f"-max_len={MAX_LEN}", *LIMITS]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/"]
    command += [f"-dict={dictionary}"] if dictionary.exists() else []
    log = FUZZ / "found" / f"{target}.log"
    with log.open("wb") as output:
        # A backtrace would push the panic's own line out of the end of the log; a rerun of the artifact gives one.
        env = {**os.environ, "RUST_BACKTRACE": "0"}
        code = subprocess.run(command, stdout=output, stderr=output, env=env, check=False).returncode
    text = log.read_text(errors="replace")
    runs, edges, new = (last_number(text, key) for key in ("executed_units", "cov", "new_units_added"))
    # libFuzzer also ends with 0 when it could not start: no run means no pass.
    return Outcome(target, code == 0 and runs > 0, f"{runs:>12,} runs {edges:>7,} edges {new:>6,} new inputs", log)


def run(targets: list[str], seconds: int, jobs: int) -> int:
    binaries = build()
    start = time.monotonic()
    print(f"fuzz: {len(targets)} targets, {seconds} s each, {jobs} at a time", flush=True)
    failed = []
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda target: run_target(binaries, target, seconds), targets):
            print(f"fuzz: {outcome.target:<16}{'ok    ' if outcome.ok else 'FAILED'} {outcome.line}", flush=True)
            if not outcome.ok:
                failed.append(outcome)
    for outcome in failed:
        tail = outcome.log.read_text(errors="replace").splitlines()[-25:]
        print(f"\nfuzz: {outcome.target} failed; the end of {outcome.log.relative_to(ROOT)}:", file=sys.stderr)
        print("\n".join(f"  {line}" for line in tail), file=sys.stderr)
    passed = len(targets) - len(failed)
    print(f"fuzz: {passed} passed, {len(failed)} failed in {time.monotonic() - start:.0f} s", flush=True)
    return 1 if failed else 0


def keep(targets: list[str]) -> int:
    """Replace each kept corpus by the smallest set that covers what it and the found inputs cover together."""
    binaries = build()
    for target in targets:
        kept, found, merged = corpus(target), FUZZ / "found" / target, FUZZ / "found" / f"{target}.merged"
        found.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(merged, ignore_errors=True)
        merged.mkdir()
        before = len(list(kept.iterdir()))
        command = [str(binaries / target), "-merge=1", f"-max_len={KEEP_LEN}", str(merged), str(kept), str(found)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Seeds written by hand have names; they stay, whatever the merge thinks of them.
        for path in kept.iterdir():
            if re.fullmatch(r"[0-9a-f]{40}", path.name):
                path.unlink()
        held = {path.read_bytes() for path in kept.iterdir()}
        for path in merged.iterdir():
            if path.read_bytes() not in held:
                shutil.copy(path, kept / path.name)
        shutil.rmtree(merged)
        size = sum(path.stat().st_size for path in kept.iterdir())
        print(f"fuzz: {target:<16}{before} inputs before, {len(list(kept.iterdir()))} now, {size:,} bytes", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "keep"))
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of rust/fuzz/fuzz_targets when none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time (cores)")
    options = parser.parse_intermixed_args()
    known = all_targets()
    unknown = set(options.targets) - set(known)
    if unknown:
        parser.error(f"no fuzz target {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    targets = options.targets or known
    if not targets:
        print("fuzz: rust/fuzz/fuzz_targets has no target", file=sys.stderr)
        return 1
    try:
        return run(targets, options.seconds, options.jobs) if options.action == "run" else keep(targets)
    except subprocess.CalledProcessError as error:
        print(f"fuzz: {' '.join(error.cmd[:3])} … exited {error.returncode}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
