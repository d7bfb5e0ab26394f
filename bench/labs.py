"""A line of namespaces joined by veth pairs: as a lab file, and as what `ip -batch` takes for the same."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from bench.inputs import DATA, NoInput


def line(length: int) -> tuple[Path, Path, Path, Path]:
    """The lab file, the batch of the same, the batch of namespaces and links alone, and the batch that removes them.

    A batch cannot set addresses in another namespace but by `netns exec`, which starts a process each time.
    """
    if shutil.which("ip") is None or os.geteuid() != 0:
        raise NoInput("making namespaces needs ip and root")
    names = [f"skline{os.getpid()}n{number}" for number in range(length)]
    lab, make, configure = ["links:"], [f"netns add {name}" for name in names], []
    for number, (left, right) in enumerate(itertools.pairwise(names)):
        net = f"10.{200 + number // 256}.{number % 256}"
        lab.append(f"  - {{{left}/r: {net}.1/24, {right}/l: {net}.2/24}}")
        make.append(f"link add name r netns {left} type veth peer name l netns {right}")
        for name, end, host in ((left, "r", 1), (right, "l", 2)):
            configure.append(f"netns exec {name} ip address add {net}.{host}/24 dev {end}")
            configure.append(f"netns exec {name} ip link set dev {end} up")
    configure += [f"netns exec {name} ip link set dev lo up" for name in names]
    paths = tuple(DATA / name for name in ("line.yaml", "line.batch", "links.batch", "remove.batch"))
    texts = (lab, [*make, *configure], make, [f"netns del {name}" for name in names])
    for path, lines in zip(paths, texts, strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths[0], paths[1], paths[2], paths[3]
