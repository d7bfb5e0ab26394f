"""The ground the other live tests stand on: namespaces that can be made, joined, pinged and removed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest


def ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    names = (f"skbase{os.getpid()}a", f"skbase{os.getpid()}b")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "veth1", "type", "veth", "peer", "name", "veth2", "netns", names[1])
        for name, device, address in ((names[0], "veth1", "10.231.0.1/24"), (names[1], "veth2", "10.231.0.2/24")):
            ip("-n", name, "address", "add", address, "dev", device)
            ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_two_namespaces_reach_each_other(pair: tuple[str, str]) -> None:
    subprocess.run(
        ["ip", "netns", "exec", pair[0], "ping", "-c1", "-W5", "10.231.0.2"], check=True, capture_output=True
    )
    assert "10.231.0.2 dev veth1 lladdr" in ip("-n", pair[0], "neighbour", "show")


def test_a_namespace_sees_only_its_own_interfaces(pair: tuple[str, str]) -> None:
    assert "veth1" in ip("-n", pair[0], "link", "show")
    assert "veth1" not in ip("-n", pair[1], "link", "show")
