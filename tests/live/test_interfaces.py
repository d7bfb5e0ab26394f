"""`sniffkit interfaces` against `ip -d -j link` in real namespaces, and the other end of every veth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sniffkit.netlink import Interface, all_interfaces, run_in

NAMES = [f"skif{os.getpid()}{letter}" for letter in "abc"]


def ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def names() -> Iterator[list[str]]:
    """Three namespaces with a bridge, a VXLAN, pairs within and across, and equal names and indices everywhere."""
    a, b, c = NAMES
    try:
        for name in NAMES:
            ip("netns", "add", name)
        # The same indices on both pairs: only the namespace tells which end belongs to which.
        for left, right in ((a, b), (c, None)):
            other = ["netns", right] if right else []
            ip("-n", left, "link", "add", "veth1", "type", "veth", "peer", "name", "veth2", *other)
        ip("-n", a, "address", "add", "10.233.0.1/24", "dev", "veth1")
        ip("-n", a, "address", "add", "fd00:233::1/64", "dev", "veth1", "nodad")
        ip("-n", a, "link", "set", "veth1", "up")
        ip("-n", b, "link", "set", "veth2", "up", "mtu", "9000")
        ip("-n", a, "link", "add", "br0", "type", "bridge")
        ip("-n", a, "link", "add", "port1", "type", "veth", "peer", "name", "eth7", "netns", c)
        ip("-n", a, "link", "set", "port1", "master", "br0", "up")
        ip("-n", b, "link", "add", "vx77", "type", "vxlan", "id", "77", "dev", "veth2", "dstport", "4789")
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def of(name: str, found: list[Interface]) -> dict[str, Interface]:
    return {one.name: one for one in found if one.netns == name}


def test_every_interface_is_as_ip_says(names: list[str]) -> None:
    found = all_interfaces("all")
    for name in names:
        told: list[dict[str, Any]] = json.loads(ip("-n", name, "-d", "-j", "address"))
        ours = of(name, found)
        assert sorted(ours) == sorted(one["ifname"] for one in told)
        for one in told:
            mine = ours[one["ifname"]]
            info = one.get("linkinfo", {})
            assert mine.kind == info.get("info_kind", one["link_type"])
            assert mine.state == one["operstate"].lower()
            assert (mine.mac, mine.mtu, mine.index) == (one["address"], one["mtu"], one["ifindex"])
            assert mine.master == one.get("master")
            assert mine.vni == (info["info_data"]["id"] if mine.kind == "vxlan" else None)
            assert sorted(mine.addresses) == sorted(f"{i['local']}/{i['prefixlen']}" for i in one["addr_info"])


def test_each_veth_names_its_other_end(names: list[str]) -> None:
    a, b, c = names
    expected = {
        a: {"veth1": f"{b}/veth2", "port1": f"{c}/eth7"},
        b: {"veth2": f"{a}/veth1"},
        c: {"veth1": "veth2", "veth2": "veth1", "eth7": f"{a}/port1"},
    }
    everything = all_interfaces("all")
    for name, peers in expected.items():
        for found in (everything, all_interfaces(name)):
            assert {n: one.peer for n, one in of(name, found).items() if one.kind == "veth"} == peers


def test_a_namespace_of_two_names_is_one(names: list[str]) -> None:
    a, b, _ = names
    second = Path("/run/netns") / f"{b}-again"
    second.touch()
    try:
        subprocess.run(["mount", "--bind", f"/run/netns/{b}", second], check=True)
        assert of(a, all_interfaces(a))["veth1"].peer == f"{b}/veth2"
        everything = all_interfaces("all")
        assert of(a, everything)["veth1"].peer == f"{b}/veth2"
        assert of(second.name, everything) == {}
        inside = run_in(a, lambda: all_interfaces("all"))
        assert (of(a, inside), inside[0].netns) == ({}, None)
        assert {one.name: one.peer for one in inside if one.netns == b and one.kind == "veth"} == {"veth2": "veth1"}
    finally:
        subprocess.run(["umount", second], check=False)
        second.unlink()


def test_a_namespace_by_name_path_and_pid(names: list[str]) -> None:
    with subprocess.Popen(["ip", "netns", "exec", names[1], "sleep", "60"]) as process:
        try:
            for netns in (names[1], f"/run/netns/{names[1]}", str(process.pid)):
                found = {one.name for one in all_interfaces(netns)}
                assert found == {"lo", "veth2", "vx77"}
        finally:
            process.kill()


def test_a_namespace_without_a_name_is_called_by_a_pid() -> None:
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link add only0 type veth; echo; exec sleep 60"], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert any(one.name == "only0" and one.netns == str(process.pid) for one in all_interfaces("all"))
        finally:
            process.kill()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sniffkit", "interfaces", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command(names: list[str]) -> None:
    done = command("--netns", names[1], "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["netns"], row["name"], row["kind"], row["peer"], row["vni"]) for row in rows] == [
        (names[1], "lo", "loopback", None, None),
        (names[1], "veth2", "veth", f"{names[0]}/veth1", None),
        (names[1], "vx77", "vxlan", None, 77),
    ]
    done = command("--netns", "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sniffkit: no network namespace 'nosuch'; there are: ")
    assert names[0] in done.stderr


def test_without_the_privilege_one_line_says_which(names: list[str]) -> None:
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-m", "sniffkit"]
    done = subprocess.run([*without, "interfaces", "--netns", names[0]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "CAP_SYS_ADMIN" in done.stderr


def test_doctor_tries_the_kinds_or_says_why_not() -> None:
    def rows(*prefix: str) -> dict[str, dict[str, Any]]:
        line = [*prefix, sys.executable, "-m", "sniffkit", "doctor", "--json"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        found = [json.loads(text) for text in done.stdout.splitlines()]
        assert done.returncode == (0 if all(row["ok"] for row in found) else 1), done.stderr
        assert all(bool(row["remedy"]) != row["ok"] for row in found)
        return {row["what"]: row for row in found}

    privileged = rows()
    assert privileged["CAP_SYS_ADMIN"]["ok"]
    assert privileged["veth"]["found"] == "yes: made one in a new namespace"
    bare = rows("setpriv", "--bounding-set=-sys_admin,-net_raw", "--inh-caps=-sys_admin,-net_raw")
    assert not bare["CAP_SYS_ADMIN"]["ok"]
    assert "sudo setcap cap_net_raw" in bare["CAP_NET_RAW"]["remedy"]
    assert "not tried" in bare["veth"]["found"]
    left = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert "try0" not in left
    assert "base0" not in left
