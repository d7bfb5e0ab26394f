"""Interfaces of the machine itself: what a lab makes there goes, what it borrows comes back, all else is left alone.

In a namespace that plays the machine: `host` is where sniffkit runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import P, ip, netns, sniffkit, write

from sniffkit.lab.state import ROOT

M = f"{P}m"


@pytest.fixture(name="machine")
def the_machine() -> Iterator[str]:
    """The namespace, with phy0 to borrow."""
    ip("netns", "add", M)
    ip("-n", M, "link", "add", "phy0", "mtu", "1450", "type", "veth", "peer", "name", "far0")
    ip("-n", M, "link", "set", "phy0", "address", "02:00:00:00:00:aa")
    try:
        yield M
    finally:
        ip("netns", "del", M)


def there(*arguments: str) -> subprocess.CompletedProcess[str]:
    return sniffkit("lab", *arguments, prefix=("nsenter", f"--net=/run/netns/{M}"))


def interfaces() -> set[str]:
    return {one["ifname"] for one in json.loads(ip("-j", "-n", M, "link"))}


def shown(name: str) -> dict[str, Any]:
    return dict(json.loads(ip("-j", "-n", M, "address", "show", name))[0])


def test_an_interface_of_this_machine_comes_back(file: Path, machine: str) -> None:
    ip("-n", machine, "address", "add", "192.0.2.1/24", "dev", "phy0")
    ip("-n", machine, "link", "set", "phy0", "up")
    moved = {"kind": "physical", "address": "10.0.0.1/24", "mtu": 1300, "mac": "02:00:00:00:00:bb"}
    links = [{f"{P}a/phy0": moved}, {f"{P}a/v0": None, "host/v1": None}]
    done = there("up", write(file, links=links))
    assert done.returncode == 0, done.stderr
    assert "10.0.0.1/24" in ip("-n", f"{P}a", "-br", "address", "show", "phy0")
    assert interfaces() == {"lo", "far0", "v1"}
    shown_by_us = [json.loads(line) for line in there("show", f"{P}lab", "--json").stdout.splitlines()]
    assert [(one["node"], one["name"], one["state"]) for one in shown_by_us if one["name"] != "phy0"] == [
        (f"{P}a", "v0", "up"),
        ("host", "v1", "up"),
    ]
    done = there("up", write(file.with_name("x.yaml"), name=f"{P}x", links=[{f"{P}q/v": None, "host/v1": None}]))
    assert "interface v1 exists already on this machine" in done.stderr
    assert there("down", f"{P}lab").returncode == 0
    assert interfaces() == {"lo", "far0", "phy0"}
    back = shown("phy0")
    assert "192.0.2.1" in [one["local"] for one in back["addr_info"]]
    assert "UP" in back["flags"]
    assert (back["mtu"], back["address"]) == (1450, "02:00:00:00:00:aa")


ADDRESSES = (
    *("192.0.2.1/24 brd +", "192.0.2.2/24", "198.18.5.9 peer 198.18.5.10/32", "198.18.7.1/24 metric 77 label phy0:x"),
    *("198.18.8.1/24 noprefixroute", "198.18.9.1/24 valid_lft 1000 preferred_lft 500", "fe80::77/64 nodad"),
    *("2001:db8::1/64 nodad", "2001:db8::3/64 nodad", "2001:db8::2/64 nodad", "2001:db8:1::1 peer 2001:db8:1::2/128"),
    *("2001:db8:2::1/64 noprefixroute valid_lft 1000 preferred_lft 0", "198.18.10.1/24 valid_lft 1 preferred_lft 1"),
)


def test_its_addresses_come_back_as_they_were(file: Path, machine: str) -> None:
    """With peers, lifetimes, flags and metrics, in their order: IPv6 sends from the newest."""
    ip("-n", machine, "link", "set", "far0", "up")
    ip("-n", machine, "link", "set", "phy0", "up")
    for address in ADDRESSES:
        ip("-n", machine, "address", "add", *address.split(), "dev", "phy0")

    # Tentative for a second, as on any interface that comes up; indexes of interfaces are the kernel's.
    moving = re.compile(r"(valid_lft|preferred_lft|expires) \d+s(ec)?|^\d+:|proto kernel_ll| tentative")

    def said(what: str) -> list[str]:
        lines = [moving.sub("", line).strip() for line in ip("-n", machine, *what.split()).splitlines()]
        return [line for line in lines if line and "198.18.10." not in line]

    def everything() -> list[list[str]]:
        routes = sorted(said("route show dev phy0") + said("-6 route show dev phy0"))
        return [said("-d address show phy0"), routes, said("-6 route get 2001:db8::99")]

    before = everything()
    assert there("up", write(file, links=[{f"{P}a/phy0": {"kind": "physical"}}])).returncode == 0
    time.sleep(1.1)
    assert there("down", f"{P}lab").returncode == 0
    assert everything() == before
    left = {one["local"]: one["valid_life_time"] for one in shown("phy0")["addr_info"]}
    assert "198.18.10.1" not in left, "its lease has ended"
    assert 900 < left["198.18.9.1"] < 1000
    assert 900 < left["2001:db8:2::1"] < 1000


ROUTES = (
    *("default via 192.0.2.254", "default via 192.0.2.253 metric 9", "198.51.100.0/24 dev phy0 src 192.0.2.1"),
    *("203.0.113.0/24 via 198.51.100.7 mtu 1400 tos 0x10", "203.0.113.0/24 via 198.18.0.1 dev phy0 onlink table 7"),
    *("default via 2001:db8::254", "2001:db8:7::/64 via fe80::9 dev phy0 metric 5", "2001:db8:8::/64 dev phy0"),
    *("198.19.0.0/16 via inet6 fe80::9 dev phy0", "2001:db8:9::/64 via 2001:db8:8::1 proto 99 table 8"),
)


def test_its_routes_come_back(file: Path, machine: str) -> None:
    """In both versions of IP, in all tables; those behind next hops after those that lead there."""
    for name in ("far0", "phy0"):
        ip("-n", machine, "link", "set", name, "up")
    for address in ("192.0.2.1/24", "2001:db8::1/64 nodad"):
        ip("-n", machine, "address", "add", *address.split(), "dev", "phy0")
    for route in ROUTES:
        ip("-n", machine, *(["-6"] if route.startswith("2001") else []), "route", "add", *route.split())

    def routes() -> list[str]:
        every = [line for v in "46" for line in ip("-n", M, f"-{v}", "route", "show", "table", "all").splitlines()]
        return sorted(line for line in every if "dev phy0" in line and "proto kernel" not in line)

    before = routes()
    assert len(before) == len(ROUTES)
    assert there("up", write(file, links=[{f"{P}a/phy0": {"kind": "physical"}}])).returncode == 0
    assert routes() == []
    assert there("down", f"{P}lab").returncode == 0
    assert routes() == before


def test_an_interface_comes_back_from_a_record_of_texts(file: Path, machine: str) -> None:
    """As they were before 0.1.0; from one that cannot be read it does not come back without its addresses."""
    for address in ("192.0.2.1/24", "2001:db8::1/64"):
        ip("-n", machine, "address", "add", address, "dev", "phy0")
    ip("-n", machine, "link", "set", "far0", "up")
    ip("-n", machine, "link", "set", "phy0", "up")
    assert there("up", write(file, links=[{f"{P}a/phy0": {"kind": "physical"}}])).returncode == 0
    journal = ROOT / f"{P}lab" / "journal"
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    moved = next(one for one in entries if one["is"] == "physical")
    del moved["at"], moved["routes"]
    for addresses, code in ((["?"], 1), (["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"], 0)):
        moved["addresses"] = addresses
        journal.write_text("".join(json.dumps(one) + "\n" for one in entries))
        assert there("down", f"{P}lab").returncode == code
        assert ("phy0" in interfaces()) == (code == 0)
    back = shown("phy0")
    found = {f"{one['local']}/{one['prefixlen']}": one.get("broadcast") for one in back["addr_info"]}
    assert found.items() >= {"192.0.2.1/24": "192.0.2.255", "2001:db8::1/64": None}.items()
    assert "fe80::1/64" not in found
    assert "UP" in back["flags"]


def test_an_interface_whose_name_is_taken_stays_until_it_can_come_back(file: Path, machine: str) -> None:
    links = [{f"{P}a/phy0": {"kind": "physical"}}]
    assert there("up", write(file, links=links)).returncode == 0
    ip("-n", machine, "link", "add", "phy0", "type", "bridge")
    said = f"interface phy0 stays in namespace {P}a: this machine has another phy0 now"
    done = there("up", write(file, nodes=[f"{P}a", f"{P}b"], links=[]))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    done = there("down", f"{P}lab")
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert shown("phy0")["address"] != "02:00:00:00:00:aa"
    assert f"{P}a" in netns()
    assert f"{P}lab\tbroken" in sniffkit("lab", "list").stdout
    ip("-n", machine, "link", "del", "phy0")
    assert there("down", f"{P}lab").returncode == 0
    assert shown("phy0")["address"] == "02:00:00:00:00:aa"
    assert netns() == [machine]


@pytest.mark.parametrize("how", ["removed by an update", "deleted by another"])
def test_what_others_make_under_the_name_of_a_link_that_went_is_theirs(file: Path, machine: str, how: str) -> None:
    links = [{"host/v1": "192.0.2.1/24", f"{P}a/v0": None}]
    assert there("up", write(file, links=links)).returncode == 0
    if how == "deleted by another":
        ip("-n", machine, "link", "del", "v1")
        ip("-n", machine, "link", "add", "v1", "type", "bridge")
        done = there("up", write(file, links=links))
        assert "interface v1 exists already on this machine" in done.stderr
    else:
        assert there("up", write(file, nodes=[f"{P}a"], links=[])).returncode == 0
        ip("-n", machine, "link", "add", "v1", "type", "bridge")
    assert there("down", f"{P}lab").returncode == 0
    assert "v1" in interfaces()
    assert netns() == [machine]


def elsewhere(*arguments: str) -> subprocess.CompletedProcess[str]:
    return sniffkit("lab", *arguments, prefix=("nsenter", f"--net=/run/netns/{M}2"))


@pytest.fixture(name="other")
def the_other() -> Iterator[str]:
    """Another namespace than the machine."""
    ip("netns", "add", f"{M}2")
    try:
        yield f"{M}2"
    finally:
        ip("netns", "del", f"{M}2")


def test_what_is_made_here_is_taken_away_here_from_wherever_it_is_asked(file: Path, machine: str, other: str) -> None:
    ip("-n", machine, "address", "add", "192.0.2.1/24", "dev", "phy0")
    links = [{f"{P}a/phy0": {"kind": "physical"}}, {"host/v1": {"kind": "bridge"}}]
    assert there("up", write(file, links=links)).returncode == 0
    index = json.loads(ip("-j", "-n", machine, "link", "show", "v1"))[0]["ifindex"]
    ip("-n", other, "link", "add", "v1", "index", str(index), "type", "bridge")
    done = elsewhere("up", str(file))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), "nothing is to be done there"
    more = write(file, links=[*links, {"host/v2": {"kind": "bridge"}}])
    for asked in (("up", more), ("exec", f"{P}lab/host", "true")):
        done = elsewhere(*asked)
        assert (done.returncode, done.stdout) == (2, ""), asked
        assert done.stderr.count("\n") == 1, done.stderr
        assert "was made from another namespace" in done.stderr
    rows = [json.loads(line) for line in elsewhere("show", f"{P}lab", "--json").stdout.splitlines()]
    assert [one["state"] for one in rows if one["node"] == "host"] == [None], "what is there is another's"
    done = elsewhere("down", f"{P}lab")
    assert (done.returncode, done.stderr) == (0, "")
    assert interfaces() == {"lo", "far0", "phy0"}
    assert "192.0.2.1" in [one["local"] for one in shown("phy0")["addr_info"]]
    assert "v1" in ip("-n", other, "link")


def test_a_lab_within_its_nodes_does_not_mind_where_it_is_asked_for(file: Path, machine: str, other: str) -> None:
    assert there("up", write(file)).returncode == 0
    done = elsewhere("up", write(file, nodes={f"{P}c": {}}))
    assert done.returncode == 0, done.stderr
    assert elsewhere("down", f"{P}lab").returncode == 0
    assert [name for name in netns() if name not in (machine, other)] == []


def test_a_lab_of_a_namespace_that_is_gone(file: Path, other: str) -> None:
    """Also if another has the same inode by now: what it borrowed stays where it is, until somebody moves it."""
    ip("-n", other, "link", "add", "phy0", "type", "veth", "peer", "name", "far0")
    links = [{f"{P}a/phy0": {"kind": "physical"}}, {f"{P}b/v0": None, "host/v1": None}]
    assert elsewhere("up", write(file, links=links)).returncode == 0
    journal = ROOT / f"{P}lab" / "journal"
    first, rest = journal.read_text().split("\n", 1)
    record = json.loads(first)
    record["home"][1] += 1 << 40
    journal.write_text(json.dumps(record) + "\n" + rest)
    done = elsewhere("down", f"{P}lab")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [
        " host/v1",
        f" interface phy0 stays in namespace {P}a",
    ]
    assert netns() == [other, f"{P}a"] or netns() == [f"{P}a", other]
    ip("-n", f"{P}a", "link", "set", "phy0", "netns", other)
    assert elsewhere("down", f"{P}lab").returncode == 0
    assert netns() == [other]
    assert "phy0" in ip("-n", other, "link")


def test_a_lab_of_a_namespace_that_is_out_of_sight(file: Path, machine: str, other: str) -> None:
    """In a PID namespace of its own, `down` sees nobody of it: links that may be there are not forgotten."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        inside = ("nsenter", f"--target={holder.pid}", "--net")
        for _ in range(100):
            if os.stat(f"/proc/{holder.pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino:
                break
            time.sleep(0.05)
        made = sniffkit("lab", "up", write(file, links=[{"host/v1": {"kind": "bridge"}}]), prefix=inside)
        assert made.returncode == 0, made.stderr
        blind = ("unshare", "--pid", "--fork", "--mount-proc")
        for _ in range(2):
            done = sniffkit("lab", "down", f"{P}lab", prefix=blind)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
            assert "host/v1: the namespace that it is from is not to be found" in done.stderr
        assert there("down", f"{P}lab").returncode == 0
        left = subprocess.run([*inside, "ip", "link", "show", "v1"], capture_output=True, check=False)
        assert left.returncode != 0
    finally:
        holder.kill()
        holder.wait()


def test_a_home_that_is_mounted_elsewhere_is_found(file: Path, machine: str, tmp_path: Path) -> None:
    (place := tmp_path / "a place").touch()
    subprocess.run(["unshare", f"--net={place}", "true"], check=True)
    try:
        inside = ("nsenter", f"--net={place}")
        assert (
            sniffkit("lab", "up", write(file, links=[{"host/v1": {"kind": "bridge"}}]), prefix=inside).returncode == 0
        )
        done = there("down", f"{P}lab")
        assert (done.returncode, done.stderr) == (0, "")
        assert subprocess.run([*inside, "ip", "link", "show", "v1"], capture_output=True, check=False).returncode != 0
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_record_of_before_says_nothing_of_its_namespace(file: Path, machine: str) -> None:
    assert there("up", write(file, links=[{"host/v1": {"kind": "bridge"}}])).returncode == 0
    journal = ROOT / f"{P}lab" / "journal"
    first, rest = journal.read_text().split("\n", 1)
    record = json.loads(first)
    del record["home"]
    journal.write_text(json.dumps(record) + "\n" + rest)
    assert there("up", str(file)).returncode == 0
    assert there("down", f"{P}lab").returncode == 0
    assert "v1" not in interfaces()


def test_a_lab_whose_names_go_with_the_command_says_so(file: Path, machine: str) -> None:
    """ip-netns(8) runs a command in a mount namespace of its own. What is lost is not said to be up."""
    done = sniffkit("lab", "up", write(file), prefix=("ip", "netns", "exec", machine))
    assert done.returncode == 0
    assert "lost with it: take nsenter --net=/run/netns/NAME" in done.stderr
    assert f"{P}lab\tbroken" in sniffkit("lab", "list").stdout
    done = there("up", str(file))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert f"{P}lab\tup" in sniffkit("lab", "list").stdout
    ip("netns", "del", f"{P}b")
    assert f"{P}lab\tbroken" in sniffkit("lab", "list").stdout
    assert there("down", f"{P}lab").returncode == 0
    assert netns() == [machine]
