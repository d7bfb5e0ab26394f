"""Capture filters against tcpdump, on the reference captures of every link type but Ethernet: how many frames match."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sniffkit import _core
from sniffkit.errors import FilterError

pytestmark = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")

FILTERS = [
    "ip",
    "ip6",
    "tcp",
    "not udp port 53",
    "port 80 or vlan",
    "less 100",
    "ip protochain 17 or ip6 protochain 58",
]
# Where the header in front of the link header is not kept, that libpcap wants.
OTHER = {"tcpdump--atm-heapoverflow.pcap": "SunATM's header"}


def ours(path: Path, expression: str) -> int | str:
    """How many frames match; or why none can."""
    try:
        text = _core.read_text([str(path)], "fields", fields=["frame.number"], filter=expression)
        return sum(piece.count("\n") for piece in text)
    except FilterError as error:
        return str(error)


def test_as_many_frames_match_as_in_tcpdump(corpus: Path) -> None:
    links: dict[str, int] = {}
    compared = refused = 0
    different = []
    for path in sorted((corpus / "captures").iterdir()):
        for expression in FILTERS:
            command = ["tcpdump", "-n", "--count", "-r", str(path), expression]
            run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            link = run.stderr.partition("link-type ")[2].partition(" ")[0]
            why = run.stderr.splitlines()[-1].removeprefix("tcpdump: ")
            if link in ("", "EN10MB") or "pcap_loop: " in why or path.name in OTHER:
                break  # no capture for tcpdump, or not to its end
            got = ours(path, expression)
            if run.returncode == 0:
                same = got == int(run.stdout.split()[0])
                compared += 1
            else:
                same = isinstance(got, str) and got.startswith(f'bad filter "{expression}": {why}')
                refused += 1
            links[link] = links.get(link, 0) + 1
            if not same:
                different.append((path.name, expression, run.stdout.strip() or why, got))
    print(f"\n{compared} counts and {refused} refusals are tcpdump's: {links}")
    assert different == []
    assert min(compared, refused, links["NULL"], links["LINUX_SLL"], links["RAW"]) > 20
