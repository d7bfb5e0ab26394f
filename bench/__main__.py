"""Measure sniffkit against its peers, in turn within one run (A B A B …), and print medians and ratios.

Whole processes are measured: wall and CPU seconds, peak resident size. Inputs are in the page cache. Machines are
shared and noisy: read ratios rather than seconds, and CPU beside wall.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.cases import CASES, OUT, Case, Contender, Target
from bench.inputs import DATA, NoInput, into_page_cache
from bench.live import breaking_rate, under_load
from bench.measure import Cost, RunFailed, measure, median


def run_case(case: Case, contenders: list[Contender], rounds: int) -> tuple[dict[str, Cost], dict[str, str]]:
    """Medians by contender, and for those that failed the reason."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    failed: dict[str, str] = {}
    words = {word for contender in contenders for word in contender.command if word.endswith(".pcap")}
    inputs = {Path(path) for word in words for path in glob.glob(str(DATA / word))}
    for path in sorted(inputs | {contender.load for contender in contenders if contender.load is not None}):
        into_page_cache(path)
    for number in range(rounds):
        for contender in in_turn(contenders, number):
            if contender.name in failed:
                continue
            if sys.stderr.isatty():
                print(
                    f"\r\033[Kbench: {case.name} round {number + 1} {contender.name}",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
            try:
                costs[contender.name].append(run_contender(case, contender))
            except RunFailed as error:
                failed[contender.name] = str(error)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return {name: median(runs) for name, runs in costs.items() if name not in failed}, failed


def in_turn(contenders: list[Contender], number: int) -> list[Contender]:
    """The order of a round: each is first once, and not always behind the same one.

    Behind one that took long, or much memory, a process is slower: the kernel still gives that memory back. In order
    0, 1, n - 1, 2, n - 2, … (E. J. Williams, 1949), a step further each round, each has several before it.
    """
    count = len(contenders)
    zigzag = [(at + 1) // 2 if at % 2 else -(at // 2) for at in range(count)]
    return [contenders[(at + number) % count] for at in zigzag]


def remove(out: Path) -> None:
    """What a run has written: a file, or the directory of a data set."""
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)


def run_contender(case: Case, contender: Contender) -> Cost:
    log = DATA / f"{case.name}.log"
    for part in contender.command:
        # To replace what the run before has written takes longer than to write it, and argus would go on behind it.
        if part.startswith(OUT):
            remove(Path(part))
    if contender.load is not None:
        return under_load(list(contender.command), contender.load, log)[0]
    cost = measure(contender.command, log)
    if contender.after:
        measure(contender.after, log)
    if not contender.startup:
        return cost
    fixed = measure(contender.startup, log)
    wall = fixed.wall + contender.scale * max(cost.wall - fixed.wall, 0.0)
    cpu = fixed.cpu + contender.scale * max(cost.cpu - fixed.cpu, 0.0)
    return Cost(wall, cpu, cost.rss)


def judge(target: Target, costs: dict[str, Cost]) -> tuple[str, bool | None]:
    """One line on a target, and whether it is met; None when it was not measured."""
    if target.of not in costs or (target.against and target.against not in costs):
        return f"{target.of} {target.figure}: not measured", None
    value = float(getattr(costs[target.of], target.figure))
    if not target.against and target.figure == "rss":
        return f"{target.of}: {value / 1e6:.0f} MB, at most {target.at_most / 1e6:.0f}", value <= target.at_most
    if not target.against:
        return (
            f"{target.of}: {target.figure} {value * 1000:.0f} ms, at most {target.at_most * 1000:.0f}",
            value <= target.at_most,
        )
    other = float(getattr(costs[target.against], target.figure))
    if target.figure == "lost":
        return f"{target.of}: {value:.0f} packets lost, {target.against} {other:.0f}", value <= other
    if target.at_most < 1:
        text = f"{other / value:.1f} × as fast as {target.against}, at least {1 / target.at_most:.3g}"
    else:
        text = f"{target.figure} {value / other:.2f} × that of {target.against}, at most {target.at_most}"
    return f"{target.of}: {text}", value <= target.at_most * other


def report(case: Case, base: str, costs: dict[str, Cost], failed: dict[str, str]) -> int:
    """Print a case, ratios against `base`; returns how many of its targets are missed or were not measured."""
    print(f"\n{case.name}: {case.title}")
    print(f"  {'':<14}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}{'wall ×':>10}")
    first = costs.get(base)
    for name, cost in costs.items():
        ratio = f"{cost.wall / first.wall:.2f}" if first else "-"
        print(f"  {name:<14}{cost.wall:>10.3f}{cost.cpu:>10.3f}{cost.rss / 1e6:>10.1f}{ratio:>10}")
    if any(cost.lost for cost in costs.values()):
        print(f"  packets lost: {', '.join(f'{name} {cost.lost:,}' for name, cost in costs.items())}")
    for name, reason in failed.items():
        print(f"  {name:<14}failed: {reason}")
    bad = 0
    for target in case.targets:
        text, met = judge(target, costs)
        bad += not met
        print(f"  {'met   ' if met else 'MISSED' if met is False else '-     '} {text}")
    return bad


def report_breaking_rates(case: Case, contenders: list[Contender]) -> None:
    """For live captures the rate from which each loses packets."""
    log = DATA / f"{case.name}.log"
    for contender in contenders:
        if contender.load is None:
            continue
        command, load = list(contender.command), contender.load
        try:
            words = breaking_rate(lambda speed: under_load(command, load, log, speed))  # noqa: B023
        except RunFailed as error:
            words = f"failed: {error}"
        print(f"  {contender.name:<14}{words}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {', '.join(names)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender (5)")
    parser.add_argument("--packets", type=int, default=1_000_000, help="size of the capture (1000000)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    if set(options.cases) - set(names):
        parser.error(f"no such case; there are: {', '.join(names)}")
    DATA.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}"
    print(f"{machine}; {options.packets:,} packets, medians of {options.rounds}")
    bad = 0
    results: dict[str, dict[str, dict[str, float]]] = {}
    for case in CASES:
        if options.cases and case.name not in options.cases:
            continue
        try:
            contenders = case.contenders(options.packets)
            costs, failed = run_case(case, contenders, options.rounds)
        except NoInput as error:
            print(f"\n{case.name}: {error}")
            bad += 1
            continue
        bad += report(case, contenders[0].name, costs, failed)
        report_breaking_rates(case, contenders)
        results[case.name] = {name: asdict(cost) for name, cost in costs.items()}
    stored = DATA / time.strftime("results-%Y%m%dT%H%M%SZ.json", time.gmtime())
    stored.write_text(json.dumps({"packets": options.packets, "rounds": options.rounds, "cases": results}, indent=1))
    print(f"\nkept in {stored.relative_to(DATA.parent.parent)}; {bad or 'no'} targets missed or not measured")
    return 1 if bad and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
