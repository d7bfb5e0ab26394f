"""A line of namespaces joined by veth pairs: as a lab file, and as what `ip -batch` takes for the same."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from bench.inputs import DATA, NoInput


class Line(NamedTuple):
    """Files that make the same line of namespaces, and one that removes them.

    lab: the lab file. batch: one batch of all; it sets addresses in another namespace by `netns exec`, which starts a
    process for each. nested: the quickest that ip offers for the same end, a batch that starts one batch in each
    namespace. links: namespaces and cables alone, no addresses, nothing up: all that one ip does by itself.
    """

    lab: Path
    batch: Path
    nested: Path
    links: Path
    removal: Path


def line(length: int) -> Line:
    """Write the files below bench/data."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        raise NoInput("making namespaces needs ip and root")
    names = [f"skline{os.getpid()}n{number}" for number in range(length)]
    lab, make = ["links:"], [f"netns add {name}" for name in names]
    inside = {name: ["link set dev lo up"] for name in names}
    for number, (left, right) in enumerate(itertools.pairwise(names)):
        net = f"10.{200 + number // 256}.{number % 256}"
        lab.append(f"  - {{{left}/r: {net}.1/24, {right}/l: {net}.2/24}}")
        make.append(f"link add name r netns {left} type veth peer name l netns {right}")
        for name, end, host in ((left, "r", 1), (right, "l", 2)):
            inside[name] += [f"address add {net}.{host}/24 dev {end}", f"link set dev {end} up"]
    found = Line(*(DATA / f"line.{name}" for name in ("yaml", "batch", "nested.batch", "links.batch", "remove.batch")))
    folder = DATA / "line.inside"
    folder.mkdir(exist_ok=True)
    for name, lines in inside.items():
        _write(folder / name.removeprefix(f"skline{os.getpid()}"), lines)
    each = [f"netns exec {name} ip {words}" for name, lines in inside.items() for words in lines]
    starts = [f"netns exec {name} ip -batch {folder / f'n{number}'}" for number, name in enumerate(names)]
    _write(found.lab, lab)
    _write(found.batch, [*make, *each])
    _write(found.nested, [*make, *starts])
    _write(found.links, make)
    _write(found.removal, [f"netns del {name}" for name in names])
    return found


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
